"""Detection histories from camera traps, for occupancy models."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Indicator, Param, Table, TableOf, method

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._camera_occasions import Occasions
    from linkways.populations._camera_survey import Survey

__all__ = ["DetectionHistories", "detection_histories"]

ID = "populations.detection_histories"


@dataclass(frozen=True)
class DetectionHistories:
    """Whether a species was detected at each site on each occasion, and how long cameras looked."""

    histories: Annotated[
        "pd.DataFrame",
        TableOf(
            "site, season (where asked for), occasion, detected (1, 0, or empty where nothing looked), effort_days, "
            "and the covariates"
        ),
    ]
    occasions: Annotated["pd.DataFrame", TableOf("site, occasion, start, end (UTC), effort_days")]
    wide: Annotated["pd.DataFrame | None", TableOf("one row for each site (and season), one column for each occasion")]
    wide_effort: Annotated["pd.DataFrame | None", TableOf("effort_days in the form of wide")]
    detections: Annotated[int, Indicator("occasions with a detection, of all sites")]
    surveyed: Annotated[int, Indicator("occasions of all sites on which cameras looked")]
    naive_occupancy: Annotated[float, Indicator("share of sites with a detection")]


@method(
    ID,
    references=(
        "MacKenzie DI, Nichols JD, Royle JA et al. (2018) Occupancy estimation and modeling, 2nd ed. Academic Press",
        "Niedballa J, Sollmann R, Courtiol A, Wilting A (2016) camtrapR: an R package for efficient camera trap data "
        "management. Methods in Ecology and Evolution 7:1457-1462",
    ),
)
def detection_histories(
    deployments: Annotated[
        "pd.DataFrame",
        Table(
            "deployments in the columns of Camtrap DP",
            columns=("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
        ),
    ],
    observations: Annotated[
        "pd.DataFrame",
        Table("observations in the columns of Camtrap DP", columns=("deploymentID", "eventStart", "scientificName")),
    ],
    failures: Annotated[
        "pd.DataFrame | None",
        Table("when cameras did not work: deploymentID, start, end, reason", columns=("deploymentID", "start", "end")),
    ] = None,
    *,
    species: Annotated[str, Param("scientific name of the species")],
    occasion_days: Annotated[float, Param("length of an occasion", "days", gt=0)] = 7.0,
    occasion_start: Annotated[
        Literal["site", "survey"], Param("occasions count from the first set-up at the site, or of the whole survey")
    ] = "site",
    start_hour: Annotated[
        float | None,
        Param(
            "hour of the clock at which occasions begin (0 is midnight); the moment of set-up without it",
            "h",
            ge=0,
            lt=24,
        ),
    ] = None,
    min_effort_days: Annotated[float, Param("occasions with less effort are empty", "camera days", ge=0)] = 0.0,
    covariates: Annotated[
        list[str] | None, Param("columns of deployments to carry on, from the one that worked longest in the occasion")
    ] = None,
    season: Annotated[
        str | None,
        Param(
            "column of deployments that names the season, or year for the year an occasion begins in; none without it"
        ),
    ] = None,
    wide: Annotated[bool, Param("also give the histories with one column for each occasion")] = False,
    site: Annotated[
        Literal["deployment", "location"], Param("what a site is: each deployment, or all of one locationID")
    ] = "deployment",
    level: Annotated[
        Literal["auto", "event", "media"],
        Param("which observations are used; auto: those of events where there are some, else those of media"),
    ] = "auto",
    kinds: Annotated[
        list[str] | None, Param("observation types that count: animal, human, vehicle; animal without it")
    ] = None,
    time_zone: Annotated[
        str | None, Param("IANA zone of the clock; the offset that a deployment's own times have without it")
    ] = None,
    invalid: Annotated[
        Literal["refuse", "leave out"],
        Param("what becomes of rows that break a rule of import_camtrapdp, and of detections without effort"),
    ] = "refuse",
    same_place_m: Annotated[
        float, Param("deployments this close are one place for an individual seen at both", "m", ge=0)
    ] = 50.0,
) -> DetectionHistories:
    """Detection histories of a species, one row for each site and occasion, as `occupancy` takes them.

    Occasions are windows of ``occasion_days`` that follow each other from the set-up of the site or the survey to the
    site's last take-down. A species is detected where any of its observations begins in the window; it is not detected
    where none does and cameras worked; the rest is empty. Effort is what cameras worked in the window, failures left
    out, in camera days; the first and last windows of a site may be short, so effort belongs among the covariates of
    detection. Without ``start_hour`` a day is 24 hours; with it, it is a day of the clock.

    Raises LinkwaysError for a species that was never recorded, a detection in a window without effort (unless left
    out), a covariate or season that is no column or has no value, and what `cameras` refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> deployments = pd.DataFrame({"deploymentID": ["a"], "latitude": [37.9], "longitude": [57.2]})
    >>> deployments["deploymentStart"], deployments["deploymentEnd"] = "2024-03-01T00:00:00Z", "2024-03-18T00:00:00Z"
    >>> seen = pd.DataFrame({"deploymentID": ["a"], "scientificName": "Panthera pardus"})
    >>> seen["eventStart"] = "2024-03-09T21:10:00Z"
    >>> populations.detection_histories(deployments, seen, species="Panthera pardus").histories
      site  occasion  detected  effort_days
    0    a         1       0.0          7.0
    1    a         2       1.0          7.0
    2    a         3       0.0          3.0
    """
    from linkways.populations._camera_occasions import idle_records, occasions_of, table_of, window_of
    from linkways.populations._camera_survey import chosen_species, read_survey

    survey = read_survey(
        deployments,
        observations,
        failures,
        method=ID,
        site=site,
        level=level,
        kinds=kinds or ["animal"],
        invalid=invalid,
        time_zone=time_zone,
        same_place_m=same_place_m,
    )
    chosen_species(survey.records.names, [species], ID)
    occasions = occasions_of(survey, occasion_days, occasion_start, start_hour)
    mine = survey.records.species == survey.records.names.index(species)
    at = survey.records.deployment[mine]
    window = window_of(occasions, survey.site[at], survey.records.seconds[mine])
    detected = np.zeros(len(occasions.site))
    detected[window] = 1.0
    looked = (occasions.effort_days > 0) & (occasions.effort_days >= min_effort_days)
    idle_records(survey, occasions, window, survey.records.row[mine], invalid, ID)
    detected[~looked] = np.nan
    found = _table(survey, occasions, detected, covariates or [], season)
    seen = detected == 1
    by_season = ["season"] if season is not None else []
    return DetectionHistories(
        histories=found,
        occasions=table_of(survey, occasions),
        wide=_wide(found, "detected", by_season) if wide else None,
        wide_effort=_wide(found, "effort_days", by_season) if wide else None,
        detections=int(seen.sum()),
        surveyed=int(looked.sum()),
        naive_occupancy=len(np.unique(occasions.site[seen])) / len(survey.sites),
    )


def _table(
    survey: "Survey", occasions: "Occasions", detected: np.ndarray, covariates: list[str], season: str | None
) -> "pd.DataFrame":
    import pandas as pd

    for name in (*covariates, *([season] if season not in (None, "year") else [])):
        if name not in survey.table:
            columns = [str(c) for c in survey.table.columns]
            raise LinkwaysError(f"{ID}: the table deployments has no column '{name}'{nearest(str(name), columns)}")
    # a window without effort still has the place of its site
    some = np.full(len(survey.sites), -1)
    some[survey.site[::-1]] = np.arange(len(survey.deployments))[::-1]
    at = np.where(occasions.deployment >= 0, occasions.deployment, some[occasions.site])
    found = pd.DataFrame({"site": survey.sites[occasions.site], "occasion": occasions.number, "detected": detected})
    if season is not None:
        if season == "year":
            values = pd.Series(occasions.clock.astype("datetime64[s]")).dt.year.to_numpy()
        else:
            values = survey.table[season].to_numpy()[at]
        missing = pd.isna(values)
        if missing.any():
            name = survey.deployments[at[np.flatnonzero(missing)[0]]]
            raise LinkwaysError(f"{ID}: deployment {name} has no {season}, which names its season; fill it in")
        found.insert(1, "season", values)
        found["occasion"] = found.groupby(["site", "season"], sort=False).cumcount() + 1
    found["effort_days"] = occasions.effort_days
    for name in covariates:
        found[name] = survey.table[name].to_numpy()[at]
    return found


def _wide(found: "pd.DataFrame", values: str, by_season: list[str]) -> "pd.DataFrame":
    """One row for each site in the order of the table, one column for each occasion."""
    table = found.pivot_table(
        index=["site", *by_season], columns="occasion", values=values, aggfunc="first", dropna=False, sort=False
    )
    order = found.drop_duplicates(["site", *by_season]).set_index(["site", *by_season]).index
    table = table.reindex(order)[sorted(table.columns)]
    table.columns = [f"occasion_{number}" for number in table.columns]
    return table.reset_index()
