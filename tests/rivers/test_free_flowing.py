"""Free-flowing status: pressures by hand, and dams walked up and down the river one by one."""

import math

import numpy as np
import pandas as pd
import pytest

from linkways import rivers
from linkways.errors import LinkwaysError
from linkways.spatial import recording
from tests.rivers.brute_force import random_river


@pytest.fixture
def river():
    """A stem of discharges 2, 10, 20, 200 m3/s with a branch of 4 into the third reach."""
    return pd.DataFrame(
        {
            "reach": [1, 2, 3, 4, 5],
            "down": [2, 3, 4, -1, 3],
            "length_m": [1000.0, 2000.0, 3000.0, 4000.0, 5000.0],
            "discharge_m3s": [2.0, 10.0, 20.0, 200.0, 4.0],
        }
    )


def test_fragmentation_fades_with_the_logarithm_of_the_discharge(river):
    found = rivers.free_flowing(river, pd.DataFrame({"barrier": [1], "reach": [2]})).reaches
    expected = [0, 100, 100 - 100 * math.log(2) / math.log(5), 0, 0]
    assert found["dof"].tolist() == pytest.approx(expected)
    wide = rivers.free_flowing(river, pd.DataFrame({"barrier": [1], "reach": [2]}), discharge_range=100).reaches["dof"]
    assert wide[0] == pytest.approx(100 - 100 * math.log10(5) / 2)
    assert wide[3] == pytest.approx(100 - 100 * math.log10(20) / 2)
    assert wide[4] == 0  # neither upstream nor downstream of the dam


def test_regulation_counts_storage_from_the_reach_below_a_dam(river):
    year = 31_536_000
    dams = pd.DataFrame({"barrier": [1, 2], "reach": [2, 5], "storage_m3": [2.0 * year, 300.0 * year]})
    found = rivers.free_flowing(river, dams).reaches
    assert found["dor"].tolist() == pytest.approx([0, 0, 100, 100, 0])
    small = rivers.free_flowing(river, dams.assign(storage_m3=[0.1 * year, 0.05 * year])).reaches["dor"]
    assert small.tolist() == pytest.approx([0, 0, 0.75, 0, 0])  # 0.075 % at the mouth is no pressure


def test_pressures_add_up_by_their_weights(river):
    pressed = river.assign(sed=[10, 0, 0, 0, 0], use=[0, 20, 0, 0, 0], rdd=[0, 0, 40, 0, 90], urb=[0, 0, 0, 50, 0])
    pressed["floodplain"] = [0, 0, 1.0, 0, 0.5]
    none = pd.DataFrame({"barrier": [], "reach": [], "storage_m3": []})
    found = rivers.free_flowing(pressed, none)
    assert found.reaches["rdd"].tolist() == [0, 0, 60, 0, 100]
    assert found.reaches["csi"].tolist() == pytest.approx([98.5, 97, 97, 97.5, 95])
    assert found.reaches["main_pressure"].tolist() == ["sed", "use", "rdd", "urb", "rdd"]
    own = rivers.free_flowing(pressed, none, weights={"sed": 100.0}).reaches
    assert own["csi"].tolist() == [90, 100, 100, 100, 100]
    assert own["main_pressure"].tolist() == ["sed", "none", "none", "none", "none"]


def test_a_river_is_free_when_all_its_reaches_are(river):
    named = river.assign(river=["stem"] * 4 + ["branch"])
    dam = pd.DataFrame({"barrier": [1], "reach": [1]})
    found = rivers.free_flowing(named, dam)
    # the dam: dof 100 on reach 1, at the limit of the range on reach 2
    assert found.reaches["csi"].tolist() == pytest.approx([70, 100, 100, 100, 100])
    good, free = "good connectivity", "free-flowing river"
    assert found.reaches["status"].tolist() == ["impacted", good, good, good, free]
    rows = found.rivers.set_index("river")
    assert rows["status"].to_dict() == {"stem": "not free-flowing", "branch": "free-flowing"}
    assert rows["free_km"].to_dict() == {"stem": 9, "branch": 5}
    assert found.free_km == 14
    assert found.free_percent == pytest.approx(100 * 14 / 15)
    assert rivers.free_flowing(river, dam).rivers is None


def test_waterfalls_stop_what_goes_up_but_not_what_goes_down():
    chain = pd.DataFrame({"reach": [1, 2, 3, 4], "down": [2, 3, 4, -1], "length_m": 1.0, "discharge_m3s": 10.0})
    dam = pd.DataFrame({"barrier": [1], "reach": [3]})
    falls = chain.assign(waterfall=[False, True, False, False])
    assert rivers.free_flowing(falls, dam).reaches["dof"].tolist() == [0, 0, 100, 100]
    upper = pd.DataFrame({"barrier": [1], "reach": [1]})
    assert rivers.free_flowing(falls, upper).reaches["dof"].tolist() == [100, 100, 100, 100]


def test_fragmentation_of_random_rivers_agrees_with_walking_from_every_dam():
    rng = np.random.default_rng(8)
    for _ in range(150):
        reaches, barriers, down, rows = random_river(rng)
        n = len(down)
        flow = 10 ** rng.uniform(-1, 3, n)
        falls = rng.random(n) < 0.2
        dof = np.zeros(n)
        log = np.log10(flow)
        for dam in rows:
            v = down[dam]
            while v >= 0:
                dof[v] = max(dof[v], 100 - 100 * max(log[v] - log[dam], 0) / math.log10(5))
                v = down[v]
            for v in range(n):
                u = v
                while u >= 0 and u != dam and not falls[u]:
                    u = down[u]
                if u == dam:
                    dof[v] = max(dof[v], 100 - 100 * max(log[dam] - log[v], 0) / math.log10(5))
        dof[dof < 0.1] = 0
        found = rivers.free_flowing(reaches.assign(discharge_m3s=flow, waterfall=falls), barriers)
        assert found.reaches["dof"].to_numpy() == pytest.approx(dof, abs=1e-9)


def test_the_log_tells_what_was_not_given(river):
    with recording() as log:
        rivers.free_flowing(river, pd.DataFrame({"barrier": [1], "reach": [1], "storage_m3": [None]}))
        rivers.free_flowing(river, pd.DataFrame({"barrier": [1], "reach": [1]}))
    assert any("1 dams without storage_m3" in sentence for sentence in log)
    assert any("no column storage_m3" in sentence for sentence in log)
    assert any("no columns sed, use, rdd, urb" in sentence for sentence in log)


@pytest.mark.parametrize(
    ("change", "chosen", "words"),
    [
        ({"discharge_m3s": [1.0, 0.0, 1, 1, 1]}, {}, "discharge_m3s of reach 2 is 0"),
        ({"sed": 101.0}, {}, "sed of reach 1 is 101"),
        ({}, {"weights": {"dam": 100.0}}, "no pressure 'dam'"),
        ({}, {"weights": {"dof": 50.0}}, "they add up to 50"),
        ({}, {"weights": {"dof": 150.0, "dor": -50.0}}, "dor has -50"),
    ],
)
def test_what_cannot_be_weighed_is_refused(river, change, chosen, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.free_flowing(river.assign(**change), pd.DataFrame({"barrier": [1], "reach": [1]}), **chosen)
