"""Camera traps against the Camtrap DP example, a real survey at Leuven, and the samples of camtrapR, overlap and iNEXT.

The values are those of the peers (camtrapR 3.0, overlap 0.3.9, the worked example of iNEXT) or of a separate script
over the same files; times are whole seconds, so effort agrees to rounding.
"""

import math

import numpy as np
import pandas as pd
import pytest

from linkways.populations import activity, cameras, detection_histories, diversity, import_camera_tables
from linkways.populations._activity_density import bandwidths, densities, on_grid, record_overlap
from linkways.populations.import_camtrapdp import read_camtrapdp
from linkways.spatial import read_table


def tables(shared, name):
    folder = shared / "data" / "populations" / name
    return read_table(folder / "deployments.csv"), read_table(folder / "observations.csv")


# --- O1: the example of the standard ---------------------------------------------------------


def test_the_example_of_the_standard_breaks_no_rule(shared):
    found = read_camtrapdp(shared / "data" / "populations" / "camtrapdp_example")
    assert (found.deployments_kept, found.observations_kept, len(found.media)) == (4, 549, 423)
    assert found.rows.empty


def test_effort_of_the_example(shared):
    found = cameras(*tables(shared, "camtrapdp_example"))
    assert found.effort["effort_days"].tolist() == pytest.approx([32.280602, 9.952072, 9.106505, 22.032431], abs=1e-6)
    assert found.total_effort_days == pytest.approx(73.3716088, abs=1e-7)


@pytest.mark.parametrize("rule", ["last independent", "last record"])
@pytest.mark.parametrize(
    ("level", "expected"),
    [("event", {0: 29, 30: 26, 60: 26, 1440: 24}), ("media", {0: 370, 30: 27, 60: 27, 1440: 25})],
)
def test_independent_events_of_the_example(shared, level, expected, rule):
    for minutes, count in expected.items():
        found = cameras(
            *tables(shared, "camtrapdp_example"),
            level=level,
            kinds=["animal", "human"],
            independence_minutes=minutes,
            independence_rule=rule,
            bootstrap=0,
        )
        assert found.total_events == count


def test_rates_of_the_example(shared):
    found = cameras(*tables(shared, "camtrapdp_example"), independence_minutes=0, bootstrap=0)
    duck = found.rai.set_index("species").loc["Anas platyrhynchos"]
    assert (duck["events"], duck["individuals"], duck["sites_detected"]) == (15, 40, 2)
    rates = found.rai_by_site.set_index(["site", "species"])["rai"]
    assert rates["00a2c20d", "Anas platyrhynchos"] == pytest.approx(27.880521, abs=1e-6)
    assert rates["29b7d356", "Anas platyrhynchos"] == pytest.approx(60.288954, abs=1e-6)
    assert rates["577b543a", "Mustela putorius"] == pytest.approx(32.943485, abs=1e-6)


# --- O2: Leuven ------------------------------------------------------------------------------


def test_six_observations_at_leuven_lie_outside_their_deployments(shared):
    """Told by a separate loop over the file with Python's own datetime."""
    from datetime import datetime

    folder = shared / "data" / "populations" / "camtrapdp_leuven"
    found = read_camtrapdp(folder)
    deployments = pd.read_csv(folder / "deployments.csv").set_index("deploymentID")
    expected = []
    for row, one in enumerate(pd.read_csv(folder / "observations.csv").to_dict("records"), start=1):
        place = deployments.loc[one["deploymentID"]]
        start, end = (datetime.fromisoformat(place[c]) for c in ("deploymentStart", "deploymentEnd"))
        if not start <= datetime.fromisoformat(one["eventStart"]) <= datetime.fromisoformat(one["eventEnd"]) <= end:
            expected.append(row)
    rejected = found.rows[found.rows["outcome"] == "rejected"]
    assert rejected["row"].tolist() == expected
    assert len(expected) == 6


LEUVEN = {
    "last independent": {
        "Capreolus capreolus": {0: 1749, 30: 1116, 60: 1042, 1440: 555},
        "Vulpes vulpes": {0: 717, 30: 653, 60: 631, 1440: 426},
        "Sus scrofa": {0: 986, 30: 649, 60: 608, 1440: 394},
        "Martes foina": {0: 98},
    },
    "last record": {
        "Capreolus capreolus": {30: 1089, 60: 1009, 1440: 444},
        "Vulpes vulpes": {30: 650, 60: 626, 1440: 358},
        "Sus scrofa": {30: 632, 60: 600, 1440: 346},
    },
}


@pytest.mark.parametrize("rule", LEUVEN)
def test_independent_events_at_leuven(shared, rule):
    deployments, observations = tables(shared, "camtrapdp_leuven")
    for minutes in (0, 30, 60, 1440):
        found = cameras(
            deployments,
            observations,
            independence_minutes=minutes,
            independence_rule=rule,
            invalid="leave out",
            bootstrap=0,
        )
        events = found.rai.set_index("species")["events"]
        for species, counts in LEUVEN[rule].items():
            if minutes in counts:
                assert events[species] == counts[minutes]
    assert found.total_effort_days == pytest.approx(2636.9846759, abs=1e-7)


@pytest.mark.parametrize(
    ("species", "naive", "detections"),
    [("Capreolus capreolus", 0.793103, 240), ("Vulpes vulpes", 0.793103, 206), ("Sus scrofa", 0.827586, 230)],
)
def test_detection_histories_at_leuven(shared, species, naive, detections):
    found = detection_histories(*tables(shared, "camtrapdp_leuven"), species=species, invalid="leave out")
    assert (found.surveyed, found.detections, found.histories["occasion"].max()) == (420, detections, 8)
    assert found.naive_occupancy == pytest.approx(naive, abs=1e-6)


# --- O3: camtrapR ----------------------------------------------------------------------------


@pytest.fixture
def camtrapr(shared):
    folder = shared / "data" / "populations" / "camtrapr"
    stations, records = read_table(folder / "camtraps.csv"), read_table(folder / "recordTableSample.csv")
    sound = stations.drop(columns=["Problem1_from", "Problem1_to"])

    def read(problems):
        return import_camera_tables(
            stations if problems else sound,
            records,
            xy_crs="EPSG:32650",
            time_zone="Asia/Kuala_Lumpur",
            station_time_format="%d/%m/%Y",
        )

    return read


@pytest.mark.parametrize(("problems", "days"), [(False, [42, 43, 43]), (True, [42, 43, 37.5])])
def test_trap_days_of_camtrapr(camtrapr, problems, days):
    found = camtrapr(problems)
    assert cameras(found.deployments, found.observations, found.failures).effort["effort_days"].tolist() == days


@pytest.mark.parametrize(
    ("species", "start", "expected"),
    [
        ("VTA", "site", ["0100100", "0101000", "0010000"]),
        ("VTA", "survey", ["0100100", "0101000", "0001000"]),
        ("PBE", "site", ["0011010", "1101010", "1110100"]),
        ("PBE", "survey", ["0011010", "1101001", "1111110"]),
    ],
)
def test_detection_histories_of_camtrapr(camtrapr, species, start, expected):
    found = camtrapr(False)
    histories = detection_histories(
        found.deployments,
        found.observations,
        found.failures,
        species=species,
        occasion_start=start,
        start_hour=0,
        wide=True,
    )
    rows = ["".join(f"{int(v)}" for v in row) for row in histories.wide.drop(columns="site").to_numpy()]
    # camtrapR's first day is that of each station, or of the survey; occasions before a station stood are not rows here
    assert rows == expected
    effort = histories.wide_effort.set_index("site")
    last = {"site": (0.5, 1.5, 1.5), "survey": (0.5, 2.5, 3.5)}[start]
    first = {"site": (6.5, 6.5, 6.5), "survey": (6.5, 5.5, 4.5)}[start]
    assert effort["occasion_1"].tolist() == list(first)
    assert effort["occasion_7"].tolist() == list(last)
    assert (effort[[f"occasion_{k}" for k in range(2, 7)]] == 7).all(axis=None)


def test_effort_of_camtrapr_with_a_problem(camtrapr):
    found = camtrapr(True)
    histories = detection_histories(
        found.deployments, found.observations, found.failures, species="VTA", start_hour=0, wide=True
    )
    effort = histories.wide_effort.set_index("site").loc["StationC"].tolist()
    assert effort == [6.5, 7, 7, 7, 7, 3, 0]
    assert np.isnan(histories.wide.set_index("site").loc["StationC", "occasion_7"])


@pytest.mark.parametrize("rule", ["last independent", "last record"])
def test_record_tables_of_camtrapr(camtrapr, rule):
    found = camtrapr(False)
    for minutes, count in ((30, 39), (60, 39), (1440, 34)):
        events = cameras(
            found.deployments,
            found.observations,
            independence_minutes=minutes,
            independence_rule=rule,
            bootstrap=0,
        )
        assert events.total_events == count


# --- O12: overlap and iNEXT ------------------------------------------------------------------


@pytest.fixture
def sightings(shared):
    table = read_table(shared / "data" / "populations" / "activity" / "sim_tiger_pig_radians.csv")
    return table.assign(hour=table["time_rad"] * 12 / math.pi)


def test_bandwidths_and_overlaps_of_overlap(sightings):
    """overlap 0.3.9: bandwidths 29.9064684 and 10.4208033, Dhat1 0.290861370, Dhat4 0.269200785.

    Its roots are found to 1e-4, and its densities told at 128 points, between which Dhat4 draws straight lines; ours
    are told at 512 and at the records themselves: bandwidths to 2e-5, Dhat1 to 1e-5, Dhat4 to 4e-4.
    """
    found = activity(sightings, clock="hour", bootstrap=0)
    levels = found.levels.set_index("species")["bandwidth"]
    assert levels["tiger"] == pytest.approx(29.9064684, rel=2e-5)
    assert levels["pig"] == pytest.approx(10.4208033, rel=2e-5)
    assert found.overlaps["overlap"].iloc[0] == pytest.approx(0.269200785, abs=4e-4)
    by_grid = activity(sightings, clock="hour", bootstrap=0, overlap_estimator="Dhat1").overlaps["overlap"].iloc[0]
    assert by_grid == pytest.approx(0.290861370, abs=1e-5)


def test_overlap_told_at_the_points_of_overlap_is_the_same(sightings):
    angles = [sightings.loc[sightings["species"] == name, "time_rad"].to_numpy()[None] for name in ("tiger", "pig")]
    grids = [on_grid(densities(x, bandwidths(x, 1.0)), 127) for x in angles]
    assert record_overlap(*grids, *angles)[0] == pytest.approx(0.269200785, abs=1e-6)


def test_the_interval_of_the_overlap_holds_the_truth(sightings):
    """The samples were drawn from two densities whose overlap is 0.291091692."""
    found = activity(sightings, clock="hour", bootstrap=500).overlaps.iloc[0]
    assert found["low"] < 0.291091692 < found["high"]


def test_hill_numbers_of_the_girdled_spiders():
    """Spiders of the girdled plots (Sackett et al. 2011), the worked example of iNEXT."""
    counts = [46, 22, 17, 15, 15, 9, 8, 6, 6, 4, 2, 2, 2, 2] + [1] * 12
    events = pd.DataFrame({"species": np.repeat([f"s{k:02d}" for k in range(26)], counts), "site": "x"})
    events["site"] = [f"plot {k % 5}" for k in range(len(events))]
    hill = diversity(events, bootstrap=0).hill
    of_events = hill[hill["basis"] == "events"].set_index("q")
    assert of_events.loc[0, "observed"] == 26
    assert of_events.loc[1, "observed"] == pytest.approx(12.05965050, abs=1e-8)
    assert of_events.loc[2, "observed"] == pytest.approx(7.84, abs=1e-8)
    assert of_events.loc[0, "estimate"] == pytest.approx(43.89285714, abs=1e-8)
    assert of_events.loc[1, "estimate"] == pytest.approx(13.82625345, abs=1e-8)
