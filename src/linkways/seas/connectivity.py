"""Who feeds whom: larvae that leave a site, larvae that reach it, and how sure that is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd

    from linkways.seas._connectivity_dispersal import Dispersal

__all__ = ["Connectivity", "connectivity"]

ID = "seas.connectivity"


@dataclass(frozen=True)
class Connectivity:
    """Dispersal between sites by pair, site and date, and whether enough particles were released."""

    pairs: Annotated[
        "pd.DataFrame",
        TableOf(
            "pairs with settlers, a site with itself too: source, sink, released, settled, probability, lower and "
            "upper (limits of the probability), flow (larvae), migration (share of the sink's settlers), "
            "variance_dates and variance_years (of the probability), distance_km, direction_deg (from north)"
        ),
    ]
    sites: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the sites: released, production, settled_share, local_retention, relative_local_retention, "
            "self_recruitment, inflow and outflow (larvae, without its own), export_share (of its larvae, settled "
            "elsewhere), import_share (of its settlers, from elsewhere), source_sink_index (-1 to 1), role, "
            "unseen_upper (limit of the probability to a sink never reached), variances of inflow and outflow over "
            "dates and years, mean_distance_km and mean_direction_deg of its outflow"
        ),
    ]
    links: Annotated["gpd.GeoDataFrame", Layer("the links with most larvae, from source to sink")]
    dates: Annotated[
        "pd.DataFrame",
        TableOf(
            "dates: released_on, year, released, pairs with settlers, settled_share, local_retention, self_recruitment"
        ),
    ]
    by_date: Annotated[
        "pd.DataFrame",
        TableOf(
            "entries above 0 of each date (one of 0 where nothing settled): released_on, source, sink, probability, "
            "flow"
        ),
    ]
    rarefaction: Annotated[
        "pd.DataFrame",
        TableOf(
            "expected from a share of the particles: particle_share, particles, links, unexplained_variance (1 - r2 "
            "with the true probabilities); empty for a matrix"
        ),
    ]
    chart: Annotated[
        "matplotlib.figure.Figure", Figure("settlers by distance; links and certainty by number of particles")
    ]
    linked_pairs: Annotated[int, Indicator("pairs of different sites that exchange larvae")]
    connectance: Annotated[float, Indicator("share of all pairs of different sites that exchange larvae", unit="1")]
    settled_share: Annotated[float, Indicator("of the larvae produced, those that settle", unit="1")]
    local_retention: Annotated[float, Indicator("of the larvae produced, those that settle where born", unit="1")]
    self_recruitment: Annotated[float, Indicator("of the settlers, those born where they settle", unit="1")]
    mean_distance_km: Annotated[float, Indicator("mean distance that settlers came from, own site 0", unit="km")]
    unexplained_variance: Annotated[
        float, Indicator("share of the probabilities' variance that is noise of the particles; NaN: a matrix", unit="1")
    ]
    particles_needed: Annotated[
        float, Indicator("particles that bring the noise to the most allowed, spread as they were; NaN: a matrix")
    ]


@method(
    ID,
    references=(
        "Burgess SC, Nickols KJ, Griesemer CD, et al. (2014) Beyond connectivity: how empirical methods can quantify "
        "population persistence to improve marine protected-area design. Ecological Applications 24:257-270 (local "
        "retention, self-recruitment)",
        "Lett C, Nguyen-Huu T, Cuif M, Saenz-Agudelo P, Kaplan DM (2015) Linking local retention, self-recruitment, "
        "and persistence in marine metapopulations. Ecology 96:2236-2244 (relative local retention)",
        "Daigle RM, Metaxas A, Balbar AC, et al. (2020) Operationalizing ecological connectivity in spatial "
        "conservation planning with Marxan Connect. Methods in Ecology and Evolution 11:570-579 (kinds of matrix)",
        "Simons RD, Siegel DA, Brown KS (2013) Model sensitivity and robustness in the estimation of larval transport: "
        "a study of particle tracking parameters. Journal of Marine Systems 119-120:19-29 (unexplained variance)",
        "Hurlbert SH (1971) The nonconcept of species diversity: a critique and alternative parameters. Ecology "
        "52:577-586 (rarefaction)",
        "Wilson EB (1927) Probable inference, the law of succession, and statistical inference. Journal of the "
        "American Statistical Association 22:209-212 (interval)",
        "Karney CFF (2013) Algorithms for geodesics. Journal of Geodesy 87:43-55 (distances and directions)",
    ),
)
def connectivity(
    settlement: Annotated[
        "pd.DataFrame",
        Table(
            "settlers: source, sink, released_on (when on several dates), released (larvae of the source that day, the "
            "same in all its rows), settled; or a matrix: square with named rows, or source, sink (or id1, id2), "
            "value and, on several dates, time"
        ),
    ],
    sites: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "release and settlement sites: column site names them; production when present; recruits for a migration "
            "matrix",
            geometry=("Polygon", "Point"),
        ),
    ],
    sinks: Annotated[
        "gpd.GeoDataFrame | None",
        Vector(
            "settlement sites beside them that release nothing, where these are another layer; sites of a name in both "
            "are those of sites",
            geometry=("Polygon", "Point"),
        ),
    ] = None,
    *,
    kind: Annotated[
        Literal["settlement", "probability", "flow", "migration"],
        Param(
            "what the table holds: settlers; the share of the source's larvae that settle in the sink; larvae; or the "
            "share of the sink's settlers that come from the source"
        ),
    ] = "settlement",
    production: Annotated[
        str | None,
        Param(
            "column of sites with the larvae that each produces; area_km2 is measured where it is no column; left out: "
            "production if it is a column, else 1 for each (of a flow: its settlers)"
        ),
    ] = None,
    excess: Annotated[
        Literal["refuse", "largest", "rows"],
        Param(
            "rows of probabilities that sum to more than 1: refuse them; divide the whole matrix by the largest sum; "
            "divide each of these rows by its sum"
        ),
    ] = "refuse",
    confidence: Annotated[float, Param("of the limits of a probability", gt=0, lt=1)] = 0.95,
    strongest: Annotated[int, Param("links on the map at most", ge=1)] = 500,
    most_unexplained: Annotated[
        float,
        Param("share of noise in the probabilities' variance below which particles suffice", gt=0, lt=1),
    ] = 0.05,
) -> Connectivity:
    """The probability, flow and migration of larvae between sites, with their certainty, retention, sources and sinks.

    With N_i larvae released at i of which S_ij settled in j, both summed over dates: probability P_ij = S_ij / N_i,
    flow F_ij = P_ij x production_i, migration M_ij = F_ij / sum_i F_ij. So the rows of P sum to the share that
    settles, at most 1, the rows of F to that share of the production, and the columns of M to 1 where anything
    settles. Of a matrix on several dates the mean counts. Local retention is P_ii, relative local retention F_ii /
    sum_j F_ij, self-recruitment M_ii; inflow and outflow leave the site's own larvae out, and the source-sink index is
    (outflow - inflow) / (outflow + inflow).

    Limits of probabilities are Wilson's and take larvae as independent; where those of one date share their fate the
    variance over dates and years tells more. Unexplained variance is what sampling noise makes of the variance of all
    estimated probabilities, s / (s + signal) with s the mean of p (1 - p) / (N - 1). Distances and directions are
    geodesics between centroids, over land too.

    A flow without production gives probabilities among settlers, whose losses at sea are unknown (noted in the log).

    Larvae are in the unit of production, shares between 0 and 1, variances in the square of what varies. 0 means that
    there were none, NaN that nothing is known: what a site sends that released nothing, a share of no settlers, the
    limits of what was not counted, a variance over fewer than two dates, the direction to itself.

    Raises LinkwaysError for sites that only the table or only the layer has, sites without a shape, numbers that are
    missing or below 0, releases of 0 larvae or of which more settled, two numbers for one release, and matrices that
    are not of their kind: probabilities whose rows sum to more than 1, migration whose columns do not sum to 1.

    Examples
    --------
    >>> import geopandas as gpd, pandas as pd
    >>> from linkways import seas
    >>> reefs = gpd.GeoDataFrame(
    ...     {"site": ["a", "b"], "production": [10.0, 40.0]},
    ...     geometry=gpd.points_from_xy([146.0, 146.0], [-18.0, -18.5]), crs="EPSG:4326",
    ... )
    >>> counted = pd.DataFrame(
    ...     [("a", "a", 100, 20), ("a", "b", 100, 30), ("b", "b", 100, 5)],
    ...     columns=["source", "sink", "released", "settled"],
    ... )
    >>> found = seas.connectivity(counted, reefs)
    >>> found.pairs[["source", "sink", "probability", "flow", "migration", "direction_deg"]]
      source sink  probability  flow  migration  direction_deg
    0      a    a         0.20   2.0        1.0            NaN
    1      a    b         0.30   3.0        0.6          180.0
    2      b    b         0.05   2.0        0.4            NaN
    """
    from linkways.seas._connectivity_dispersal import read_dispersal
    from linkways.seas._connectivity_maps import Ways, draw, refuse_unplaced, strongest_links
    from linkways.seas._connectivity_measures import by_date, pair_table, rarefaction, site_columns
    from linkways.seas._connectivity_tables import read_sites

    sites = sites.reset_index(drop=True) if sinks is None else _joined(sites, sinks)
    named = read_sites(ID, sites)
    refuse_unplaced(ID, sites)
    if production == "area_km2" and "area_km2" not in sites.columns:
        sites = _measured(sites, named.names)
        named = read_sites(ID, sites)
    found = read_dispersal(
        ID,
        settlement,
        named,
        kind=kind,
        production=production,
        excess=excess,
        name="settlement" if kind == "settlement" else "the matrix",
    )
    progress(0.4, "pairs of sites")
    ways = Ways(sites)
    pairs = pair_table(found, confidence)
    source, sink = found.probability.tocoo().coords
    pairs["distance_km"], pairs["direction_deg"] = ways.between(source, sink)
    progress(0.7, "sites and dates")
    long, dates = by_date(found)
    curve, noise, needed = rarefaction(found, most_unexplained)
    columns = {**site_columns(found, confidence), **_mean_ways(found, pairs, source, sink)}
    layer = sites.drop(columns=[c for c in columns if c in sites.columns]).assign(**columns)
    return Connectivity(
        pairs,
        layer,
        strongest_links(pairs, source, sink, ways, strongest),
        dates,
        long,
        curve,
        draw(curve, pairs, most_unexplained),
        **_totals(found, pairs, source, sink),
        unexplained_variance=noise,
        particles_needed=needed,
    )


def _joined(sites: "gpd.GeoDataFrame", sinks: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    """The sites, and after them those of the sinks with a name of their own, which produce nothing."""
    import pandas as pd

    from linkways.seas._connectivity_tables import read_sites

    new = read_sites(ID, sites).places(read_sites(ID, sinks, "sinks").names) < 0
    added = sinks.reset_index(drop=True)[new].to_crs(sites.crs).rename_geometry(sites.geometry.name)
    if "production" in sites.columns:
        added = added.assign(production=0.0)
    return pd.concat([sites, added], ignore_index=True)


def _measured(sites: "gpd.GeoDataFrame", names: np.ndarray) -> "gpd.GeoDataFrame":
    """The sites with their areas as area_km2."""
    from linkways.seas._connectivity_maps import areas_km2

    area = areas_km2(sites)
    bare = np.flatnonzero(area == 0)
    if len(bare):
        raise LinkwaysError(
            f"{ID}: production is area_km2 and {len(bare)} sites have no area, first {names[bare[0]]}; "
            "draw them as polygons, or name a column with their production"
        )
    return sites.assign(area_km2=area)


def _mean_ways(
    found: "Dispersal", pairs: "pd.DataFrame", source: np.ndarray, sink: np.ndarray
) -> dict[str, np.ndarray]:
    """Mean distance and direction of what leaves each site for others, weighted by larvae."""
    apart = source != sink
    n, start, flow = found.sites.n, source[apart], pairs["flow"].to_numpy()[apart]
    angle = np.radians(pairs["direction_deg"].to_numpy()[apart])
    whole = np.bincount(start, weights=flow, minlength=n)
    far = np.bincount(start, weights=flow * pairs["distance_km"].to_numpy()[apart], minlength=n)
    east = np.bincount(start, weights=flow * np.sin(angle), minlength=n)
    north = np.bincount(start, weights=flow * np.cos(angle), minlength=n)
    # opposite ways of equal strength have no mean direction
    lean = np.hypot(east, north) > 1e-9 * whole
    return {
        "mean_distance_km": np.divide(far, whole, out=np.full(n, np.nan), where=whole > 0),
        "mean_direction_deg": np.where(lean & (whole > 0), np.mod(np.degrees(np.arctan2(east, north)), 360.0), np.nan),
    }


def _totals(found: "Dispersal", pairs: "pd.DataFrame", source: np.ndarray, sink: np.ndarray) -> dict[str, Any]:
    flow, own = pairs["flow"].to_numpy(), source == sink
    n, settled, produced = found.sites.n, float(flow.sum()), float(found.production[found.sends].sum())
    linked = int((~own & (flow > 0)).sum())
    some = settled > 0
    return {
        "linked_pairs": linked,
        "connectance": linked / (n * (n - 1)) if n > 1 else float("nan"),
        "settled_share": settled / produced if produced > 0 else float("nan"),
        "local_retention": float(flow[own].sum()) / produced if produced > 0 else float("nan"),
        "self_recruitment": float(flow[own].sum()) / settled if some else float("nan"),
        "mean_distance_km": float((flow * pairs["distance_km"].to_numpy()).sum()) / settled if some else float("nan"),
    }
