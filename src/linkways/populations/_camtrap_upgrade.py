"""Tables of Camtrap DP 0.1.6, as exports before 2023 hold them, told in the columns of 1.0."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["is_old", "upgraded"]

_NAMES = {
    "deployments": {
        "start": "deploymentStart",
        "end": "deploymentEnd",
        "cameraInterval": "cameraDelay",
        "tags": "deploymentTags",
        "comments": "deploymentComments",
    },
    "media": {"favourite": "favorite", "comments": "mediaComments"},
    "observations": {
        "sequenceID": "eventID",
        "timestamp": "eventStart",
        "behaviour": "behavior",
        "classificationConfidence": "classificationProbability",
        "comments": "observationComments",
    },
}
_DROPPED = ("_id", "countNew", "taxonID", "session", "array", "cameraSetup", "sequenceID")
_METHODS = {"motion detection": "activityDetection", "motionDetection": "activityDetection", "time lapse": "timeLapse"}


def is_old(frames: Mapping[str, Any]) -> bool:
    """Whether the tables have the columns of 0.1 (start, end and timestamp in place of those of events)."""

    def names(table: str) -> set[str]:
        frame = frames[table]
        return set(getattr(frame, "column_names", None) or map(str, getattr(frame, "columns", ())))

    deployments, observations = names("deployments"), names("observations")
    return {"start", "end"} <= deployments and "timestamp" in observations and "eventStart" not in observations


def upgraded(frames: Mapping[str, Any], method: str) -> "dict[str, pd.DataFrame]":
    """The tables in the columns of 1.0.

    An observation's event is its sequence, which ends with the last of its media (or when it began, where there are no
    media); an observation of one file is at the level of media. Feature types and capture methods get their new
    spelling; bait other than none is bait; life stage offspring is juvenile; unknown sex and life stage are left empty.
    New counts and taxon identifiers have no place in 1.0.

    Raises LinkwaysError for two columns that would become one.
    """
    found = {name: _as_text(frame) for name, frame in frames.items()}
    media = found.get("media")
    last = None
    if media is not None and {"sequenceID", "timestamp"} <= set(media.columns):
        last = media.dropna(subset=["sequenceID"]).groupby("sequenceID")["timestamp"].max()
    for name, frame in found.items():
        clash = [new for old, new in _NAMES[name].items() if old in frame and new in frame]
        if clash:
            raise LinkwaysError(
                f"{method}: the table {name} has the column {clash[0]} of Camtrap DP 1.0 and its old name; keep one"
            )
    deployments, observations = found["deployments"], found["observations"]
    found["deployments"] = _renamed(_deployments(deployments), "deployments")
    found["observations"] = _renamed(_observations(observations, last), "observations")
    if media is not None:
        found["media"] = _renamed(_media(media), "media")
    return found


def _as_text(frame: Any) -> "pd.DataFrame":
    import pandas as pd

    if isinstance(frame, pd.DataFrame):
        return frame.copy()
    return pd.DataFrame({name: frame.column(name).to_pandas() for name in frame.column_names})


def _renamed(frame: "pd.DataFrame", table: str) -> "pd.DataFrame":
    kept = frame.drop(columns=[name for name in _DROPPED if name in frame and name not in _NAMES[table]])
    return kept.rename(columns=_NAMES[table])


def _deployments(frame: "pd.DataFrame") -> "pd.DataFrame":
    frame = frame.copy()
    if "featureType" in frame:
        frame["featureType"] = frame["featureType"].map(_camel_case, na_action="ignore")
    if "baitUse" in frame:
        frame["baitUse"] = frame["baitUse"].map(lambda use: str(str(use) != "none").lower(), na_action="ignore")
    groups = [name for name in ("session", "array") if name in frame and frame[name].notna().any()]
    if groups:
        rows = frame[groups].to_dict("records")
        frame["deploymentGroups"] = [
            " | ".join(f"{name}:{row[name]}" for name in groups if row[name] == row[name]) or None for row in rows
        ]
    return frame


def _camel_case(words: str) -> str | None:
    first, *others = str(words).split()
    return None if first in ("none", "other") else first + "".join(word.capitalize() for word in others)


def _media(frame: "pd.DataFrame") -> "pd.DataFrame":
    frame = frame.copy()
    if "captureMethod" in frame:
        frame["captureMethod"] = frame["captureMethod"].replace(_METHODS)
    if "filePublic" not in frame:
        frame["filePublic"] = np.where(frame["filePath"].astype(str).str.startswith("http"), "true", "false")
    return frame


def _observations(frame: "pd.DataFrame", last: "pd.Series | None") -> "pd.DataFrame":
    frame = frame.copy()
    frame["eventEnd"] = frame["timestamp"]
    if last is not None and "sequenceID" in frame:
        ends = frame["sequenceID"].map(last)
        # texts of one offset sort like their times; another offset leaves the event a moment
        frame["eventEnd"] = ends.where(ends.notna() & (ends > frame["timestamp"]), frame["timestamp"])
    of_media = frame["mediaID"].notna() if "mediaID" in frame else np.zeros(len(frame), bool)
    frame.loc[of_media, "eventEnd"] = frame.loc[of_media, "timestamp"]
    frame["observationLevel"] = np.where(of_media, "media", "event")
    if "cameraSetup" in frame:
        set_up = frame["cameraSetup"].astype(str).str.lower().isin(("true", "1"))
        frame["cameraSetupType"] = set_up.map({True: "setup", False: None})
    for name, other in (("lifeStage", {"offspring": "juvenile"}), ("sex", {})):
        if name in frame:
            frame[name] = frame[name].replace(other)
            frame[name] = frame[name].where(frame[name] != "unknown", None)
    return frame
