"""Camera trap tables from the export of Wildlife Insights."""

import os
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from linkways.method import Param, Table, method
from linkways.populations._camtrap_columns import where_known
from linkways.populations.import_camtrapdp import CameraTrapTables, checked_tables

if TYPE_CHECKING:
    import pandas as pd

    from linkways.populations._camtrap_dates import Moments

__all__ = ["import_wildlife_insights", "read_wildlife_insights"]

ID = "populations.import_wildlife_insights"
WORKING = "camera functioning"
FEATURES = {
    "road paved": "roadPaved",
    "road dirt": "roadDirt",
    "trail hiking": "trailHiking",
    "trail game": "trailGame",
    "road underpass": "roadUnderpass",
    "road overpass": "roadOverpass",
    "road bridge": "roadBridge",
    "culvert": "culvert",
    "burrow": "burrow",
    "nest site": "nestSite",
    "carcass": "carcass",
    "water source": "waterSource",
    "fruiting tree": "fruitingTree",
}


@method(
    ID,
    references=(
        "Ahumada JA, Fegraus E, Birch T et al. (2020) Wildlife Insights: a platform to maximize the potential of "
        "camera trap and other passive sensor wildlife data for the planet. Environmental Conservation 47:1-6",
    ),
)
def import_wildlife_insights(
    deployments: Annotated[
        "pd.DataFrame",
        Table(
            "deployments.csv of the export",
            columns=("deployment_id", "longitude", "latitude", "start_date", "end_date"),
        ),
    ],
    images: Annotated["pd.DataFrame", Table("images.csv of the export", columns=("deployment_id", "timestamp"))],
    *,
    time_zone: Annotated[str, Param("IANA zone of the cameras' clocks, which the export does not tell")],
    time_format: Annotated[
        str | None, Param("how times are written (codes of strftime), where a spreadsheet has changed them")
    ] = None,
    days: Annotated[
        Literal["whole days", "half days"],
        Param("what the days of set-up and take-down count, where only their dates are known"),
    ] = "whole days",
    failed_cameras: Annotated[
        Literal["worked", "until last image"],
        Param("how long cameras worked whose camera_functioning tells of a failure"),
    ] = "until last image",
    same_place_m: Annotated[
        float, Param("deployments this close are one place for an individual seen at both", "m", ge=0)
    ] = 50.0,
) -> CameraTrapTables:
    """The deployments and observations of a Wildlife Insights export as Camtrap DP tables, checked row by row.

    Each row of images.csv is an observation at the level of media. Blank images, people and vehicles are known by
    is_blank and the names Wildlife Insights gives them. ``scientificName`` is genus and species, or the finest of
    genus, family, order and class that is named. The event is the sequence where there is one. The placename is the
    location. Bait other than None is bait; feature types get the spelling of Camtrap DP, those it does not have are
    left empty. Cameras that failed (camera_functioning) are taken to have worked until their last image; the rest is
    the table ``failures``. A start or end at midnight is a date. The rules are those of `import_camtrapdp`;
    ``read_wildlife_insights`` reads a whole export: folder or zip file.

    Raises LinkwaysError for columns that are missing, a text that is no time, and an unknown zone.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import populations
    >>> deployments = pd.DataFrame({"deployment_id": ["d1"], "longitude": 57.2, "latitude": 37.9})
    >>> deployments["start_date"], deployments["end_date"] = "2024-03-01 00:00:00", "2024-05-01 00:00:00"
    >>> images = pd.DataFrame({"deployment_id": ["d1"], "image_id": ["i1"], "timestamp": ["2024-04-02 21:15:00"]})
    >>> images["genus"], images["species"], images["is_blank"] = "Panthera", "pardus", 0
    >>> found = populations.import_wildlife_insights(deployments, images, time_zone="Asia/Ashgabat")
    >>> found.observations[["deploymentID", "eventStart", "scientificName"]].iloc[0].to_list()
    ['d1', '2024-04-02T21:15:00+05:00', 'Panthera pardus']
    """
    import pandas as pd

    from linkways.populations._camtrap_dates import half_days, read_moments, span_of

    start, end = (
        read_moments(deployments[name], f"deployments.{name}", time_format, ID, midnight_is_day=True)
        for name in ("start_date", "end_date")
    )
    seen = read_moments(images["timestamp"], "images.timestamp", time_format, ID)
    names = _ids(deployments["deployment_id"])
    failures = [half_days(names, start, end, time_zone)] if days == "half days" else []
    if failed_cameras == "until last image" and "camera_functioning" in deployments:
        span = span_of(start, end)
        failures.append(_failures(deployments, images, names, span, seen, time_zone))
    frames = {
        "deployments": _deployments(deployments, names, span_of(start, end), (start.known, end.known), time_zone),
        "observations": _observations(images, seen, time_zone),
    }
    told = pd.concat(failures, ignore_index=True) if failures else None
    told = None if told is None or told.empty else told
    return checked_tables(frames, None, None, same_place_m, version="1.0", failures=told, method=ID)


def read_wildlife_insights(
    path: str | os.PathLike[str],
    *,
    time_zone: str,
    time_format: str | None = None,
    days: Literal["whole days", "half days"] = "whole days",
    failed_cameras: Literal["worked", "until last image"] = "until last image",
    same_place_m: float = 50.0,
) -> CameraTrapTables:
    """A whole export of Wildlife Insights (its folder, its deployments.csv, or the zip file), read and checked.

    All files whose name begins with ``images`` are read. Parameters and rules are those of `import_wildlife_insights`.

    Raises LinkwaysError when there is no deployments.csv or no table of images beside it.
    """
    import pandas as pd

    from linkways.errors import LinkwaysError
    from linkways.populations._camtrap_files import open_source, read_csv_text

    source = open_source(path, "deployments.csv", ID)
    files = [n for n in source.names if n.split("/")[-1].startswith("images") and n.endswith((".csv", ".csv.gz"))]
    if not files:
        raise LinkwaysError(f"{ID}: there is no images.csv beside deployments.csv in {path}; give the whole export")
    tables = [read_csv_text(source.open(name), name).to_pandas() for name in ("deployments.csv", *files)]
    return import_wildlife_insights(
        tables[0],
        pd.concat(tables[1:], ignore_index=True),
        time_zone=time_zone,
        time_format=time_format,
        days=days,
        failed_cameras=failed_cameras,
        same_place_m=same_place_m,
    )


def _ids(column: "pd.Series") -> np.ndarray:
    """Identifiers as text, None where there is none."""
    from linkways.populations._camtrap_columns import arrow_column, read_column
    from linkways.populations._camtrap_fields import CamtrapField

    found = read_column(CamtrapField(str(column.name)), arrow_column(column), None)
    return np.array(found.output.to_pylist(), object)


def _deployments(
    table: "pd.DataFrame",
    names: np.ndarray,
    span: tuple[np.ndarray, np.ndarray],
    known: tuple[np.ndarray, np.ndarray],
    time_zone: str,
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._camtrap_dates import camtrap_times

    found = pd.DataFrame({"deploymentID": names})
    for new, old in (("locationName", "placename"), ("latitude", "latitude"), ("longitude", "longitude")):
        if old in table:
            found[new] = table[old].to_numpy()
    if "placename" in table:
        found.insert(1, "locationID", _ids(table["placename"]))
    for new, clock, there in (("deploymentStart", span[0], known[0]), ("deploymentEnd", span[1], known[1])):
        found[new] = where_known(there, camtrap_times(clock, time_zone))
    for new, old in (("cameraID", "camera_id"), ("setupBy", "recorded_by")):
        if old in table:
            found[new] = _ids(table[old])
    if "detection_distance" in table:
        found["detectionDistance"] = pd.to_numeric(table["detection_distance"], errors="coerce").to_numpy()
    if "bait_type" in table:
        found["baitUse"] = ~table["bait_type"].fillna("None").astype(str).str.lower().isin(("none", "")).to_numpy()
    if "feature_type" in table:
        words = table["feature_type"].fillna("").astype(str).str.strip().str.lower()
        found["featureType"] = words.map(FEATURES).to_numpy()
    groups = [one for one in ("subproject_name", "event_name", "plot_treatment") if one in table]
    if groups:
        rows = table[groups].to_dict("records")
        found["deploymentGroups"] = [
            " | ".join(f"{name}:{row[name]}" for name in groups if row[name] == row[name] and row[name]) or None
            for row in rows
        ]
    return found


def _failures(
    table: "pd.DataFrame",
    images: "pd.DataFrame",
    names: np.ndarray,
    span: tuple[np.ndarray, np.ndarray],
    seen: "Moments",
    time_zone: str,
) -> "pd.DataFrame":
    """From the last image of a camera that failed to its take-down; the whole time where it has no image."""
    import pandas as pd

    from linkways.populations._camtrap_dates import camtrap_times

    words = table["camera_functioning"].fillna("").astype(str).str.strip()
    failed = np.flatnonzero(~words.str.lower().isin((WORKING, "")).to_numpy())
    last = pd.Series(seen.clock[seen.known]).groupby(_ids(images["deployment_id"])[seen.known]).max()
    begins = pd.Series(names[failed]).map(last).to_numpy(dtype=float)
    begins = np.where(np.isfinite(begins), begins, span[0][failed]).astype(np.int64)
    fine = begins < span[1][failed]
    failed, begins = failed[fine], begins[fine]
    return pd.DataFrame(
        {
            "deploymentID": names[failed],
            "start": camtrap_times(begins, time_zone),
            "end": camtrap_times(span[1][failed], time_zone),
            "reason": words.iloc[failed].to_numpy(),
        }
    )


# --- observations ----------------------------------------------------------------------------


def _observations(images: "pd.DataFrame", seen: "Moments", time_zone: str) -> "pd.DataFrame":
    import pandas as pd

    from linkways.populations._camtrap_dates import camtrap_times

    n = len(images)
    media = _ids(images["image_id"]) if "image_id" in images else np.full(n, None, object)
    # several animals of one image stand in several rows
    number = (
        pd.Series(np.where(pd.isna(media), "image", media)).groupby(np.where(pd.isna(media), "image", media)).cumcount()
    )
    named = [f"{one}_{k + 1}" for one, k in zip(np.where(pd.isna(media), "image", media), number, strict=True)]
    times = where_known(seen.known, camtrap_times(seen.clock, time_zone))
    found = pd.DataFrame({"observationID": named, "deploymentID": _ids(images["deployment_id"]), "mediaID": media})
    if "sequence_id" in images:
        found["eventID"] = _ids(images["sequence_id"])
    found["eventStart"] = found["eventEnd"] = times
    found["observationLevel"] = "media"
    name = _names(images)
    found["observationType"] = _kinds(images, name)
    found["scientificName"] = where_known(np.isin(found["observationType"], ("animal", "human")), name)
    if "number_of_objects" in images:
        count = pd.to_numeric(images["number_of_objects"], errors="coerce")
        found["count"] = count.where(count >= 1).to_numpy()
    for new, old, known in (
        ("lifeStage", "age", ("adult", "subadult", "juvenile")),
        ("sex", "sex", ("female", "male")),
    ):
        if old in images:
            words = images[old].astype("str").str.strip().str.lower()
            found[new] = words.where(words.isin(known), None).to_numpy()
    if "individual_id" in images:
        found["individualID"] = _ids(images["individual_id"])
    if "behavior" in images:
        found["behavior"] = _ids(images["behavior"])
    if "identified_by" in images:
        who = images["identified_by"].astype("str").str.lower()
        found["classifiedBy"] = _ids(images["identified_by"])
        machine = who.str.contains("computer vision", na=False).to_numpy(dtype=bool)
        by = np.where(machine, "machine", "human").astype(object)
        found["classificationMethod"] = where_known(images["identified_by"].notna().to_numpy(), by)
    if "cv_confidence" in images:
        found["classificationProbability"] = pd.to_numeric(images["cv_confidence"], errors="coerce").to_numpy()
    return found


def _names(images: "pd.DataFrame") -> np.ndarray:
    """Genus and species, or the finest rank that is named; None for none."""
    import pandas as pd

    n = len(images)

    def words(column: str) -> "pd.Series":
        if column not in images:
            return pd.Series([""] * n)
        text = images[column].fillna("").astype(str).str.strip().reset_index(drop=True)
        return text.where(~text.str.lower().isin(("no cv result", "unknown", "nan")), "")

    genus, species = words("genus"), words("species")
    found = (genus + " " + species).where((genus != "") & (species != ""), genus)
    for rank in ("family", "order", "class"):
        found = found.where(found != "", words(rank))
    return where_known((found != "").to_numpy(), found.to_numpy(dtype=object))


def _kinds(images: "pd.DataFrame", names: np.ndarray) -> np.ndarray:
    import pandas as pd

    n = len(images)
    common = images.get("common_name", pd.Series([""] * n)).fillna("").astype(str).str.strip().str.lower().to_numpy()
    blank = (
        images.get("is_blank", pd.Series([0] * n)).astype(str).str.lower().isin(("1", "1.0", "true", "yes")).to_numpy()
    )
    lower = np.array([str(one or "").lower() for one in names])
    kind = np.where(np.array([one is not None for one in names]), "animal", "unclassified").astype(object)
    kind[(common == "vehicle")] = "vehicle"
    kind[(lower == "homo sapiens") | np.isin(common, ("human", "human-camera trapper", "human-person"))] = "human"
    kind[(common == "blank") | blank] = "blank"
    return kind
