"""Capture histories of known individuals from camera traps, for spatial capture-recapture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.populations._camera_occasions import Occasions
    from linkways.populations._camera_survey import Survey

__all__ = ["CaptureHistories", "capture_histories"]

ID = "populations.capture_histories"


@dataclass(frozen=True)
class CaptureHistories:
    """Which individual was captured where and when, and when each detector worked."""

    captures: Annotated["pd.DataFrame", TableOf("individual, occasion, detector, count, sex")]
    detectors: Annotated[
        "gpd.GeoDataFrame", Layer("detector, x, y (m in the layer's CRS), effort_days, captures, individuals")
    ]
    effort: Annotated["pd.DataFrame", TableOf("detector, occasion, effort (camera days)")]
    individuals: Annotated[
        "pd.DataFrame",
        TableOf(
            "individual, sex, captures, occasions, detectors, first, last, farthest_m (between two of its detectors)"
        ),
    ]
    conflicts: Annotated[
        "pd.DataFrame",
        TableOf(
            "rows that give no sure capture: table, row, field, value, why, outcome (rejected: left out; told: kept)"
        ),
    ]
    individuals_known: Annotated[int, Indicator("individuals")]
    captures_total: Annotated[int, Indicator("captures: an individual at a detector on an occasion")]
    recaptures_elsewhere: Annotated[
        int, Indicator("detectors at which an individual was captured again, beyond its first")
    ]
    occasions: Annotated[int, Indicator("occasions")]


@method(
    ID,
    references=(
        "Royle JA, Chandler RB, Sollmann R, Gardner B (2014) Spatial capture-recapture. Academic Press",
        "Efford MG (2004) Density estimation in live-trapping studies. Oikos 106:598-610",
    ),
)
def capture_histories(
    deployments: Annotated[
        "pd.DataFrame",
        Table(
            "deployments in the columns of Camtrap DP",
            columns=("deploymentID", "latitude", "longitude", "deploymentStart", "deploymentEnd"),
        ),
    ],
    observations: Annotated[
        "pd.DataFrame",
        Table(
            "observations in the columns of Camtrap DP",
            columns=("deploymentID", "eventStart", "scientificName", "individualID"),
        ),
    ],
    failures: Annotated[
        "pd.DataFrame | None",
        Table("when cameras did not work: deploymentID, start, end, reason", columns=("deploymentID", "start", "end")),
    ] = None,
    *,
    species: Annotated[str, Param("scientific name of the species")],
    occasion_days: Annotated[
        float | None, Param("length of an occasion; the whole survey is one without it", "days", gt=0)
    ] = 1.0,
    start_hour: Annotated[
        float | None,
        Param(
            "hour of the clock at which occasions begin (12 for nights); the first set-up without it", "h", ge=0, lt=24
        ),
    ] = 12.0,
    independence_minutes: Annotated[
        float, Param("records of an individual at a detector this far apart count as two", "minutes", ge=0)
    ] = 60.0,
    site: Annotated[
        Literal["location", "deployment"],
        Param("what a detector is: all cameras of one locationID (two for both flanks), or each deployment"),
    ] = "location",
    project_to: Annotated[
        str | None, Param("CRS of the detectors, in metres; the UTM zone of their middle without it")
    ] = None,
    level: Annotated[
        Literal["auto", "event", "media"],
        Param("which observations are used; auto: those of events where there are some, else those of media"),
    ] = "auto",
    time_zone: Annotated[
        str | None, Param("IANA zone of the clock; the offset that a deployment's own times have without it")
    ] = None,
    invalid: Annotated[
        Literal["refuse", "leave out"], Param("what becomes of rows that break a rule of import_camtrapdp")
    ] = "refuse",
    same_place_m: Annotated[
        float, Param("deployments this close are one place for an individual seen at both", "m", ge=0)
    ] = 50.0,
) -> CaptureHistories:
    """Capture histories of the individuals of a species and the detectors with their effort, as `capture` takes them.

    Occasions count from the first set-up of the survey for all detectors alike. ``count`` is the number of independent
    records of the individual at the detector on the occasion. A detector stands at the mean place of its deployments.
    Observations of the species without an individual, and individuals named female as well as male (their sex is then
    left open), are listed under ``conflicts``; an individual at two places at once is refused, or left out and listed.

    Raises LinkwaysError for a species without known individuals, a CRS that is not in metres, and what `cameras`
    refuses.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> deployments = pd.DataFrame({"deploymentID": ["a", "b"], "latitude": [37.9, 38.0], "longitude": [57.2, 57.2]})
    >>> deployments["deploymentStart"], deployments["deploymentEnd"] = "2024-03-01T12:00:00Z", "2024-03-04T12:00:00Z"
    >>> seen = pd.DataFrame({"deploymentID": ["a", "b"], "scientificName": "Panthera pardus", "individualID": "F1"})
    >>> seen["eventStart"], seen["sex"] = ["2024-03-01T23:10:00Z", "2024-03-04T01:30:00Z"], "female"
    >>> populations.capture_histories(deployments, seen, species="Panthera pardus", site="deployment").captures
      individual  occasion detector  count     sex
    0         F1         1        a      1  female
    1         F1         3        b      1  female
    """
    from linkways.populations._camera_occasions import idle_records, occasions_of, window_of
    from linkways.populations._camera_survey import chosen_species, read_survey, spans

    survey = read_survey(
        deployments,
        observations,
        failures,
        method=ID,
        site=site,
        level=level,
        kinds=["animal"],
        invalid=invalid,
        time_zone=time_zone,
        same_place_m=same_place_m,
    )
    records = survey.records
    chosen_species(records.names, [species], ID)
    mine = records.species == records.names.index(species)
    known = np.flatnonzero(mine & (records.individual != None))  # noqa: E711 - element by element
    if not len(known):
        raise LinkwaysError(
            f"{ID}: no observation of {species} names an individual (individualID), so there are no captures; name "
            "them, or use populations.detection_histories"
        )
    first, last = spans(survey)
    days = occasion_days if occasion_days is not None else float(np.ceil((last.max() - first.min()) / 86400) + 1)
    occasions = occasions_of(survey, days, "survey", start_hour)
    window = window_of(occasions, survey.site[records.deployment[known]], records.seconds[known])
    known = known[~idle_records(survey, occasions, window, records.row[known], invalid, ID)]
    unnamed = records.row[mine & (records.individual == None)]  # noqa: E711
    sexes, odd = _sexes(records.individual[known], records.sex[known], records.row[known])
    captures = _captures(survey, occasions, known, independence_minutes, sexes)
    _tell(survey, unnamed, odd)
    detectors = _detectors(survey, captures, project_to)
    rows = survey.findings.broken_table()
    telling = (rows["outcome"] == "rejected") | rows["field"].isin(("individualID", "sex"))
    individuals = _individuals(captures, detectors, survey, known)
    return CaptureHistories(
        captures=captures,
        detectors=detectors,
        effort=_effort(survey, occasions),
        individuals=individuals,
        conflicts=rows[telling].reset_index(drop=True),
        individuals_known=len(individuals),
        captures_total=len(captures),
        recaptures_elsewhere=int((individuals["detectors"] - 1).sum()),
        occasions=int(occasions.number.max()),
    )


def _sexes(who: np.ndarray, sex: np.ndarray, rows: np.ndarray) -> tuple[dict[str, str | None], np.ndarray]:
    """The sex of each individual, None where it is not told or told both ways, and the rows of those."""
    told: dict[str, set[str]] = {}
    for one, its in zip(who, sex, strict=True):
        told.setdefault(one, set())
        if its is not None:
            told[one].add(its)
    both = {one for one, known in told.items() if len(known) > 1}
    odd = rows[[one in both and its is not None for one, its in zip(who, sex, strict=True)]]
    return {one: next(iter(known)) if len(known) == 1 else None for one, known in told.items()}, odd


def _tell(survey: "Survey", unnamed: np.ndarray, odd: np.ndarray) -> None:
    table = survey.observations
    n = len(survey.records.row)
    add = survey.findings.add
    add(table, "names an individual", "individualID", n, unnamed, "of no known individual; no capture", reject=False)
    why = "its individual is told female as well as male; its sex is left open"
    add(table, "one sex for an individual", "sex", n, odd, why, reject=False)


def _captures(
    survey: "Survey", occasions: "Occasions", known: np.ndarray, gap_minutes: float, sexes: dict[str, str | None]
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._camera_events import independent
    from linkways.populations._camera_occasions import window_of

    records = survey.records
    detector = survey.site[records.deployment[known]]
    who, names = pd.factorize(records.individual[known], sort=True)
    window = window_of(occasions, detector, records.seconds[known])
    order, kept = independent(
        who * len(survey.sites) + detector, records.seconds[known], gap_minutes * 60, "last independent"
    )
    number = np.zeros(len(known), int)
    number[order] = kept
    found = pd.DataFrame(
        {
            "individual": np.asarray(names, object)[who],
            "occasion": occasions.number[window],
            "detector": survey.sites[detector],
            "count": number,
        }
    )
    # a record soon after one of the occasion before is a capture of this occasion all the same
    found = found.groupby(["individual", "occasion", "detector"], sort=True)["count"].sum().reset_index()
    found["count"] = found["count"].clip(lower=1)
    found["sex"] = [sexes[one] for one in found["individual"]]
    return found


def _detectors(survey: "Survey", captures: "pd.DataFrame", project_to: str | None) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely
    from pyproj.exceptions import CRSError

    points = gpd.GeoDataFrame(
        {"detector": survey.sites, "effort_days": survey.site_effort_days},
        geometry=shapely.points(*survey.site_places()),
        crs="EPSG:4326",
    )
    try:
        layer = points.to_crs(project_to if project_to is not None else points.estimate_utm_crs())
    except CRSError:
        raise LinkwaysError(f"{ID}: project_to '{project_to}' is not a CRS; write it like EPSG:32640") from None
    unit = layer.crs.axis_info[0].unit_name if layer.crs is not None else ""
    if unit not in ("metre", "meter"):
        raise LinkwaysError(f"{ID}: project_to {project_to} is in {unit}s; name a CRS in metres")
    layer.insert(1, "x", layer.geometry.x)
    layer.insert(2, "y", layer.geometry.y)
    by_detector = captures.groupby("detector")
    layer["captures"] = layer["detector"].map(by_detector.size()).fillna(0).astype(int)
    layer["individuals"] = layer["detector"].map(by_detector["individual"].nunique()).fillna(0).astype(int)
    return layer


def _effort(survey: "Survey", occasions: "Occasions") -> "pd.DataFrame":
    """Every detector on every occasion, 0 where it was not there."""
    import pandas as pd

    last = int(occasions.number.max())
    effort = np.zeros((len(survey.sites), last))
    effort[occasions.site, occasions.number - 1] = occasions.effort_days
    return pd.DataFrame(
        {
            "detector": np.repeat(survey.sites, last),
            "occasion": np.tile(np.arange(1, last + 1), len(survey.sites)),
            "effort": effort.ravel(),
        }
    )


def _individuals(
    captures: "pd.DataFrame", detectors: "gpd.GeoDataFrame", survey: "Survey", known: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    places = detectors.set_index("detector")[["x", "y"]]

    def farthest(names: "pd.Series") -> float:
        xy = places.loc[names.unique()].to_numpy()
        return float(np.sqrt(((xy[:, None] - xy[None]) ** 2).sum(axis=2)).max())

    times = pd.Series(survey.records.seconds[known]).groupby(survey.records.individual[known])
    groups = captures.groupby("individual", sort=True)
    found = pd.DataFrame(
        {
            "sex": groups["sex"].first(),
            "captures": groups.size(),
            "occasions": groups["occasion"].nunique(),
            "detectors": groups["detector"].nunique(),
        }
    )
    for name, moments in (("first", times.min()), ("last", times.max())):
        found[name] = pd.DatetimeIndex(moments.reindex(found.index).to_numpy().astype("datetime64[s]"), tz="UTC")
    found["farthest_m"] = groups["detector"].agg(farthest)
    return found.rename_axis("individual").reset_index()
