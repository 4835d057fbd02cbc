"""Barrier behaviour analysis against BaBA 2.4 (Xu et al. 2021) on the two pronghorn and two mule deer it ships.

498 encounters of the pronghorn (distance 110 m) one by one, its other settings by the counts of their classes, and the
permeability index of its ranking. Fences are numbered by their row.
"""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from linkways import movement

CLASSES = {
    "Bounce": "bounce",
    "Quick_Cross": "quick_cross",
    "Average_Movement": "average",
    "Back_n_forth": "back_and_forth",
    "Trace": "trace",
    "Trapped": "trapped",
    "unknown": "unknown",
}


def track(path):
    table = pd.read_csv(path)
    return gpd.GeoDataFrame(
        {"animal": table["Animal.ID"], "time": pd.to_datetime(table["date"], utc=True)},
        geometry=gpd.points_from_xy(table["x_utm12n"], table["y_utm12n"]),
        crs="EPSG:32612",
    )


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "movement"


@pytest.fixture(scope="module")
def lines(folder):
    return gpd.read_file(folder / "baba_fences.gpkg")


@pytest.fixture(scope="module")
def pronghorn(folder):
    return track(folder / "baba_pronghorn.csv")


@pytest.fixture(scope="module")
def found(pronghorn, lines):
    return movement.fences(pronghorn, lines)


def counts(found):
    return dict(zip(found.by_behaviour.behaviour, found.by_behaviour.encounters, strict=True))


def test_each_of_498_encounters_is_that_of_the_peer(found, folder):
    wanted = pd.read_csv(folder / "expected_baba_pronghorn_d110.csv").rename(columns={"Animal.ID": "animal"})
    wanted["start"] = pd.to_datetime(wanted["start_time"], utc=True)
    wanted = wanted.sort_values(["animal", "start"], ignore_index=True)
    ours = found.events
    assert len(ours) == len(wanted) == 498
    assert ours.animal.tolist() == wanted.animal.tolist()
    assert (ours.start.to_numpy() == wanted.start.to_numpy()).all()
    assert ours.behaviour.tolist() == wanted.eventTYPE.map(CLASSES).tolist()
    assert ours.crossings.tolist() == wanted.cross.tolist()
    assert ours.geometry.x.tolist() == wanted.easting.tolist()
    assert ours.geometry.y.tolist() == wanted.northing.tolist()
    for ours_, theirs in (
        ("duration_h", "duration"),
        ("straightness", "str_i"),
        ("usual_straightness", "str_mean"),
        ("usual_sd", "str_sd"),
    ):
        np.testing.assert_allclose(ours[ours_], wanted[theirs], rtol=1e-8, err_msg=theirs)


def test_the_totals_are_those_of_the_peer(found):
    assert counts(found) == {
        "bounce": 203, "quick_cross": 233, "average": 37, "back_and_forth": 6, "trace": 7, "trapped": 0, "unknown": 12
    }  # fmt: skip
    assert found.by_behaviour.crossings.sum() == 423
    assert found.by_behaviour.hours.sum() == pytest.approx(936)
    assert found.events.straightness.sum() == pytest.approx(182.9896, abs=1e-4)
    assert found.events.straightness.notna().sum() == 220
    assert found.altered_share == pytest.approx((203 + 6 + 7) / 498)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"tolerance_h": 4, "max_cross": 4}, (71, 28, 114, 128, 15, 3)),
        ({"sd_multiplier": 2, "exclude_buffer": True}, (43, 3, 203, 233, 2, 14)),
    ],
)
def test_other_settings_count_as_the_peer_does(pronghorn, lines, settings, wanted):
    names = ("average", "back_and_forth", "bounce", "quick_cross", "trace", "unknown")
    got = counts(movement.fences(pronghorn, lines, **settings))
    assert tuple(got[name] for name in names) == wanted


def test_the_mule_deer_have_201_encounters_as_with_the_peer(folder, lines):
    assert movement.fences(track(folder / "baba_muledeer.csv"), lines, distance_m=90).encounters == 201


def test_the_index_of_77_fences_is_that_of_the_peers_ranking(found):
    met = found.fences[found.fences.encounters > 0]
    assert len(met) == 77
    assert met["index"].sum() == pytest.approx(18.26683, abs=1e-5)
    index = met.set_index("fence")["index"].nlargest(2)
    assert index.to_dict() == pytest.approx({1372: 1.0, 1004: 0.6667}, abs=1e-4)


def test_the_fences_are_as_long_as_published(found):
    assert found.fences.length_km.sum() == pytest.approx(3557.745, abs=1e-3)


def test_gains_of_all_fences_make_up_all_altered_encounters(found):
    assert found.ranking.gain.sum() == pytest.approx(1)
    assert found.ranking.cumulative_gain.iloc[-1] == pytest.approx(1)


def test_removing_a_fence_ends_the_encounters_that_stand_beside_it_alone(pronghorn, lines, found):
    """Run again without the fence, the altered encounters whose fixes are beside no other fence are gone."""
    best = found.ranking.iloc[0]
    altered = found.events[found.events.behaviour.isin(["bounce", "back_and_forth", "trace", "trapped"])]
    without = movement.fences(pronghorn, lines.drop(index=best.fence - 1)).events
    still = pd.MultiIndex.from_frame(without[["animal", "start"]])
    gone = ~pd.MultiIndex.from_frame(altered[["animal", "start"]]).isin(still)
    assert gone.sum() == round(best.gain_alone * len(altered))
