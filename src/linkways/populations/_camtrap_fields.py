"""The fields of Camtrap DP 1.0, declared: what may stand in every column of its three tables (Bubnicki et al. 2024)."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["MISSING", "TABLES", "CamtrapField", "CamtrapTable"]

Kind = Literal["text", "number", "whole", "truth", "time"]

MISSING = ("", "NA", "NaN", "nan")
"""Texts that mean no value."""


@dataclass(frozen=True)
class CamtrapField:
    """One column: what it holds and within which bounds."""

    name: str
    kind: Kind = "text"
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    begins: tuple[str, ...] = ()
    """What the text must begin with, one of them."""
    path: bool = False
    """A relative path or an address that stays inside the package."""


@dataclass(frozen=True)
class CamtrapTable:
    """One table: its columns, the one that names its rows, and those that name rows of other tables."""

    name: str
    key: str
    fields: tuple[CamtrapField, ...]
    links: tuple[tuple[str, str], ...] = ()
    """(column, table whose key it holds)."""

    def field(self, name: str) -> CamtrapField | None:
        """The declared column of this name, if there is one."""
        return next((one for one in self.fields if one.name == name), None)


def _texts(*names: str) -> tuple[CamtrapField, ...]:
    return tuple(CamtrapField(name) for name in names)


DEPLOYMENTS = CamtrapTable(
    "deployments",
    "deploymentID",
    (
        CamtrapField("deploymentID", required=True),
        *_texts("locationID", "locationName"),
        CamtrapField("latitude", "number", True, -90, 90),
        CamtrapField("longitude", "number", True, -180, 180),
        CamtrapField("coordinateUncertainty", "whole", low=1),
        CamtrapField("deploymentStart", "time", True),
        CamtrapField("deploymentEnd", "time", True),
        *_texts("setupBy", "cameraID", "cameraModel"),
        CamtrapField("cameraDelay", "whole", low=0),
        CamtrapField("cameraHeight", "number", low=0),
        CamtrapField("cameraDepth", "number", low=0),
        CamtrapField("cameraTilt", "whole", low=-90, high=90),
        CamtrapField("cameraHeading", "whole", low=0, high=360),
        CamtrapField("detectionDistance", "number", low=0),
        CamtrapField("timestampIssues", "truth"),
        CamtrapField("baitUse", "truth"),
        CamtrapField(
            "featureType",
            choices=(
                "roadPaved",
                "roadDirt",
                "trailHiking",
                "trailGame",
                "roadUnderpass",
                "roadOverpass",
                "roadBridge",
                "culvert",
                "burrow",
                "nestSite",
                "carcass",
                "waterSource",
                "fruitingTree",
            ),
        ),
        *_texts("habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
    ),
)

MEDIA = CamtrapTable(
    "media",
    "mediaID",
    (
        CamtrapField("mediaID", required=True),
        CamtrapField("deploymentID", required=True),
        CamtrapField("captureMethod", choices=("activityDetection", "timeLapse")),
        CamtrapField("timestamp", "time", True),
        CamtrapField("filePath", required=True, path=True),
        CamtrapField("filePublic", "truth", True),
        CamtrapField("fileName"),
        CamtrapField("fileMediatype", required=True, begins=("image/", "video/", "audio/")),
        CamtrapField("exifData"),
        CamtrapField("favorite", "truth"),
        CamtrapField("mediaComments"),
    ),
    (("deploymentID", "deployments"),),
)

OBSERVATIONS = CamtrapTable(
    "observations",
    "observationID",
    (
        CamtrapField("observationID", required=True),
        CamtrapField("deploymentID", required=True),
        *_texts("mediaID", "eventID"),
        CamtrapField("eventStart", "time", True),
        CamtrapField("eventEnd", "time", True),
        CamtrapField("observationLevel", required=True, choices=("media", "event")),
        CamtrapField(
            "observationType",
            required=True,
            choices=("animal", "human", "vehicle", "blank", "unknown", "unclassified"),
        ),
        CamtrapField("cameraSetupType", choices=("setup", "calibration")),
        CamtrapField("scientificName"),
        CamtrapField("count", "whole", low=1),
        CamtrapField("lifeStage", choices=("adult", "subadult", "juvenile")),
        CamtrapField("sex", choices=("female", "male")),
        *_texts("behavior", "individualID"),
        CamtrapField("individualPositionRadius", "number", low=0),
        CamtrapField("individualPositionAngle", "number", low=-90, high=90),
        CamtrapField("individualSpeed", "number", low=0),
        CamtrapField("bboxX", "number", low=0, high=1),
        CamtrapField("bboxY", "number", low=0, high=1),
        CamtrapField("bboxWidth", "number", low=1e-15, high=1),
        CamtrapField("bboxHeight", "number", low=1e-15, high=1),
        CamtrapField("classificationMethod", choices=("human", "machine")),
        CamtrapField("classifiedBy"),
        CamtrapField("classificationTimestamp", "time"),
        CamtrapField("classificationProbability", "number", low=0, high=1),
        *_texts("observationTags", "observationComments"),
    ),
    (("deploymentID", "deployments"), ("mediaID", "media")),
)

TABLES = {table.name: table for table in (DEPLOYMENTS, MEDIA, OBSERVATIONS)}
