"""Drift: larvae on the currents from their release to settlement, death or loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Field, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["Drift", "drift"]


@dataclass(frozen=True)
class Drift:
    """Who settled where, what became of the rest, and where larvae were."""

    settlement: Annotated[
        "pd.DataFrame",
        TableOf(
            "settlers: source, sink, released_on, released (larvae of the source on that date), settled; a source and "
            "date without settlers has one row with settled 0"
        ),
    ]
    fates: Annotated[
        "pd.DataFrame",
        TableOf("each source: released = settled + dead + lost (left the field) + beached + drifting; days to settle"),
    ]
    density: Annotated["xr.DataArray", Layer("time that larvae spent in each cell", unit="larva-days/km2")]
    tracks: Annotated[
        "gpd.GeoDataFrame | None",
        Layer(
            "tracks of keep_tracks larvae: larva, source, released_on, fate, sink, days; vertices at the field's times"
        ),
    ]
    larvae: Annotated[int, Indicator("larvae released")]
    settled_percent: Annotated[float, Indicator("larvae that settled", unit="%")]
    dead_percent: Annotated[float, Indicator("larvae that died, or did not settle in their larval time", unit="%")]
    lost_percent: Annotated[float, Indicator("larvae that left the field of currents", unit="%")]
    beached_percent: Annotated[float, Indicator("larvae that beached", unit="%")]
    drifting_percent: Annotated[float, Indicator("larvae still drifting at the end", unit="%")]
    mean_days_to_settle: Annotated[float, Indicator("mean drift of settlers; NaN where none settled", unit="d")]


@method(
    "seas.drift",
    references=(
        "van Sebille E, Griffies SM, Abernathey R et al. (2018) Lagrangian ocean analysis: fundamentals and practices. "
        "Ocean Modelling 121:49-75",
        "Delandmeter P, van Sebille E (2019) The Parcels v2.0 Lagrangian framework: new field interpolation schemes. "
        "Geoscientific Model Development 12:3571-3584 (C grids)",
        "Dormand JR, Prince PJ (1980) A family of embedded Runge-Kutta formulae. Journal of Computational and Applied "
        "Mathematics 6:19-26 (rk45)",
        "Milstein GN (1974) Approximate integration of stochastic differential equations. Theory of Probability and "
        "its Applications 19:557-562; Graewe U (2011) Implementation of high-order particle-tracking schemes in a "
        "water column model. Ocean Modelling 36:80-89 (varying diffusivity)",
        "Salmon JK, Moraes MA, Dror RO, Shaw DE (2011) Parallel random numbers: as easy as 1, 2, 3. Proceedings of "
        "SC11 (random numbers)",
        "Connolly SR, Baird AH (2010) Estimating dispersal potential for marine larvae: dynamic models applied to "
        "scleractinian corals. Ecology 91:3572-3583 (competence and mortality)",
        "O'Connor MI, Bruno JF, Gaines SD et al. (2007) Temperature control of larval dispersal and the implications "
        "for marine ecology, evolution, and conservation. PNAS 104:1266-1271",
    ),
)
def drift(
    currents: Annotated["xr.Dataset", Field("velocity field (seas.currents, or CF)", variables=("u", "v"))],
    releases: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "where larvae are released: site, and number (per date) where it differs",
            geometry=("Point", "Polygon"),
            columns=("site",),
        ),
    ],
    habitat: Annotated[
        "gpd.GeoDataFrame | None", Vector("where larvae settle: site", geometry=("Polygon",), columns=("site",))
    ] = None,
    habitat_raster: Annotated[
        "xr.DataArray | None", Raster("in place of polygons: number of the sink, 0 for none", own_grid=True)
    ] = None,
    schedule: Annotated[
        "pd.DataFrame | None", Table("in place of release_dates: site, date, and number", columns=("site", "date"))
    ] = None,
    *,
    release_dates: Annotated[Sequence[str], Param("dates (UTC, also with a time) on which every site releases")] = (),
    number: Annotated[
        int, Param("larvae of a site on a date, where neither releases nor schedule have the column number", ge=0)
    ] = 1000,
    larval_duration_d: Annotated[
        float | None, Param("age at which larvae that have not settled die; not limited when left out", unit="d", gt=0)
    ] = None,
    days: Annotated[
        float | None, Param("days that each larva is followed; the larval duration when left out", unit="d", gt=0)
    ] = None,
    competent_from_d: Annotated[float, Param("age from which larvae can settle", unit="d", ge=0)] = 0.0,
    competence_gain_per_d: Annotated[
        float | None,
        Param("rate at which they become competent from then on; all at once when left out", unit="1/d", gt=0),
    ] = None,
    competence_loss_per_d: Annotated[float, Param("rate at which competence is lost again", unit="1/d", ge=0)] = 0.0,
    mortality_per_d: Annotated[float, Param("rate of death", unit="1/d", ge=0)] = 0.0,
    mortality_shape: Annotated[
        float, Param("Weibull shape of mortality: 1 constant, below 1 falling with age", gt=0)
    ] = 1.0,
    development: Annotated[
        Literal["constant", "q10", "oconnor"],
        Param("how temperature changes the pace at which larvae age towards competence and the end of larval life"),
    ] = "constant",
    reference_temperature_c: Annotated[
        float | None, Param("temperature at which larval_duration_d and the competences hold", unit="degrees C", gt=0)
    ] = None,
    q10: Annotated[float, Param("pace at 10 degrees more, for development q10", gt=0)] = 2.0,
    sensing_radius_m: Annotated[
        float, Param("distance from which competent larvae reach habitat", unit="m", ge=0)
    ] = 0.0,
    habitat_parts: Annotated[int, Param("habitat is told apart on so many parts of a cell's side", ge=1, le=50)] = 4,
    vertical: Annotated[
        Literal["fixed", "diel", "ontogenetic", "advected"],
        Param("depth: one; by day and by night; by age; or moved by w of the field"),
    ] = "fixed",
    depth_m: Annotated[float, Param("depth of larvae (fixed), or at release (advected)", unit="m", ge=0)] = 0.0,
    day_depth_m: Annotated[float, Param("depth by day (diel)", unit="m", ge=0)] = 10.0,
    night_depth_m: Annotated[float, Param("depth by night (diel)", unit="m", ge=0)] = 0.0,
    day_from_h: Annotated[float, Param("local solar time at which the day begins (diel)", unit="h", ge=0, le=24)] = 6.0,
    day_to_h: Annotated[float, Param("local solar time at which it ends (diel)", unit="h", ge=0, le=24)] = 18.0,
    depth_ages_d: Annotated[Sequence[float], Param("ages, rising (ontogenetic)", unit="d", ge=0)] = (),
    depths_m: Annotated[Sequence[float], Param("depths at these ages, straight in between", unit="m", ge=0)] = (),
    stokes: Annotated[bool, Param("add Stokes drift where the field has stokes_u and stokes_v")] = True,
    windage: Annotated[float, Param("share of the field's wind that moves larvae at the surface", ge=0, le=1)] = 0.0,
    diffusivity_m2_s: Annotated[
        float, Param("horizontal turbulent diffusivity; the field's variable diffusivity is added", unit="m2/s", ge=0)
    ] = 0.0,
    coast: Annotated[
        Literal["reflect", "hold", "beach"],
        Param("a larva that would move on land: is thrown back by the coast, does not move this step, or beaches"),
    ] = "reflect",
    step_min: Annotated[float, Param("longest step", unit="min", gt=0)] = 10.0,
    scheme: Annotated[
        Literal["rk4", "rk45"], Param("Runge-Kutta: order four, or order five with steps shortened to tolerance_m")
    ] = "rk4",
    tolerance_m: Annotated[float, Param("error of one step (rk45)", unit="m", gt=0)] = 1.0,
    keep_tracks: Annotated[int, Param("larvae, spread evenly over all, whose tracks are kept", ge=0)] = 0,
    engine: Annotated[
        Literal["linkways", "parcels"], Param("who moves the larvae: Linkways, or OceanParcels 4 where it is installed")
    ] = "linkways",
    seed: Annotated[int, Param("seed of all random numbers", ge=0)] = 1,
) -> Drift:
    """Settlement of larvae on the currents: who reaches which site, what becomes of the rest, and where they were.

    Movement: dx/dt = u(x, t), by Runge-Kutta, plus a random walk with variance 2 K t (Milstein's scheme where K varies,
    so that what is well mixed stays so). Velocities are linear in space and time on A grids; on C grids linear along
    their own direction and constant across. Near the coast an A grid takes the mean of the water around for land, so
    that land does not slow the flow; on C grids no water flows into land. Steps are at most ``step_min`` and never
    cross a time of the field. Metres become degrees by the radii of curvature of the CRS's ellipsoid.

    Life: from ``competent_from_d`` on larvae become competent, and then may lose it, at constant rates; the first
    competent larva-step that ends in habitat, or within ``sensing_radius_m`` of it (the nearest counts), settles there.
    The share alive at age a is exp(-(m a)^shape). Larvae of age ``larval_duration_d`` that have not settled die.
    Ages that count towards competence and duration run faster in warm water: by q10^((T - Tref) / 10), or by O'Connor
    et al. 2007, exp(1.34 (ln T - ln Tref) + 0.28 (ln^2(T/15) - ln^2(Tref/15))). Wind, and waves of a field that has
    them in one layer, move what is at the topmost level, less what is deeper, and nothing from the next level on; a
    temperature, diffusivity or w of one layer holds at all depths.

    Every larva has its own stream of random numbers, so that results do not depend on threads, on a cluster or on the
    order of work. Fields larger than memory are read two times at once. No tracks are stored unless asked for.

    Raises LinkwaysError for sites outside the field or on land, times that the field does not cover (how many larvae,
    of which date), a missing land mask, longitudes of mixed conventions, depths that the field lacks, competence
    that begins when larval life is over, and parameters that what is chosen would not use.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import seas
    >>> east = seas.currents(flow="uniform", flow_parameters={"u_m_s": 0.1}, bounds=[0, 0, 100e3, 20e3],
    ...                      cell_size=1000, crs="EPSG:32631")
    >>> reefs = gpd.GeoDataFrame(
    ...     {"site": ["west reef", "east reef"]},
    ...     geometry=[shapely.box(5e3, 5e3, 10e3, 15e3), shapely.box(50e3, 5e3, 60e3, 15e3)], crs="EPSG:32631")
    >>> found = seas.drift(east, reefs, reefs, release_dates=["2020-01-01"], number=100, larval_duration_d=6,
    ...                    competent_from_d=4)  # 8.64 km a day: 35 to 52 km while competent
    >>> found.settlement[["source", "sink", "released", "settled"]]
          source       sink  released  settled
    0  west reef  east reef       100      100
    1  east reef  east reef       100        0
    """
    from linkways.seas._currents_standard import standard_field
    from linkways.seas._drift_rules import Rules, checked_rules

    field = standard_field(currents)
    rules = checked_rules(
        Rules(
            larval_duration_d=larval_duration_d,
            days=days,
            competent_from_d=competent_from_d,
            competence_gain_per_d=competence_gain_per_d,
            competence_loss_per_d=competence_loss_per_d,
            mortality_per_d=mortality_per_d,
            mortality_shape=mortality_shape,
            development=development,
            reference_temperature_c=reference_temperature_c,
            q10=q10,
            vertical=vertical,
            depth_m=depth_m,
            day_depth_m=day_depth_m,
            night_depth_m=night_depth_m,
            day_from_h=day_from_h,
            day_to_h=day_to_h,
            depth_ages_d=tuple(depth_ages_d),
            depths_m=tuple(depths_m),
            stokes=stokes,
            windage=windage,
            diffusivity_m2_s=diffusivity_m2_s,
            coast=coast,
            step_min=step_min,
            scheme=scheme,
            tolerance_m=tolerance_m,
            parts=habitat_parts,
            radius_m=sensing_radius_m,
        ),
        field,
        settles=habitat is not None or habitat_raster is not None,
    )
    return _drift(field, releases, habitat, habitat_raster, schedule, rules, release_dates, number,
                  keep_tracks, engine, seed)  # fmt: skip


def _drift(
    field: "xr.Dataset",
    releases: "gpd.GeoDataFrame",
    habitat: "gpd.GeoDataFrame | None",
    habitat_raster: "xr.DataArray | None",
    schedule: "pd.DataFrame | None",
    rules: Any,
    release_dates: Sequence[str],
    number: int,
    keep_tracks: int,
    engine: str,
    seed: int,
) -> Drift:
    from linkways.seas._drift_release import positions, read_cohorts
    from linkways.seas._drift_result import Outcome, result_of
    from linkways.seas._drift_rules import born, check_times, life_of, wanted_of
    from linkways.seas._drift_run import Shared, follow

    if engine == "parcels":
        from linkways.seas._drift_parcels import check_engine

        check_engine(field, rules)
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 2**32, 2)
    cohorts = read_cohorts(releases, schedule, release_dates, number)
    origin, released = check_times(field, cohorts, rules)
    x, y = positions(releases, cohorts, field, rng)
    sinks, owner = _sinks(field, habitat, habitat_raster, rules.parts, rules.radius_m)
    life = life_of(rules, field, keys, settles=bool(sinks))
    particles = born(x, y, released, rules, keys)
    tracked = np.unique(np.linspace(0, len(x) - 1, min(keep_tracks, len(x))).astype(np.int64))
    end = float(particles.ends.max())
    shared = Shared(field, wanted_of(rules, field), life, owner, origin, end, tracked, engine)
    followed = follow(shared, particles)
    return result_of(Outcome(field, cohorts, sinks, released, origin), followed)


def _sinks(
    field: "xr.Dataset",
    habitat: "gpd.GeoDataFrame | None",
    habitat_raster: "xr.DataArray | None",
    parts: int,
    radius_m: float,
) -> tuple[list[str], np.ndarray]:
    from linkways.seas._drift_habitat import polygon_sinks, raster_sinks

    if habitat is not None and habitat_raster is not None:
        raise LinkwaysError("seas.drift: give habitat (polygons) or habitat_raster, not both")
    if habitat is not None:
        return polygon_sinks(habitat, field, parts, radius_m)
    if habitat_raster is not None:
        return raster_sinks(habitat_raster, field, parts, radius_m)
    return [], np.full((1, 1), -1, np.int32)
