"""Camera traps: effort, independent events and how often each species was recorded, with intervals."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.method import Figure, Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.figure import Figure as Drawing

__all__ = ["CameraSurvey", "cameras"]

ID = "populations.cameras"


@dataclass(frozen=True)
class CameraSurvey:
    """What a camera trap survey recorded, and how much it looked."""

    effort: Annotated[
        "pd.DataFrame",
        TableOf("deploymentID, site, start, end (UTC), days, failures, failed_days, effort_days (camera days)"),
    ]
    events: Annotated[
        "pd.DataFrame",
        TableOf(
            "independent events: event, site, deploymentID, species, time (UTC), local_time, records, individuals "
            "(most at once), latitude, longitude, timestamp_issues"
        ),
    ]
    rai: Annotated[
        "pd.DataFrame",
        TableOf(
            "species, events, individuals, sites_detected, sites, naive_occupancy, effort_days, rai (events per 100 "
            "camera days), rai_low, rai_high"
        ),
    ]
    rai_by_site: Annotated["pd.DataFrame", TableOf("site, species, events, effort_days, rai; zeros included")]
    sites: Annotated[
        "gpd.GeoDataFrame", Layer("sites: deployments, effort_days, events, species, and the RAI of each species")
    ]
    checks: Annotated[
        "pd.DataFrame",
        TableOf("every rule: table, field, rule, rows_checked, rows_broken, outcome (kept, told, rejected), first_row"),
    ]
    rows: Annotated[
        "pd.DataFrame", TableOf("every row that broke a rule: table, row, field, value, why, outcome (rejected, told)")
    ]
    operation: Annotated["Drawing", Figure("when cameras worked, failed, and recorded a species")]
    total_effort_days: Annotated[float, Indicator("effort of all cameras", unit="camera days")]
    total_events: Annotated[int, Indicator("independent events")]
    species_recorded: Annotated[int, Indicator("species recorded")]


@method(
    ID,
    references=(
        "O'Brien TG, Kinnaird MF, Wibisono HT (2003) Crouching tigers, hidden prey: Sumatran tiger and prey "
        "populations in a tropical forest landscape. Animal Conservation 6:131-139 (independent events, RAI)",
        "Niedballa J, Sollmann R, Courtiol A, Wilting A (2016) camtrapR: an R package for efficient camera trap data "
        "management. Methods in Ecology and Evolution 7:1457-1462 (the two rules of independence)",
        "Bubnicki JW, Norton B, Baskauf SJ et al. (2024) Camtrap DP: an open standard for the FAIR exchange and "
        "archiving of camera trap data. Remote Sensing in Ecology and Conservation 10:283-295",
    ),
)
def cameras(
    deployments: Annotated[
        "pd.DataFrame",
        Table(
            "deployments in the columns of Camtrap DP",
            columns=("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
        ),
    ],
    observations: Annotated[
        "pd.DataFrame",
        Table("observations in the columns of Camtrap DP", columns=("deploymentID", "eventStart")),
    ],
    failures: Annotated[
        "pd.DataFrame | None",
        Table("when cameras did not work: deploymentID, start, end, reason", columns=("deploymentID", "start", "end")),
    ] = None,
    *,
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
    independence_minutes: Annotated[
        float, Param("records of a species at a site this far apart are independent", "minutes", ge=0)
    ] = 30.0,
    independence_rule: Annotated[
        Literal["last independent", "last record"],
        Param("apart from the last independent record, or from the record before"),
    ] = "last independent",
    bootstrap: Annotated[int, Param("resamples of the sites for the intervals; none with 0", ge=0)] = 1000,
    confidence: Annotated[float, Param("confidence of the intervals", gt=0, lt=1)] = 0.95,
    seed: Annotated[int, Param("seed of the resampling", ge=0)] = 1,
    time_zone: Annotated[
        str | None, Param("IANA zone of local times; the offset that a deployment's own times have without it")
    ] = None,
    invalid: Annotated[
        Literal["refuse", "leave out"], Param("what becomes of rows that break a rule of import_camtrapdp")
    ] = "refuse",
    same_place_m: Annotated[
        float, Param("deployments this close are one place for an individual seen at both", "m", ge=0)
    ] = 50.0,
) -> CameraSurvey:
    """Effort, independent events and the relative abundance index (RAI) of each species of a camera trap survey.

    Effort is the time from set-up to take-down less the failures (those that overlap count once), in camera days; the
    cameras of a site add up. Observations at one level only are used, since those of events and of media tell the same
    animals twice. Of the records of a species at a site, in order of time, one is independent if it is
    ``independence_minutes`` or more after the last independent one, or after the record before it; both rules are in
    use and may differ by a fifth. ``RAI = 100 events / effort``, over all sites; its interval resamples sites
    (percentiles). The RAI compares places and times only as far as detection is alike.

    Rows are checked by the rules of `import_camtrapdp`. An observation outside its deployment, an event or deployment
    whose clock runs backwards, an individual at two places at once and a deployment without effort are refused, or
    left out and named.

    Raises LinkwaysError for such rows (unless left out), missing columns, a failure outside its deployment, and unknown
    zones.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> deployments = pd.DataFrame({"deploymentID": ["a"], "latitude": [37.9], "longitude": [57.2]})
    >>> deployments["deploymentStart"], deployments["deploymentEnd"] = "2024-03-01T00:00:00Z", "2024-03-21T00:00:00Z"
    >>> seen = pd.DataFrame({"deploymentID": "a", "scientificName": "Panthera pardus", "eventStart": [10, 25, 45]})
    >>> seen["eventStart"] = [f"2024-03-04T21:{minute}:00Z" for minute in seen["eventStart"]]
    >>> found = populations.cameras(deployments, seen)
    >>> found.rai[["species", "events", "effort_days", "rai"]]
               species  events  effort_days   rai
    0  Panthera pardus       2         20.0  10.0
    """
    from linkways.method import progress
    from linkways.populations._camera_events import (
        abundance_index,
        draw_operation,
        effort_table,
        event_table,
        site_layer,
        site_rates,
    )
    from linkways.populations._camera_survey import read_survey

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
    progress(0.85, "independent events and their rates")
    events = event_table(survey, independence_minutes, independence_rule)
    rates = site_rates(survey, events)
    return CameraSurvey(
        effort=effort_table(survey),
        events=events,
        rai=abundance_index(survey, events, rates, bootstrap, confidence, seed),
        rai_by_site=rates,
        sites=site_layer(survey, rates),
        checks=survey.findings.checks_table(),
        rows=survey.findings.broken_table(),
        operation=draw_operation(survey, events),
        total_effort_days=float(survey.effort_days.sum()),
        total_events=len(events),
        species_recorded=len(survey.records.names),
    )
