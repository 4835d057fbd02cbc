"""What a crossing, a fence or a corridor changed: before and after, at control and impact sites."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Param, Table, TableOf, method, progress_between

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

    from linkways.populations._impact_effects import Found
    from linkways.populations._impact_power import Plan

__all__ = ["Impact", "impact"]

ID = "populations.impact"
CROSSINGS = ("roadUnderpass", "roadOverpass", "culvert")


@dataclass(frozen=True)
class Impact:
    """The effect of a change, and what monitoring would find it."""

    effects: Annotated[
        "pd.DataFrame | None",
        TableOf(
            "method, measure (ratio, odds ratio, change in probability): estimate, se (of the logarithm of ratios), "
            "low, high, p, status; of counts by the model, by totals and exactly"
        ),
    ]
    coefficients: Annotated[
        "pd.DataFrame | None",
        TableOf("term: estimate, se, low, high; spreads of random effects are standard deviations"),
    ]
    cells: Annotated[
        "pd.DataFrame | None",
        TableOf("period, treatment: count, effort and rate, or sites, naive and psi for occupancy"),
    ]
    power: Annotated[
        "pd.DataFrame | None",
        TableOf(
            "sites (of each treatment), visits (of each period), effect: power with 95 % interval, mean_ratio, "
            "coverage of intervals, failed (simulations without any count in a part)"
        ),
    ]
    effect: Annotated[
        float, Indicator("factor by which the change multiplied counts (or the odds of occupancy) at impact sites")
    ]
    effect_low: Annotated[float, Indicator("lower end of its interval")]
    effect_high: Annotated[float, Indicator("upper end of its interval")]
    p_value: Annotated[float, Indicator("two-sided, of no effect")]
    figure: Annotated["matplotlib.figure.Figure", Figure("what was found before and after; power by number of sites")]


@method(
    ID,
    references=(
        "Stewart-Oaten A, Murdoch WW, Parker KR (1986) Environmental impact assessment: pseudoreplication in time? "
        "Ecology 67:929-940 (BACI)",
        "Roedenbeck IA, Fahrig L, Findlay CS et al. (2007) The Rauischholzhausen agenda for road ecology. Ecology and "
        "Society 12:11 (before-after-control-impact for roads)",
        "Breslow NE, Clayton DG (1993) Approximate inference in generalized linear mixed models. Journal of the "
        "American Statistical Association 88:9-25 (Laplace)",
        "MacKenzie DI, Nichols JD, Lachman GB et al. (2002) Ecology 83:2248-2255 (occupancy)",
    ),
)
def impact(
    surveys: Annotated[
        "pd.DataFrame | None",
        Table(
            "site, period (before, after), treatment (control, impact), count, optional effort and time (an occasion "
            "that sites share); for occupancy: occasion, detected (1, 0, empty) and covariates instead of count",
            columns=("site", "period", "treatment"),
        ),
    ] = None,
    deployments: Annotated[
        "pd.DataFrame | None",
        Table(
            "instead of surveys: deployments of cameras in the columns of Camtrap DP, featureType with them",
            columns=("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
        ),
    ] = None,
    observations: Annotated[
        "pd.DataFrame | None",
        Table("their observations", columns=("deploymentID", "eventStart", "scientificName")),
    ] = None,
    *,
    response: Annotated[
        Literal["counts", "occupancy"], Param("what changes: counts, or whether a site is used at all")
    ] = "counts",
    family: Annotated[
        Literal["poisson", "negative_binomial"], Param("how counts vary: Poisson, or with overdispersion")
    ] = "negative_binomial",
    random: Annotated[
        Literal["site and time", "site", "none"], Param("what rows have in common; time where that column is there")
    ] = "site and time",
    detection: Annotated[Sequence[str], Param("terms of detection (occupancy)")] = (),
    species: Annotated[str | None, Param("scientific name (deployments)")] = None,
    change_date: Annotated[str | None, Param("when the crossing opened (deployments): 2021-05-01")] = None,
    features: Annotated[
        Sequence[str], Param("featureTypes that are impact sites (deployments); all others are controls")
    ] = CROSSINGS,
    independence_minutes: Annotated[
        float, Param("records this far apart are independent events (deployments)", "minutes", ge=0)
    ] = 30.0,
    confidence: Annotated[float, Param("confidence of intervals; power is at this level", gt=0, lt=1)] = 0.95,
    power_sites: Annotated[Sequence[int], Param("plans to judge: sites of each treatment", ge=2)] = (),
    power_visits: Annotated[Sequence[int], Param("plans to judge: visits to each site in each period", ge=1)] = (),
    power_effects: Annotated[Sequence[float], Param("effects that a plan should find: 2 doubles counts", gt=0)] = (
        2.0,
    ),
    simulations: Annotated[int, Param("simulated surveys of each plan", ge=10)] = 200,
    rate: Annotated[
        float | None, Param("count of a visit to a control site before (plans); that of surveys without it", gt=0)
    ] = None,
    site_sd: Annotated[
        float | None, Param("sd of log counts among sites (plans); that of surveys, or 0.5", ge=0)
    ] = None,
    time_sd: Annotated[float | None, Param("sd of log counts among times (plans); that of surveys, or 0", ge=0)] = None,
    size: Annotated[
        float | None, Param("size of the negative binomial (plans); that of surveys, or Poisson without", gt=0)
    ] = None,
    seed: Annotated[int, Param("of the simulated surveys", ge=0)] = 0,
) -> Impact:
    """The effect of a crossing, fence or corridor (BACI), and how many sites and visits would find one.

    log E[count] = b0 + b1 after + b2 impact + b3 after x impact + site + time + log effort, site and time normal: the
    effect is exp(b3), the change at impact sites beyond that at control sites. Poisson, or negative binomial with
    variance mu + mu^2 / size; random effects by Laplace's method with exact gradients; a spread that comes out as
    nothing is left out and told. Beside it stand the saturated Poisson of the four totals, se = sqrt(sum 1 / count),
    and Fisher's exact interval given their margins; both take all counts as independent, and are too sure where sites
    differ. Where a part has no count the effect has no estimate, only the exact interval.

    For ``occupancy`` psi ~ after x impact, each site and period a unit, with the effect as odds ratio and as change in
    probability, (after - before) at impact less that at control sites, and standard errors clustered by site.

    Camera traps: events and camera days are those of `cameras`; each deployment is a row, its location the site, its
    month the time. Plans are simulated as the model says, analysed by it, and found when the interval excludes 1.

    Raises LinkwaysError for missing parts of the design, a site that is both, counts below 0, and deployments over the
    change.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> surveys = pd.DataFrame(
    ...     {"site": ["c", "c", "road", "road"], "period": ["before", "after"] * 2,
    ...      "treatment": ["control"] * 2 + ["impact"] * 2, "count": [20, 25, 10, 30], "effort": [100, 100, 90, 110]}
    ... )
    >>> found = populations.impact(surveys, family="poisson", random="none")
    >>> found.effects[["method", "estimate", "low", "high"]].round(2)
                            method  estimate   low  high
    0                        model      1.96  0.78  4.96
    1  saturated Poisson of totals      1.96  0.78  4.96
    2           exact, from totals      1.94  0.71  5.58
    """
    from linkways.populations._impact_effects import from_counts, from_detections
    from linkways.populations._impact_power import draw, power_table
    from linkways.populations._impact_surveys import read_counts

    planned = bool(power_sites or power_visits)
    _refuse_unused(surveys, deployments, observations, species, change_date, planned, response, detection)
    if deployments is not None and observations is not None:
        surveys = _from_cameras(deployments, observations, species, change_date, features, independence_minutes)
    found = None
    if surveys is not None and response == "occupancy":
        found = from_detections(surveys, detection, confidence)
    elif surveys is not None:
        found = from_counts(read_counts(surveys), family, random, confidence)
    power = None
    if planned:
        plan = _plan(found, rate, site_sd, time_sd, size)
        sites, visits = list(power_sites) or [10], list(power_visits) or [4]
        with progress_between(0.2, 0.95):
            power = power_table(plan, sites, visits, list(power_effects), simulations, confidence, seed)
    # at the boundary of counts the last row, which is exact, has an interval all the same
    first = None if found is None else found.effects.iloc[0 if found.fit is not None or response != "counts" else -1]
    return Impact(
        effects=None if found is None else found.effects,
        coefficients=None if found is None else found.coefficients,
        cells=None if found is None else found.cells,
        power=power,
        effect=np.nan if first is None else float(first["estimate"]),
        effect_low=np.nan if first is None else float(first["low"]),
        effect_high=np.nan if first is None else float(first["high"]),
        p_value=np.nan if first is None else float(first["p"]),
        figure=draw(found, power, confidence),
    )


def _refuse_unused(
    surveys: "pd.DataFrame | None",
    deployments: "pd.DataFrame | None",
    observations: "pd.DataFrame | None",
    species: str | None,
    change_date: str | None,
    planned: bool,
    response: str,
    detection: Sequence[str],
) -> None:
    cameras = deployments is not None
    wrong = {
        "give surveys or deployments, not both": surveys is not None and cameras,
        "give surveys, deployments, or plans to judge (power_sites, power_visits)": surveys is None
        and not cameras
        and not planned,
        "deployments and observations belong together; give both": cameras != (observations is not None),
        "deployments need species and change_date; name them": cameras and (species is None or change_date is None),
        "species and change_date belong to deployments; leave them out": not cameras
        and (species is not None or change_date is not None),
        "detection is of response occupancy; leave it out": bool(detection) and response != "occupancy",
        "deployments are told in counts; for occupancy make surveys from detection_histories": cameras
        and response == "occupancy",
        "plans are of counts; leave power_sites and power_visits out or choose response counts": planned
        and response == "occupancy",
    }
    for words, is_so in wrong.items():
        if is_so:
            raise LinkwaysError(f"{ID}: {words}")


def _from_cameras(
    deployments: "pd.DataFrame",
    observations: "pd.DataFrame",
    species: str | None,
    change_date: str | None,
    features: Sequence[str],
    independence_minutes: float,
) -> "pd.DataFrame":
    from linkways.populations._impact_surveys import camera_surveys

    assert species is not None
    assert change_date is not None
    return camera_surveys(deployments, observations, species, change_date, features, independence_minutes)


def _plan(
    found: "Found | None", rate: float | None, site_sd: float | None, time_sd: float | None, size: float | None
) -> "Plan":
    """What is expected, as given or as found in surveys; surveys with one visit a site tell no spread."""
    from linkways.populations._impact_power import Plan

    fit = None if found is None else found.fit
    if rate is None:
        if found is None or not found.cells["count"].iloc[0]:
            raise LinkwaysError(f"{ID}: plans need rate, the count of a visit to a control site before; give it")
        rate = float(found.cells["count"].iloc[0] / found.cells["rows"].iloc[0])
    return Plan(
        rate=rate,
        site_sd=site_sd if site_sd is not None else (0.5 if fit is None else fit.spread("site")),
        time_sd=time_sd if time_sd is not None else (0.0 if fit is None else fit.spread("time")),
        size=size if size is not None else (np.inf if fit is None else fit.spread("size")),
    )
