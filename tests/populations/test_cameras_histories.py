"""Detection and capture histories from camera traps, on surveys small enough to count by hand."""

import numpy as np
import pandas as pd
import pytest

from linkways.arguments import check_input
from linkways.errors import LinkwaysError
from linkways.method import find_method
from linkways.populations import capture_histories, detection_histories

LEOPARD = "Panthera pardus"


def deployments(**more):
    table = {
        "deploymentID": ["a", "b"],
        "latitude": [37.9, 38.0],
        "longitude": [57.2, 57.2],
        "deploymentStart": ["2024-03-01T06:00:00+05:00", "2024-03-04T18:00:00+05:00"],
        "deploymentEnd": ["2024-03-11T06:00:00+05:00", "2024-03-14T18:00:00+05:00"],
        "habitat": ["juniper", "steppe"],
    }
    return pd.DataFrame(table | more)


def seen(*rows, **more):
    found = pd.DataFrame(rows, columns=["deploymentID", "eventStart"])
    return found.assign(scientificName=LEOPARD, **more)


SEEN = seen(("a", "2024-03-02T20:00:00Z"), ("a", "2024-03-09T20:00:00Z"), ("b", "2024-03-05T20:00:00Z"))


def test_occasions_begin_with_the_site_and_the_last_may_be_short():
    found = detection_histories(deployments(), SEEN, species=LEOPARD, occasion_days=4).histories
    of_a = found[found["site"] == "a"]
    assert of_a["occasion"].tolist() == [1, 2, 3]
    assert of_a["detected"].tolist() == [1, 0, 1]
    assert of_a["effort_days"].tolist() == [4, 4, 2]


def test_occasions_of_the_survey_begin_together():
    found = detection_histories(deployments(), SEEN, species=LEOPARD, occasion_days=4, occasion_start="survey")
    of_b = found.histories[found.histories["site"] == "b"]
    assert of_b["occasion"].tolist() == [1, 2, 3, 4]
    assert of_b["effort_days"].tolist() == [0.5, 4, 4, 1.5]
    assert of_b["detected"].tolist() == [0, 1, 0, 0]
    assert found.occasions.loc[found.occasions["site"] == "b", "start"].iloc[0] == pd.Timestamp("2024-03-01T01:00:00Z")


def test_occasions_may_begin_at_an_hour_of_the_clock():
    found = detection_histories(deployments(), SEEN, species=LEOPARD, occasion_days=1, start_hour=0)
    of_a = found.occasions[found.occasions["site"] == "a"]
    assert of_a["effort_days"].tolist() == [0.75, *[1] * 9, 0.25]
    assert (of_a["start"].dt.tz_convert("Etc/GMT-5").dt.hour == 0).all()


def test_days_of_the_clock_follow_summer_time():
    """On 31 March 2024 clocks in Brussels went forward: the day had 23 hours."""
    table = deployments(deploymentStart="2024-03-30T00:00:00+01:00", deploymentEnd="2024-04-02T00:00:00+02:00")
    found = detection_histories(
        table,
        seen(("a", "2024-03-30T20:00:00Z")),
        species=LEOPARD,
        occasion_days=1,
        start_hour=0,
        time_zone="Europe/Brussels",
    ).histories
    assert found["effort_days"].tolist() == pytest.approx([1, 23 / 24, 1] * 2)


def test_an_occasion_without_effort_is_empty_and_not_a_zero():
    failures = pd.DataFrame({"deploymentID": ["a"], "start": ["2024-03-05T01:00:00Z"], "end": ["2024-03-09T01:00:00Z"]})
    found = detection_histories(deployments(), SEEN, failures, species=LEOPARD, occasion_days=4, wide=True)
    wide = found.wide.set_index("site")
    assert np.isnan(wide.loc["a", "occasion_2"])
    assert wide.loc["a", ["occasion_1", "occasion_3"]].tolist() == [1, 1]
    assert found.wide_effort.set_index("site").loc["a"].tolist() == [4, 0, 2]
    assert found.surveyed == 5


def test_a_detection_in_an_occasion_without_effort_is_refused():
    failures = pd.DataFrame({"deploymentID": ["a"], "start": ["2024-03-01T01:00:00Z"], "end": ["2024-03-05T01:00:00Z"]})
    with pytest.raises(
        LinkwaysError, match="observations row 1 lies in occasion 1 of site a, in which no camera worked"
    ):
        detection_histories(deployments(), SEEN, failures, species=LEOPARD, occasion_days=4)
    found = detection_histories(deployments(), SEEN, failures, species=LEOPARD, occasion_days=4, invalid="leave out")
    assert np.isnan(found.histories["detected"].iloc[0])


def test_little_effort_can_be_left_out():
    found = detection_histories(deployments(), SEEN, species=LEOPARD, occasion_days=4, min_effort_days=2.5)
    assert found.surveyed == 4


def test_covariates_come_from_the_deployment_that_worked_longest():
    table = deployments(
        locationID="spring",
        deploymentStart=["2024-03-01T00:00:00Z", "2024-03-04T00:00:00Z"],
        deploymentEnd=["2024-03-04T00:00:00Z", "2024-03-09T00:00:00Z"],
    )
    found = detection_histories(
        table,
        seen(("a", "2024-03-02T00:00:00Z")),
        species=LEOPARD,
        occasion_days=4,
        site="location",
        covariates=["habitat"],
    ).histories
    assert found["site"].tolist() == ["spring", "spring"]
    assert found["habitat"].tolist() == ["juniper", "steppe"]


def test_seasons_number_their_occasions_anew():
    table = deployments(deploymentStart="2023-12-24T00:00:00Z", deploymentEnd="2024-01-11T00:00:00Z")
    found = detection_histories(
        table, seen(("a", "2024-01-02T00:00:00Z")), species=LEOPARD, occasion_days=4, season="year", wide=True
    )
    of_a = found.histories[found.histories["site"] == "a"]
    assert of_a["season"].tolist() == [2023, 2023, 2024, 2024, 2024]
    assert of_a["occasion"].tolist() == [1, 2, 1, 2, 3]
    assert found.wide[["site", "season"]].values.tolist() == [["a", 2023], ["a", 2024], ["b", 2023], ["b", 2024]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"species": "Panthera pardis"}, "no record of the species 'Panthera pardis' .did you mean 'Panthera pardus'"),
        ({"species": LEOPARD, "covariates": ["habitats"]}, "no column 'habitats' .did you mean 'habitat'"),
        ({"species": LEOPARD, "season": "session"}, "no column 'session'"),
        ({"species": LEOPARD, "time_zone": "Asia/Ashgabad"}, "did you mean 'Asia/Ashgabat'"),
    ],
)
def test_what_is_not_there_is_refused(options, words):
    if "time_zone" in options:
        options = {**options, "start_hour": 0.0}
        naive = SEEN.assign(eventStart=SEEN["eventStart"].str.removesuffix("Z"))
        with pytest.raises(LinkwaysError, match=words):
            detection_histories(deployments(), naive, **options)
        return
    with pytest.raises(LinkwaysError, match=words):
        detection_histories(deployments(), SEEN, **options)


# --- captures -----------------------------------------------------------------------------


CAUGHT = seen(
    ("a", "2024-03-02T20:00:00Z"),
    ("a", "2024-03-02T20:30:00Z"),
    ("a", "2024-03-02T22:00:00Z"),
    ("b", "2024-03-05T20:00:00Z"),
    ("b", "2024-03-06T20:00:00Z"),
    ("b", "2024-03-07T20:00:00Z"),
    individualID=["F1", "F1", "F1", "F1", "M1", None],
    sex=["female", None, None, "female", "male", None],
)


def test_captures_count_independent_records_by_individual_occasion_and_detector():
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment")
    assert found.captures.values.tolist() == [
        ["F1", 3, "a", 2, "female"],
        ["F1", 6, "b", 1, "female"],
        ["M1", 7, "b", 1, "male"],
    ]
    assert (found.individuals_known, found.captures_total, found.recaptures_elsewhere) == (2, 3, 1)


def test_a_record_soon_after_one_of_the_occasion_before_is_a_capture_of_its_own():
    """Noon of +05:00 is 07:00 UTC."""
    around_noon = seen(("a", "2024-03-05T06:50:00Z"), ("a", "2024-03-05T07:10:00Z"), individualID="F1")
    found = capture_histories(deployments(), around_noon, species=LEOPARD, site="deployment").captures
    assert found[["occasion", "count"]].values.tolist() == [[5, 1], [6, 1]]


def test_a_capture_on_an_occasion_without_effort_is_refused():
    failures = pd.DataFrame({"deploymentID": ["a"], "start": ["2024-03-02T07:00:00Z"], "end": ["2024-03-03T07:00:00Z"]})
    with pytest.raises(
        LinkwaysError, match="observations row 1 lies in occasion 3 of site a, in which no camera worked"
    ):
        capture_histories(deployments(), CAUGHT, failures, species=LEOPARD, site="deployment")
    found = capture_histories(deployments(), CAUGHT, failures, species=LEOPARD, site="deployment", invalid="leave out")
    assert found.captures["detector"].tolist() == ["b", "b"]


def test_the_histories_are_what_spatial_capture_recapture_asks_for():
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment")
    declared = find_method("populations.capture")
    parts = {"captures": found.captures, "detectors": found.detectors, "effort": found.effort}
    asked = {item.name: item for item in declared.inputs}
    for name, part in parts.items():
        check_input(declared.id, name, asked[name], part)


def test_every_detector_has_effort_on_every_occasion():
    """Occasions begin at noon (+05:00), the first at noon before the first set-up."""
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment")
    effort = found.effort.pivot_table(index="detector", columns="occasion", values="effort")
    assert found.occasions == effort.shape[1] == 15
    assert effort.loc["a"].tolist() == [0.25, *[1] * 9, 0.75, 0, 0, 0, 0]
    assert effort.loc["b"].tolist() == [0, 0, 0, 0, 0.75, *[1] * 9, 0.25]
    assert effort.sum(axis=1).tolist() == [10, 10]


def test_without_a_length_the_survey_is_one_occasion():
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment", occasion_days=None)
    assert found.occasions == 1
    assert found.effort["effort"].tolist() == [10, 10]


def test_detectors_lie_on_a_map_in_metres():
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment")
    layer = found.detectors
    assert layer.crs.to_epsg() == 32640
    step = np.hypot(*np.diff(layer[["x", "y"]].to_numpy(), axis=0)[0])
    # a tenth of a degree of latitude is 11.1 km
    assert step == pytest.approx(11_100, rel=2e-3)
    assert found.individuals.set_index("individual").loc["F1", "farthest_m"] == pytest.approx(step)
    with pytest.raises(LinkwaysError, match="name a CRS in metres"):
        capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment", project_to="EPSG:4326")


def test_records_without_an_individual_are_listed_and_give_no_capture():
    found = capture_histories(deployments(), CAUGHT, species=LEOPARD, site="deployment")
    assert found.conflicts[["row", "field"]].values.tolist() == [[6, "individualID"]]


def test_an_individual_of_two_sexes_has_none_and_is_listed():
    odd = CAUGHT.assign(sex=["female", None, None, "male", "male", None])
    found = capture_histories(deployments(), odd, species=LEOPARD, site="deployment")
    assert found.captures["sex"].isna().tolist() == [True, True, False]
    assert found.conflicts.loc[found.conflicts["field"] == "sex", "row"].tolist() == [1, 4]


def test_a_species_without_individuals_has_no_captures():
    with pytest.raises(LinkwaysError, match="names an individual"):
        capture_histories(deployments(), CAUGHT.assign(individualID=None), species=LEOPARD, site="deployment")
