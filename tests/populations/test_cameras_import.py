"""Camera trap tables read from packages, exports and plain tables, with every row that breaks a rule named."""

import json
import zipfile
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.populations import import_camera_tables, import_camtrapdp, import_wildlife_insights
from linkways.populations.import_camtrapdp import read_camtrapdp
from linkways.populations.import_wildlife_insights import read_wildlife_insights
from linkways.spatial import recording


def deployments(**more):
    table = {
        "deploymentID": ["a", "b"],
        "latitude": [37.9, 38.1],
        "longitude": [57.2, 57.3],
        "deploymentStart": "2024-03-01T00:00:00+05:00",
        "deploymentEnd": "2024-04-01T00:00:00+05:00",
    }
    return pd.DataFrame(table | more)


def observations(n=3, **more):
    table = {
        "observationID": [f"o{k}" for k in range(n)],
        "deploymentID": "a",
        "eventStart": "2024-03-05T20:00:00Z",
        "eventEnd": "2024-03-05T20:01:00Z",
        "observationLevel": "event",
        "observationType": "animal",
        "scientificName": [f"Species {k}" for k in range(n)],
    }
    return pd.DataFrame(table | more)


def media(n=2, **more):
    table = {
        "mediaID": [f"m{k}" for k in range(n)],
        "deploymentID": "a",
        "timestamp": "2024-03-05T20:00:00Z",
        "filePath": "images/1.jpg",
        "filePublic": "true",
        "fileMediatype": "image/jpeg",
    }
    return pd.DataFrame(table | more)


def test_sound_tables_pass_every_rule_and_come_back_as_they_were():
    found = import_camtrapdp(deployments(), observations(), media())
    assert found.rows_rejected == 0
    assert found.rows.empty
    assert set(found.checks["outcome"]) == {"kept"}
    assert found.observations["eventStart"].tolist() == ["2024-03-05T20:00:00Z"] * 3
    assert (found.deployments_kept, found.observations_kept, len(found.media)) == (2, 3, 2)


BROKEN = [
    ("observations", "observationID", ["o0", "o1", "o1"], [2, 3], "several rows"),
    ("observations", "observationID", ["o0", None, "o2"], [2], "no value"),
    ("observations", "deploymentID", ["a", "a", "z"], [3], "no such row in deployments"),
    ("observations", "eventStart", ["2024-03-05T20:00:00Z", "2024-13-05T20:00:00Z", "NA"], [2, 3], "time|no value"),
    (
        "observations",
        "eventStart",
        ["2024-03-05T20:00:00Z", "2024-02-30T20:00:00Z", "2024-03-05 20:00Z"],
        [2, 3],
        "time",
    ),
    (
        "observations",
        "eventEnd",
        ["2024-03-05T20:01:00Z", "2024-03-05T19:00:00Z", "2024-05-01T00:00:00Z"],
        [2, 3],
        "ends|out",
    ),
    ("observations", "observationLevel", ["event", "sequence", "media"], [2], "one of media, event"),
    ("observations", "observationType", ["animal", "Animal", "blank"], [2], "one of animal"),
    ("observations", "count", ["1", "two", "0"], [2, 3], "whole number|at least 1"),
    ("observations", "count", [1.0, 1.5, np.nan], [2], "whole number"),
    ("observations", "sex", ["female", "f", None], [2], "one of female, male"),
    ("observations", "classificationProbability", ["0.5", "1.5", "-0.1"], [2, 3], "from 0 to 1"),
    ("observations", "bboxWidth", ["0", "0.5", "1"], [1], "from 1e-15 to 1"),
    ("observations", "individualPositionAngle", ["-91", "0", "90"], [1], "from -90 to 90"),
    ("observations", "mediaID", ["m0", "m9", None], [2], "no such row in media"),
    ("deployments", "latitude", ["95", "38.1"], [1], "from -90 to 90"),
    ("deployments", "longitude", ["57.2", "East"], [2], "not a number"),
    ("deployments", "cameraHeading", ["10", "361"], [2], "from 0 to 360"),
    ("deployments", "baitUse", ["true", "fish"], [2], "neither true nor false"),
    ("deployments", "featureType", ["culvert", "bridge"], [2], "one of roadPaved"),
    ("deployments", "coordinateUncertainty", ["0", "10"], [1], "at least 1"),
    ("media", "filePath", ["../1.jpg", "images/1.jpg"], [1], "inside the package"),
    ("media", "fileMediatype", ["image/jpeg", "text/plain"], [2], "begins with image/"),
    ("media", "filePublic", ["true", None], [2], "no value"),
    ("media", "timestamp", ["2023-03-05T20:00:00Z", "2024-03-05T20:00:00Z"], [1], "before it was set up"),
    ("media", "captureMethod", ["timeLapse", "motion"], [2], "activityDetection, timeLapse"),
]


@pytest.mark.parametrize(("table", "field", "values", "rows", "why"), BROKEN)
def test_every_row_that_breaks_a_rule_is_named_and_left_out(table, field, values, rows, why):
    frames = {"deployments": deployments(), "observations": observations(), "media": media()}
    frames[table] = frames[table].assign(**{field: values})
    found = import_camtrapdp(**frames)
    told = found.rows[(found.rows["table"] == table) & (found.rows["outcome"] == "rejected")]
    assert told["row"].drop_duplicates().tolist() == rows
    assert told["why"].str.contains(why).all()
    kept = getattr(found, table)
    assert len(kept) == len(values) - len(rows)


def test_observations_of_a_rejected_deployment_are_rejected_with_it():
    found = import_camtrapdp(deployments(latitude=[137.9, 38.1]), observations(deploymentID=["a", "b", "a"]))
    assert found.observations["deploymentID"].tolist() == ["b"]
    why = found.rows.loc[found.rows["table"] == "observations", "why"]
    assert why.tolist() == ["its row of deployments (1) is rejected"] * 2


def test_what_is_only_odd_is_told_and_kept():
    odd = observations(scientificName=["A", None, "A"], individualID=["F1", None, None], count=[2, 1, 2], note="x")
    found = import_camtrapdp(deployments(latitude=[0, 38.1], longitude=[0, 57.3]), odd)
    assert found.rows_rejected == 0
    assert dict(zip(found.rows["field"], found.rows["row"], strict=True)) == {
        "latitude": 1,
        "scientificName": 2,
        "individualID": 1,
    }
    assert "note" in found.observations


def test_rows_that_repeat_an_earlier_one_are_told():
    found = import_camtrapdp(deployments(), observations(scientificName=["A", "B", "A"]))
    assert found.rows[["row", "field", "outcome"]].values.tolist() == [[3, "observationID", "told"]]


def test_numbers_as_names_are_the_same_in_every_table():
    found = import_camtrapdp(deployments(deploymentID=[1, 2]), observations(deploymentID=[1.0, 2.0, 3.0]))
    assert found.observations["deploymentID"].tolist() == ["1", "2"]


def test_times_without_offset_need_a_zone_and_get_its_offset():
    naive = observations(eventStart="2024-03-05 20:00:00", eventEnd="2024-03-05T20:01")
    assert import_camtrapdp(deployments(), naive).observations_kept == 0
    found = import_camtrapdp(deployments(), naive, time_zone="Asia/Ashgabat")
    assert found.observations["eventStart"].tolist() == ["2024-03-05T20:00:00+05:00"] * 3
    assert found.observations["eventEnd"].tolist() == ["2024-03-05T20:01:00+05:00"] * 3
    assert "read as Asia/Ashgabat" in " ".join(found.checks["rule"])


def test_times_as_python_holds_them_are_taken():
    moments = pd.to_datetime(["2024-03-05T20:00:00+05:00"] * 3)
    found = import_camtrapdp(deployments(), observations(eventStart=moments))
    assert found.observations["eventStart"].tolist() == ["2024-03-05T20:00:00+05:00"] * 3


def test_clocks_that_ran_wrong_are_put_right():
    shifts = pd.DataFrame({"deploymentID": ["a"], "shift_minutes": [-720.5]})
    found = import_camtrapdp(deployments(), observations(deploymentID=["a", "b", "a"]), media(), shifts)
    assert found.observations["eventStart"].tolist() == [
        "2024-03-05T07:59:30Z",
        "2024-03-05T20:00:00Z",
        "2024-03-05T07:59:30Z",
    ]
    assert found.media["timestamp"].tolist() == ["2024-03-05T07:59:30Z"] * 2
    with pytest.raises(LinkwaysError, match="clock_shifts row 1 names the deployment 'c'"):
        import_camtrapdp(deployments(), observations(), None, shifts.assign(deploymentID="c"))


def test_a_column_that_every_row_needs_must_be_there():
    with pytest.raises(LinkwaysError, match="observations has no column 'observationType'"):
        import_camtrapdp(deployments(), observations().drop(columns="observationType"))


@settings(max_examples=200, deadline=None)
@given(
    st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
    st.sampled_from(["", ":"]),
)
def test_times_are_read_as_python_reads_them(moment, offset, colon):
    from linkways.populations._camtrap_kernels import ZONED, read_times

    moment = moment.replace(microsecond=0)
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}{colon}{abs(offset) % 60:02d}"
    text = moment.isoformat() + zone
    data = np.frombuffer(text.encode(), np.uint8)
    seconds, offsets, kinds = read_times(data, np.array([0, len(text)], np.int64))
    assert seconds[0] == int(datetime.fromisoformat(text).timestamp())
    assert (offsets[0], kinds[0]) == (offset, ZONED)


@pytest.mark.parametrize(
    "text",
    ["2023-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-01-01T24:00:00Z", "2024-01-01T00:60:00Z",
     "2024-1-01T00:00:00Z",
     "2024-01-01T00:00:00+5:00", "2024-01-01T00:00:00.5Z", "24-01-01T00:00:00Z", "2024-01-01T00:00:00z", "x"],
)  # fmt: skip
def test_texts_that_are_no_times_are_not_read(text):
    from linkways.populations._camtrap_kernels import BAD, read_times

    data = np.frombuffer(text.encode(), np.uint8)
    assert read_times(data, np.array([0, len(text)], np.int64))[2][0] == BAD


# --- whole packages --------------------------------------------------------------------------


PROFILE = "https://raw.githubusercontent.com/tdwg/camtrap-dp/{}/camtrap-dp-profile.json"


def write_package(folder, version="1.0.1", frames=None, **more):
    folder.mkdir(exist_ok=True)
    frames = frames or {"deployments": deployments(), "media": media(), "observations": observations()}
    resources = [{"name": name, "path": f"{name}.csv"} for name in frames]
    data = {
        "profile": PROFILE.format(version),
        "resources": resources,
        "created": "2024-05-01T10:00:00Z",
        "contributors": [{"title": "A ranger", "role": "contact"}],
        "project": {
            "title": "Leopards",
            "samplingDesign": "systematicRandom",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": ["event"],
        },
        "spatial": {"type": "Point", "coordinates": [57.2, 37.9]},
        "temporal": {"start": "2024-03-01", "end": "2024-04-01"},
        "taxonomic": [{"scientificName": f"Species {k}"} for k in range(3)],
    }
    (folder / "datapackage.json").write_text(json.dumps(data | more), encoding="utf-8")
    for name, frame in frames.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_a_package_is_read_from_its_folder_its_description_or_a_zip_file(tmp_path):
    folder = write_package(tmp_path / "package")
    packed = tmp_path / "package.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for one in folder.iterdir():
            file.write(one, f"export/{one.name}")
    for path in (folder, folder / "datapackage.json", packed):
        found = read_camtrapdp(path)
        assert (found.deployments_kept, found.observations_kept, len(found.media)) == (2, 3, 2)
        assert found.rows.empty


def test_what_a_package_should_say_of_itself_is_told(tmp_path):
    project = {"title": "x", "samplingDesign": "random", "captureMethod": ["activityDetection"]}
    folder = write_package(tmp_path / "p", project=project, taxonomic=[{"scientificName": "Species 0"}], created="May")
    found = read_camtrapdp(folder).rows
    assert set(found["table"]) == {"datapackage.json"}
    assert dict(zip(found["field"], found["why"], strict=True)).keys() == {
        "created",
        "project.individualAnimals",
        "project.observationLevel",
        "project.samplingDesign",
        "taxonomic",
    }
    assert "lacks Species 1, Species 2" in found.loc[found["field"] == "taxonomic", "why"].iloc[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"profile": PROFILE.format("0.3")}, "Camtrap DP 0.3"),
        ({"profile": "tabular-data-package"}, "not Camtrap DP"),
        ({"resources": []}, "no resource 'deployments'"),
        ({"resources": [{"name": "deployments", "path": "../deployments.csv"}]}, "leads out of the package"),
        ({"resources": [{"name": "deployments", "path": "/etc/passwd"}]}, "leads out of the package"),
        ({"resources": [{"name": "deployments", "path": "https://example.org/d.csv"}]}, "download it"),
        ({"resources": [{"name": "deployments", "path": "deploymnts.csv"}]}, "did you mean 'deployments.csv'"),
    ],
)
def test_a_package_that_is_none_is_refused(tmp_path, change, words):
    with pytest.raises(LinkwaysError, match=words):
        read_camtrapdp(write_package(tmp_path / "p", **change))


def test_a_row_of_another_length_is_refused_with_its_text(tmp_path):
    folder = write_package(tmp_path / "p")
    with (folder / "observations.csv").open("a", encoding="utf-8") as file:
        file.write("o9,a,2024\n")
    with pytest.raises(LinkwaysError, match="a row with 3 values where its header has 7: 'o9,a,2024'"):
        read_camtrapdp(folder)


def test_a_package_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LinkwaysError, match=r"there is no"):
        read_camtrapdp(tmp_path / "nothing")
    with pytest.raises(LinkwaysError, match=r"holds no datapackage.json"):
        read_camtrapdp(tmp_path)


OLD = {
    "deployments": pd.DataFrame(
        {
            "deploymentID": ["a"],
            "longitude": [57.2],
            "latitude": [37.9],
            "start": ["2024-03-01T00:00:00Z"],
            "end": ["2024-04-01T00:00:00Z"],
            "baitUse": ["none"],
            "featureType": ["road underpass"],
            "session": ["spring"],
            "comments": ["steep"],
            "_id": ["x"],
        }
    ),
    "media": pd.DataFrame(
        {
            "mediaID": ["m1", "m2"],
            "deploymentID": "a",
            "sequenceID": "s1",
            "captureMethod": "motion detection",
            "timestamp": ["2024-03-05T20:00:00Z", "2024-03-05T20:00:09Z"],
            "filePath": "https://example.org/1.jpg",
            "fileMediatype": "image/jpeg",
        }
    ),
    "observations": pd.DataFrame(
        {
            "observationID": ["o1", "o2"],
            "deploymentID": "a",
            "sequenceID": "s1",
            "mediaID": [None, "m2"],
            "timestamp": ["2024-03-05T20:00:00Z", "2024-03-05T20:00:09Z"],
            "observationType": "animal",
            "cameraSetup": ["false", "false"],
            "scientificName": "Panthera pardus",
            "countNew": [1, 1],
            "lifeStage": ["offspring", "unknown"],
            "sex": ["unknown", "male"],
            "behaviour": "walking",
            "classificationConfidence": [0.9, 0.8],
        }
    ),
}


def test_version_0_1_6_is_brought_to_1_0(tmp_path):
    with recording() as notes:
        found = read_camtrapdp(write_package(tmp_path / "old", "0.1.6", OLD))
    assert any("0.1.6 brought to 1.0" in one for one in notes)
    assert found.rows_rejected == 0
    place = found.deployments.iloc[0]
    assert (place["featureType"], place["baitUse"], place["deploymentGroups"]) == (
        "roadUnderpass",
        False,
        "session:spring",
    )
    assert place["deploymentComments"] == "steep"
    seen = found.observations
    assert seen["eventEnd"].tolist() == ["2024-03-05T20:00:09Z"] * 2
    assert seen["observationLevel"].tolist() == ["event", "media"]
    assert seen["lifeStage"].tolist()[0] == "juvenile"
    assert seen["lifeStage"].isna().tolist() == [False, True]
    assert seen["sex"].isna().tolist() == [True, False]
    assert {"behavior", "classificationProbability", "eventID"} <= set(seen)
    assert not {"_id", "countNew", "behaviour"} & (set(seen) | set(found.deployments))
    assert found.media["captureMethod"].tolist() == ["activityDetection"] * 2


def test_tables_of_the_old_version_are_known_by_their_columns():
    found = import_camtrapdp(OLD["deployments"], OLD["observations"], OLD["media"])
    assert (found.observations_kept, found.rows_rejected) == (2, 0)


# --- Wildlife Insights -----------------------------------------------------------------------


WI_DEPLOYMENTS = pd.DataFrame(
    {
        "deployment_id": ["d1", "d2"],
        "placename": ["spring", "pass"],
        "longitude": [57.2, 57.3],
        "latitude": [37.9, 38.1],
        "start_date": "2024-03-01 00:00:00",
        "end_date": "2024-04-01 00:00:00",
        "bait_type": ["None", "Scent"],
        "feature_type": ["Trail game", "Road dirt"],
        "camera_functioning": ["Camera Functioning", "Vandalism/Theft"],
        "event_name": ["spring 2024", None],
    }
)
WI_IMAGES = pd.DataFrame(
    {
        "deployment_id": ["d1", "d1", "d1", "d2", "d2", "d2"],
        "image_id": ["i1", "i1", "i2", "i3", "i4", "i5"],
        "timestamp": [f"2024-03-{day:02d} 21:15:00" for day in (5, 5, 6, 10, 12, 11)],
        "is_blank": [0, 0, 1, 0, 0, 0],
        "genus": ["Panthera", "Capra", None, "Homo", "Vulpes", None],
        "species": ["pardus", "aegagrus", None, "sapiens", None, None],
        "family": ["Felidae", "Bovidae", None, "Hominidae", "Canidae", "Mustelidae"],
        "common_name": ["Leopard", "Bezoar", "Blank", "Human", "Fox", "Weasel family"],
        "number_of_objects": [1, 3, 0, 1, 1, 1],
        "identified_by": ["Computer vision", "A ranger", None, "A ranger", "A ranger", "A ranger"],
        "sex": ["Female", None, None, None, "Unknown", None],
        "individual_id": ["F1", None, None, None, None, None],
    }
)


def test_an_export_of_wildlife_insights_becomes_camtrap_dp():
    found = import_wildlife_insights(WI_DEPLOYMENTS, WI_IMAGES, time_zone="Asia/Ashgabat")
    assert found.rows_rejected == 0
    seen = found.observations
    assert seen["observationType"].tolist() == ["animal", "animal", "blank", "human", "animal", "animal"]
    assert seen["scientificName"].fillna("").tolist() == [
        "Panthera pardus",
        "Capra aegagrus",
        "",
        "Homo sapiens",
        "Vulpes",
        "Mustelidae",
    ]
    assert seen["observationID"].is_unique
    assert seen["eventStart"].iloc[0] == "2024-03-05T21:15:00+05:00"
    assert seen["classificationMethod"].fillna("").tolist() == ["machine", "human", "", "human", "human", "human"]
    assert seen["sex"].fillna("").tolist() == ["female", "", "", "", "", ""]
    place = found.deployments
    assert place["featureType"].tolist() == ["trailGame", "roadDirt"]
    assert place["baitUse"].tolist() == [False, True]
    assert place["deploymentEnd"].iloc[0] == "2024-04-02T00:00:00+05:00"


def test_a_stolen_camera_worked_until_its_last_image():
    found = import_wildlife_insights(WI_DEPLOYMENTS, WI_IMAGES, time_zone="Asia/Ashgabat")
    assert found.failures.values.tolist() == [
        ["d2", "2024-03-12T21:15:00+05:00", "2024-04-02T00:00:00+05:00", "Vandalism/Theft"]
    ]
    kept = import_wildlife_insights(WI_DEPLOYMENTS, WI_IMAGES, time_zone="Asia/Ashgabat", failed_cameras="worked")
    assert kept.failures is None


def test_a_whole_export_is_read_from_folder_and_zip_file(tmp_path):
    WI_DEPLOYMENTS.to_csv(tmp_path / "deployments.csv", index=False)
    WI_IMAGES[:3].to_csv(tmp_path / "images_1.csv", index=False)
    WI_IMAGES[3:].to_csv(tmp_path / "images_2.csv", index=False)
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for name in ("deployments.csv", "images_1.csv", "images_2.csv"):
            file.write(tmp_path / name, name)
    for path in (tmp_path, packed):
        assert read_wildlife_insights(path, time_zone="Asia/Ashgabat").observations_kept == 6
    (tmp_path / "images_1.csv").unlink()
    (tmp_path / "images_2.csv").unlink()
    with pytest.raises(LinkwaysError, match=r"no images.csv beside"):
        read_wildlife_insights(tmp_path, time_zone="Asia/Ashgabat")


def test_times_that_a_spreadsheet_changed_need_their_format():
    images = WI_IMAGES.assign(timestamp="3/5/24 21:15")
    with pytest.raises(LinkwaysError, match=r"images.timestamp row 1 is '3/5/24 21:15'"):
        import_wildlife_insights(WI_DEPLOYMENTS, images, time_zone="Asia/Ashgabat")


# --- plain tables ----------------------------------------------------------------------------


STATIONS = pd.DataFrame(
    {
        "Station": ["A", "B"],
        "utm_x": [526000, 523000],
        "utm_y": [604000, 606000],
        "Setup_date": ["2009-04-02", "2009-04-03"],
        "Retrieval_date": ["2009-05-14", "2009-05-16"],
        "Problem1_from": [None, "2009-04-10"],
        "Problem1_to": [None, "2009-04-12"],
    }
)
RECORDS = pd.DataFrame({"Station": ["A"], "Species": ["PBE"], "DateTimeOriginal": ["2009-04-02 03:00:00"]})
PLAIN = {"xy_crs": "EPSG:32650", "time_zone": "Asia/Kuala_Lumpur"}


def test_a_day_of_set_up_counts_half_and_may_hold_records_of_any_hour():
    found = import_camera_tables(STATIONS, RECORDS, **PLAIN)
    assert found.observations_kept == 1
    hours = pd.to_datetime(found.failures["end"]) - pd.to_datetime(found.failures["start"])
    assert (hours / pd.Timedelta(hours=1)).tolist() == [12, 12, 12, 72, 12]
    whole = import_camera_tables(STATIONS, RECORDS, days="whole days", **PLAIN)
    assert whole.failures["reason"].tolist() == ["Problem1"]


@pytest.mark.parametrize(
    ("stations", "options", "words"),
    [
        (STATIONS.assign(Problem1_to=None), {}, "row 2 has one of Problem1_from and Problem1_to"),
        (STATIONS.drop(columns="utm_x"), {}, "no column 'utm_x'"),
        (STATIONS.assign(utm_x=[526000, None]), {}, "row 2 has no place"),
        (STATIONS, {"xy_crs": "utm 50"}, "is not a CRS"),
        (
            STATIONS,
            {"station_time_format": "%d/%m/%Y"},
            "row 1 is '2009-04-02', which is no time written as '%d/%m/%Y'",
        ),
    ],
)
def test_plain_tables_that_cannot_be_read_are_refused(stations, options, words):
    with pytest.raises(LinkwaysError, match=words):
        import_camera_tables(stations, RECORDS, **(PLAIN | options))
