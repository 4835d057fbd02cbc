"""How many species a camera trap survey found, how many it missed, and how diverse they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

    from linkways.populations._diversity_estimates import Sample

__all__ = ["Diversity", "diversity"]

ID = "populations.diversity"
POINTS = 40


@dataclass(frozen=True)
class Diversity:
    """Species found and estimated, with intervals, and how they accumulate."""

    hill: Annotated[
        "pd.DataFrame",
        TableOf(
            "basis (events, units), q (0 species, 1 exp Shannon, 2 inverse Simpson), observed, estimate, se, low, high"
        ),
    ]
    accumulation: Annotated[
        "pd.DataFrame",
        TableOf("basis, size, species, low, high, coverage, kind (rarefied, observed, extrapolated)"),
    ]
    standardised: Annotated[
        "pd.DataFrame | None", TableOf("basis, coverage, size, species, se, kind at the coverage asked for")
    ]
    sites: Annotated["pd.DataFrame", TableOf("site, events, species, shannon (exp), simpson (inverse)")]
    accumulation_curve: Annotated["Drawing", Figure("species against events and units, beyond the sample dashed")]
    species_found: Annotated[int, Indicator("species found")]
    species_estimated: Annotated[float, Indicator("species there are at least (Chao2, of units)")]
    coverage: Annotated[float, Indicator("share of all events that belong to the species found", unit="")]


@method(
    ID,
    references=(
        "Chao A, Gotelli NJ, Hsieh TC et al. (2014) Rarefaction and extrapolation with Hill numbers: a framework for "
        "sampling and estimation in species diversity studies. Ecological Monographs 84:45-67",
        "Chao A, Wang YT, Jost L (2013) Entropy and the species accumulation curve: a novel entropy estimator via "
        "discovery rates of new species. Methods in Ecology and Evolution 4:1091-1100",
        "Colwell RK, Chao A, Gotelli NJ et al. (2012) Models and estimators linking individual-based and sample-based "
        "rarefaction, extrapolation and comparison of assemblages. Journal of Plant Ecology 5:3-21",
    ),
)
def diversity(
    events: Annotated[
        "pd.DataFrame",
        Table(
            "independent events of populations.cameras: species, site (and time for days)", columns=("species", "site")
        ),
    ],
    effort: Annotated[
        "pd.DataFrame | None",
        Table(
            "effort of populations.cameras: site, effort_days, so that sites without events count", columns=("site",)
        ),
    ] = None,
    *,
    unit: Annotated[
        Literal["site", "day"], Param("sampling unit: each site, or each camera day (which needs effort)")
    ] = "site",
    exclude: Annotated[list[str] | None, Param("names that are no species, e.g. Aves or Homo sapiens")] = None,
    extrapolate: Annotated[float, Param("how far curves go, in times the size of the sample", ge=1, le=3)] = 2.0,
    at_coverage: Annotated[
        float | None, Param("also tell the species at this coverage, to compare surveys", gt=0, lt=1)
    ] = None,
    bootstrap: Annotated[int, Param("resamples for the standard errors; none with 0", ge=0)] = 200,
    confidence: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    seed: Annotated[int, Param("seed of the resampling", ge=0)] = 1,
) -> Diversity:
    """Hill numbers of order 0, 1 and 2, observed and estimated, sample coverage and species accumulation.

    Once with events as the sample (abundance) and once with units in which a species occurs (incidence). Estimates:
    Chao1 and Chao2 for the number of species, which are lower bounds; Chao's estimator of Shannon's entropy; the
    unbiased estimator of Simpson's. Curves are the expected species of smaller samples and, beyond the sample, of
    larger ones; past twice the sample they are not to be trusted. Standard errors are by samples of the estimated
    community; intervals are log-normal above the species found for order 0, normal otherwise.

    Raises LinkwaysError for tables without events, and days without effort or times.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> events = pd.DataFrame({"species": ["fox"] * 6 + ["boar"] * 3 + ["lynx", "wolf"], "site": list("aabbccabcab")})
    >>> found = populations.diversity(events)
    >>> found.species_found, round(found.species_estimated, 2)
    (4, 4.67)
    """
    import pandas as pd

    from linkways.populations._diversity_figure import draw_accumulation

    events = events[events["species"].notna() & ~events["species"].isin(exclude or [])]
    if events.empty:
        raise LinkwaysError(f"{ID}: the table events has no event of a species; there is no diversity to tell")
    samples = {"events": _of_events(events), "units": _of_units(events, effort, unit)}
    rng = np.random.default_rng(seed)
    hill = pd.concat([_hill(b, one, bootstrap, confidence, rng) for b, one in samples.items()], ignore_index=True)
    curve = pd.concat(
        [_curve(b, one, extrapolate, bootstrap, confidence, rng) for b, one in samples.items()], ignore_index=True
    )
    standard = None
    if at_coverage is not None:
        parts = [_standardised(b, one, at_coverage, bootstrap, rng) for b, one in samples.items()]
        standard = pd.concat(parts, ignore_index=True)
    return Diversity(
        hill=hill,
        accumulation=curve,
        standardised=standard,
        sites=_sites(events, effort),
        accumulation_curve=draw_accumulation(curve, unit),
        species_found=len(samples["events"].counts),
        species_estimated=float(hill.loc[(hill["basis"] == "units") & (hill["q"] == 0), "estimate"].iloc[0]),
        coverage=float(curve.loc[(curve["basis"] == "events") & (curve["kind"] == "observed"), "coverage"].iloc[0]),
    )


def _of_events(events: "pd.DataFrame") -> "Sample":
    from linkways.populations._diversity_estimates import Sample

    counts = events["species"].value_counts().to_numpy()
    return Sample(counts, int(counts.sum()), False)


def _of_units(events: "pd.DataFrame", effort: "pd.DataFrame | None", unit: str) -> "Sample":
    import pandas as pd

    from linkways.populations._diversity_estimates import Sample
    from linkways.spatial import note

    if unit == "site":
        units = pd.DataFrame({"species": events["species"], "unit": events["site"].astype("str")})
        sites = set(units["unit"])
        if effort is None:
            note(f"{ID}: no effort was given, so sites without events are not counted")
        else:
            known = set(effort["site"].astype("str"))
            strange = sorted(sites - known)
            if strange:
                raise LinkwaysError(f"{ID}: events name the site '{strange[0]}', which effort does not have")
            sites = known
        size = len(sites)
    else:
        if effort is None or "effort_days" not in effort:
            raise LinkwaysError(f"{ID}: unit is day, which needs the table effort with effort_days; give it")
        time = next((name for name in ("local_time", "time") if name in events), None)
        if time is None:
            raise LinkwaysError(f"{ID}: unit is day, but the table events has no column time or local_time")
        day = events[time].astype("str").str.slice(0, 10)
        units = pd.DataFrame({"species": events["species"], "unit": events["site"].astype("str") + " " + day})
        size = max(round(float(effort["effort_days"].sum())), units["unit"].nunique())
    counts = units.drop_duplicates()["species"].value_counts().to_numpy()
    if size < 2:
        raise LinkwaysError(f"{ID}: there is one sampling unit ({unit}); species cannot accumulate over one")
    return Sample(counts, size, True)


def _hill(basis: str, sample: "Sample", repeats: int, confidence: float, rng: np.random.Generator) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    from linkways.populations._diversity_estimates import bootstrapped, estimated, observed

    seen, found = observed(sample), estimated(sample)
    se = bootstrapped(sample, estimated, repeats, rng) if repeats else np.full(3, np.nan)
    z = float(norm.ppf((1 + confidence) / 2))
    low, high = found - z * se, found + z * se
    beyond = found[0] - seen[0]
    if beyond > 0:
        spread = np.exp(z * np.sqrt(np.log1p((se[0] / beyond) ** 2)))
        low[0], high[0] = seen[0] + beyond / spread, seen[0] + beyond * spread
    else:
        low[0] = seen[0]
    low[1:] = np.maximum(low[1:], 1.0)
    return pd.DataFrame(
        {"basis": basis, "q": [0, 1, 2], "observed": seen, "estimate": found, "se": se, "low": low, "high": high}
    )


def _curve(
    basis: str, sample: "Sample", extrapolate: float, repeats: int, confidence: float, rng: np.random.Generator
) -> "pd.DataFrame":
    import pandas as pd
    from scipy.stats import norm

    from linkways.populations._diversity_estimates import accumulated, bootstrapped, coverage_at

    n = sample.size
    inside = np.unique(np.round(np.linspace(1, n, POINTS)).astype(int))
    beyond = np.unique(np.round(np.linspace(n, extrapolate * n, POINTS // 2)).astype(int))[1:]
    sizes = np.concatenate([inside, beyond])
    found = accumulated(sample, sizes)
    none = np.full(sizes.size, np.nan)
    se = bootstrapped(sample, lambda one: accumulated(one, sizes), repeats, rng) if repeats else none
    z = float(norm.ppf((1 + confidence) / 2))
    kind = np.where(sizes < n, "rarefied", np.where(sizes == n, "observed", "extrapolated"))
    return pd.DataFrame(
        {
            "basis": basis,
            "size": sizes,
            "species": found,
            "low": np.maximum(found - z * se, 0.0),
            "high": found + z * se,
            "coverage": coverage_at(sample, sizes),
            "kind": kind,
        }
    )


def _standardised(
    basis: str, sample: "Sample", coverage: float, repeats: int, rng: np.random.Generator
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._diversity_estimates import accumulated, bootstrapped, size_at_coverage

    def species(one: "Sample") -> np.ndarray:
        return accumulated(one, np.array([size_at_coverage(one, coverage)]))

    size = size_at_coverage(sample, coverage)
    if not np.isfinite(size):
        raise LinkwaysError(f"{ID}: at_coverage {coverage} is more than any sample of these {basis} reaches; lower it")
    se = bootstrapped(sample, species, repeats, rng)[0] if repeats else np.nan
    return pd.DataFrame(
        {
            "basis": [basis],
            "coverage": coverage,
            "size": size,
            "species": species(sample)[0],
            "se": se,
            "kind": "extrapolated" if size > sample.size else "rarefied",
        }
    )


def _sites(events: "pd.DataFrame", effort: "pd.DataFrame | None") -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._diversity_estimates import Sample, observed

    names = list(dict.fromkeys(effort["site"].astype("str"))) if effort is not None else []
    of = events["site"].astype("str")
    names += sorted(set(of) - set(names))
    rows = []
    for name in names:
        counts = events.loc[of == name, "species"].value_counts().to_numpy()
        hill = observed(Sample(counts, int(counts.sum()), False)) if counts.size else np.zeros(3)
        rows.append([name, int(counts.sum()), int(hill[0]), float(hill[1]), float(hill[2])])
    return pd.DataFrame(rows, columns=["site", "events", "species", "shannon", "simpson"])
