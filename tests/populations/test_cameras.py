"""Effort, independent events and rates of camera traps, on surveys small enough to count by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways.errors import LinkwaysError
from linkways.populations import cameras
from linkways.spatial import recording


def deployments(**more):
    table = {
        "deploymentID": ["a", "b"],
        "locationID": ["spring", "spring"],
        "latitude": [37.9, 37.9],
        "longitude": [57.2, 57.2],
        "deploymentStart": ["2024-03-01T00:00:00+05:00", "2024-03-11T00:00:00+05:00"],
        "deploymentEnd": ["2024-03-11T00:00:00+05:00", "2024-03-21T12:00:00+05:00"],
    }
    return pd.DataFrame(table | more)


def seen(*times, deployment="a", species="Panthera pardus", **more):
    table = {"deploymentID": deployment, "scientificName": species, "eventStart": list(times)}
    return pd.DataFrame(table | more)


FAILURES = pd.DataFrame(
    {
        "deploymentID": ["a", "a", "b"],
        "start": ["2024-03-02T00:00:00+05:00", "2024-03-03T00:00:00+05:00", "2024-03-20T12:00:00+05:00"],
        "end": ["2024-03-04T00:00:00+05:00", "2024-03-05T00:00:00+05:00", "2024-03-25T00:00:00+05:00"],
        "reason": ["snow", "snow", "battery"],
    }
)


def test_effort_is_the_time_a_camera_worked_and_overlapping_failures_count_once():
    found = cameras(deployments(), seen("2024-03-06T20:00:00Z"), FAILURES)
    assert found.effort["effort_days"].tolist() == [10 - 3, 10.5 - 1]
    assert found.effort["failed_days"].tolist() == [3, 1]
    assert found.effort["failures"].tolist() == [2, 1]
    assert found.total_effort_days == 16.5


def test_a_failure_within_another_counts_once():
    within = pd.DataFrame(
        {
            "deploymentID": ["a", "a"],
            "start": ["2024-03-02T00:00:00+05:00", "2024-03-03T00:00:00+05:00"],
            "end": ["2024-03-08T00:00:00+05:00", "2024-03-04T00:00:00+05:00"],
        }
    )
    assert cameras(deployments(), seen("2024-03-09T20:00:00Z"), within).effort["effort_days"].tolist() == [4, 10.5]


def test_effort_of_a_location_is_that_of_all_its_cameras():
    found = cameras(deployments(), seen("2024-03-06T20:00:00Z"), site="location")
    assert found.sites["effort_days"].tolist() == [20.5]
    assert found.rai["rai"].tolist() == pytest.approx([100 / 20.5])


def test_the_two_rules_of_independence_differ_on_a_chain_of_records():
    chain = seen(*[f"2024-03-04T10:{minute:02d}:00Z" for minute in (0, 20, 40, 59)])
    last_independent = cameras(deployments(), chain, independence_minutes=30)
    last_record = cameras(deployments(), chain, independence_minutes=30, independence_rule="last record")
    assert last_independent.events["time"].dt.minute.tolist() == [0, 40]
    assert last_record.events["time"].dt.minute.tolist() == [0]
    assert last_independent.events["records"].tolist() == [2, 2]


def test_a_record_exactly_the_gap_later_is_independent():
    pair = seen("2024-03-04T10:00:00Z", "2024-03-04T10:30:00Z")
    assert cameras(deployments(), pair, independence_minutes=30).total_events == 2


def test_species_and_sites_are_independent_of_each_other():
    mixed = pd.concat(
        [
            seen("2024-03-05T10:00:00Z"),
            seen("2024-03-05T10:01:00Z", species="Capra aegagrus"),
            seen("2024-03-12T10:00:00Z", deployment="b"),
        ]
    )
    assert cameras(deployments(), mixed).total_events == 3


def test_individuals_of_an_event_are_the_most_seen_at_once():
    group = seen(
        "2024-03-05T10:00:00Z",
        "2024-03-05T10:00:00Z",
        "2024-03-05T10:10:00Z",
        count=[1, 2, 2],
        eventID=["e1", "e1", "e2"],
    )
    assert cameras(deployments(), group).events["individuals"].tolist() == [3]


def test_observations_of_events_and_of_media_are_never_counted_together():
    both = seen(
        "2024-03-05T10:00:00Z",
        "2024-03-05T10:00:00Z",
        "2024-03-05T12:00:00Z",
        observationLevel=["event", "media", "media"],
        observationType="animal",
    )
    with recording() as notes:
        assert cameras(deployments(), both).total_events == 1
    assert any("2 at the level of media left out" in sentence for sentence in notes)
    assert cameras(deployments(), both, level="media").total_events == 2


def test_local_time_follows_the_offset_of_the_deployment_or_the_zone():
    one = seen("2024-03-05T22:30:00Z")
    assert cameras(deployments(), one).events["local_time"].iloc[0] == pd.Timestamp("2024-03-06T03:30:00")
    tehran = cameras(deployments(), one, time_zone="Asia/Tehran").events
    assert tehran["local_time"].iloc[0] == pd.Timestamp("2024-03-06T02:00:00")


def test_humans_count_only_when_asked_for():
    walk = seen("2024-03-05T10:00:00Z", species=None, observationType="human")
    assert cameras(deployments(), walk).total_events == 0
    found = cameras(deployments(), walk, kinds=["animal", "human"])
    assert found.rai["species"].tolist() == ["human"]


def test_a_survey_that_recorded_nothing_has_effort_and_no_events():
    nothing = seen()
    found = cameras(deployments(), nothing)
    assert (found.total_effort_days, found.total_events, len(found.rai)) == (20.5, 0, 0)


def test_the_interval_of_the_rai_comes_from_resampled_sites():
    """With two sites of equal effort the resampled rate is one of three values with chances 1/4, 1/2, 1/4."""
    table = deployments(deploymentEnd=["2024-03-11T00:00:00+05:00", "2024-03-21T00:00:00+05:00"])
    events = seen(*[f"2024-03-05T{hour:02d}:00:00Z" for hour in range(10)])
    found = cameras(table, events, independence_minutes=0, bootstrap=2000).rai.iloc[0]
    assert (found["rai"], found["rai_low"], found["rai_high"]) == (50, 0, 100)
    assert np.isnan(cameras(table, events, bootstrap=0).rai["rai_low"].iloc[0])


def test_the_map_holds_the_rai_of_each_species_at_each_site():
    layer = cameras(deployments(), seen("2024-03-05T10:00:00Z")).sites
    assert layer["RAI Panthera pardus"].tolist() == pytest.approx([10, 0])
    assert layer.crs.to_epsg() == 4326
    assert layer.geometry.x.tolist() == [57.2, 57.2]


REFUSED = {
    "outside its deployment .row 1.: after it was taken down": seen("2024-03-12T10:00:00Z"),
    "outside its deployment .row 1.: before it was set up": seen("2024-02-12T10:00:00Z"),
    "the event ends before it starts": seen("2024-03-05T10:00:00Z", eventEnd="2024-03-05T09:00:00Z"),
    "there is no such row in deployments": seen("2024-03-05T10:00:00Z", deployment="c"),
    "is not a time such as": seen("05/03/2024 10:00"),
    "is not a time such as 2024": seen("2024-03-05T10:00:00"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_row_that_breaks_a_rule_is_refused_with_its_place(words):
    with pytest.raises(LinkwaysError, match=rf"observations row 1, field (eventStart|eventEnd|deploymentID).*{words}"):
        cameras(deployments(), REFUSED[words])


def test_a_record_at_the_last_second_is_kept_and_one_later_is_not():
    """Deployment a ends at midnight of +05:00."""
    assert cameras(deployments(), seen("2024-03-10T19:00:00Z")).total_events == 1
    with pytest.raises(LinkwaysError, match="after it was taken down at 2024-03-11T00:00:00"):
        cameras(deployments(), seen("2024-03-10T19:00:01Z"))
    assert cameras(deployments(), seen("2024-02-29T19:00:00Z")).total_events == 1
    with pytest.raises(LinkwaysError, match="before it was set up at 2024-03-01T00:00:00"):
        cameras(deployments(), seen("2024-02-29T18:59:59Z"))


def test_a_clock_that_runs_backwards_is_refused():
    table = deployments(deploymentEnd=["2024-02-11T00:00:00Z", "2024-03-21T00:00:00Z"])
    with pytest.raises(LinkwaysError, match=r"deployments row 1, field deploymentEnd.*taken down before it was set up"):
        cameras(table, seen("2024-03-12T10:00:00Z", deployment="b"))


def test_a_deployment_without_effort_is_refused():
    same = deployments(deploymentEnd=["2024-03-01T00:00:00+05:00", "2024-03-21T00:00:00Z"])
    with pytest.raises(LinkwaysError, match="no effort"):
        cameras(same, seen("2024-03-12T10:00:00Z", deployment="b"))
    whole = pd.DataFrame({"deploymentID": ["a"], "start": ["2024-02-01T00:00:00Z"], "end": ["2024-04-01T00:00:00Z"]})
    with pytest.raises(LinkwaysError, match="its failures last as long as it does"):
        cameras(deployments(), seen("2024-03-12T10:00:00Z", deployment="b"), whole)


def test_an_individual_at_two_places_at_once_is_refused_and_both_rows_are_named():
    table = deployments(
        locationID=["spring", "pass"],
        latitude=[37.9, 38.1],
        deploymentStart="2024-03-01T00:00:00Z",
        deploymentEnd="2024-03-21T00:00:00Z",
    )
    twice = seen(
        "2024-03-05T10:00:00Z",
        "2024-03-05T10:02:00Z",
        "2024-03-06T10:02:00Z",
        deployment=["a", "b", "b"],
        eventEnd=["2024-03-05T10:05:00Z", "2024-03-05T10:03:00Z", "2024-03-06T10:03:00Z"],
        individualID="F1",
    )
    with pytest.raises(LinkwaysError, match=r"row 1, field individualID.*another place at the same time .row 2."):
        cameras(table, twice)
    found = cameras(table, twice, invalid="leave out")
    rejected = found.rows[found.rows["outcome"] == "rejected"]
    assert rejected["row"].tolist() == [1, 2]
    assert found.total_events == 1
    # two cameras that look at one path are one place
    assert cameras(deployments(**table[["deploymentStart", "deploymentEnd"]]), twice).total_events == 3
    assert cameras(table, twice, same_place_m=30_000).total_events == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"deploymentID": "c"}, "row 1 .c. names a deployment that is not there"),
        ({"end": "2024-03-01T00:00:00Z"}, "row 1 .a. ends before it starts"),
        ({"start": "2024-04-01T00:00:00Z", "end": "2024-04-02T00:00:00Z"}, "row 1 .a. lies outside its deployment"),
        ({"start": "snow"}, "row 1 .a. has no start"),
    ],
)
def test_a_failure_that_cannot_be_is_refused(change, words):
    failures = pd.DataFrame({"deploymentID": ["a"], "start": ["2024-03-02T00:00:00Z"], "end": ["2024-03-04T00:00:00Z"]})
    with pytest.raises(LinkwaysError, match=words):
        cameras(deployments(), seen("2024-03-06T10:00:00Z"), failures.assign(**change))


def test_a_record_during_a_failure_is_told_and_kept():
    found = cameras(deployments(), seen("2024-03-03T10:00:00Z"), FAILURES)
    assert found.total_events == 1
    told = found.rows.iloc[0]
    assert (told["row"], told["outcome"]) == (1, "told")
    assert "said to have failed" in told["why"]


def test_a_survey_without_locations_cannot_be_told_by_location():
    with pytest.raises(LinkwaysError, match="no column locationID"):
        cameras(deployments().drop(columns="locationID"), seen("2024-03-06T10:00:00Z"), site="location")


def brute_force_independent(seconds, gap, rule):
    """The rules as a field worker would apply them, one record after the other."""
    kept = []
    for k, moment in enumerate(seconds):
        reference = (kept[-1] if kept else None) if rule == "last independent" else (seconds[k - 1] if k else None)
        if reference is None or moment - reference >= gap:
            kept.append(moment)
    return kept


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 500), min_size=1, max_size=40),
    st.integers(0, 120),
    st.sampled_from(["last independent", "last record"]),
)
def test_independent_events_are_those_of_the_rule_applied_by_hand(minutes, gap, rule):
    start = pd.Timestamp("2024-03-05T00:00:00Z")
    times = [(start + pd.Timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:%SZ") for m in minutes]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = cameras(
            deployments(), seen(*times), independence_minutes=gap, independence_rule=rule, bootstrap=0
        ).events
    expected = brute_force_independent(sorted(m * 60 for m in minutes), gap * 60, rule)
    assert [(t - start).total_seconds() for t in found["time"]] == expected
    assert found["records"].sum() == len(minutes)
