"""Streaking: tracks whose streaks are known, corridor behaviour by its definition, and what follows from the areas."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement, spatial
from linkways.movement._streaking_corridors import corridor_steps

CRS = "EPSG:32735"
X, Y = 300_000.0, 7_300_000.0


def parks(*west, size=6_000.0, names=("North", "South", "West")):
    boxes = [shapely.box(X + w - size / 2, Y - size / 2, X + w + size / 2, Y + size / 2) for w in west]
    return gpd.GeoDataFrame({"area": list(names[: len(boxes)])}, geometry=boxes, crs=CRS)


def commuter(seed, legs=2, stay=80, dash=10, pace=2_000.0, animal="a"):
    """An animal that forages about X and about X + dash * pace in turns; which of its steps are dashes."""
    rng = np.random.default_rng(seed)
    moves, fast = [], []
    for leg in range(legs + 1):
        moves.append(rng.normal(0, 120, (stay, 2)))
        fast += [False] * stay
        if leg < legs:
            direction = 1 if leg % 2 == 0 else -1
            moves.append(np.column_stack([direction * (pace + rng.normal(0, 150, dash)), rng.normal(0, 100, dash)]))
            fast += [True] * dash
    xy = np.array([X, Y]) + np.vstack([[[0.0, 0.0]], np.cumsum(np.vstack(moves), axis=0)])
    times = pd.date_range("2024-01-01", periods=len(xy), freq="h", tz="UTC")
    layer = gpd.GeoDataFrame({"animal": animal, "time": times}, geometry=gpd.points_from_xy(*xy.T), crs=CRS)
    return layer, np.array(fast)


@pytest.fixture(scope="module")
def found():
    layer, fast = commuter(1)
    areas = parks(0, 20_000)
    return layer, fast, movement.streaking(layer, areas, states=2, starts=3, cell_m=1000)


def test_the_dashes_between_two_parks_are_the_streaks(found):
    _, fast, result = found
    assert (result.steps["streak"].to_numpy()[:-1] > 0).tolist() == fast.tolist()
    streaks = result.streaks
    assert streaks["steps"].tolist() == [10, 10]
    assert streaks["hours"].tolist() == [10, 10]
    assert streaks[["from_area", "to_area"]].to_numpy().tolist() == [["North", "South"], ["South", "North"]]
    assert streaks["length_km"].tolist() == pytest.approx([20, 20], rel=0.05)
    assert (streaks["straightness"] > 0.98).all()


def test_what_streaks_join_is_counted(found):
    _, _, result = found
    row = result.joined.iloc[0]
    assert (row["area_a"], row["area_b"], row["animals"]) == ("North", "South", 1)
    assert (row["transits"], row["with_streak"], row["streaks"]) == (2, 2, 2)
    animal = result.animals.iloc[0]
    assert (animal["streaks"], animal["joining"], animal["areas"], animal["transits"]) == (2, 2, 2, 2)
    assert result.joining_share == 1
    # 14 of 20 km lie between the parks
    assert result.outside_share == pytest.approx(0.7, abs=0.06)
    track = result.steps["step_m"].sum() / 1000
    assert result.streak_share == pytest.approx(result.streaks["length_km"].sum() / track)


def test_a_line_is_the_fixes_of_its_streak(found):
    layer, fast, result = found
    xy = layer.geometry.get_coordinates().to_numpy()
    first = int(np.flatnonzero(fast)[0])
    assert shapely.get_coordinates(result.streaks.geometry[0]) == pytest.approx(xy[first : first + 11])
    assert result.streaks["begin"][0] == layer["time"][first]


def test_maps_cover_the_track_and_count_rules_and_animals(found):
    _, _, result = found
    assert result.agreement.shape == result.users.shape
    assert set(np.unique(result.users.values)) == {0, 1}
    assert result.agreement.values.max() <= 3
    west, _, east, _ = spatial.grid_of(result.users).bounds
    cells = result.users.values.any(axis=0).sum()
    assert cells >= 20
    assert west <= X - 500 <= X + 20_500 <= east


def test_two_animals_have_streaks_of_their_own_and_meet_on_the_map():
    both = pd.concat([commuter(1)[0], commuter(2, animal="b")[0]])
    template = spatial.new_raster(np.zeros((20, 60)), crs=CRS, cell_size=1000, origin=(X - 1e4, Y + 1e4))
    result = movement.streaking(both, parks(0, 20_000), template, states=2, starts=3)
    assert result.streaks["animal"].tolist() == ["a", "a", "b", "b"]
    assert result.joined["animals"].tolist() == [2]
    assert result.users.values.max() == 2
    assert result.users.shape == (20, 60)


def test_a_pause_within_a_streak_does_not_part_it_unless_it_may_not():
    layer, _ = commuter(3, legs=1, dash=11)
    xy = layer.geometry.get_coordinates().to_numpy().copy()
    moves = np.diff(xy, axis=0)
    moves[85] = [-30, 0]
    moves[84] = moves[86] = [1400, 1400]
    xy[1:] = xy[0] + moves.cumsum(axis=0)
    layer = layer.set_geometry(gpd.points_from_xy(*xy.T, crs=CRS))
    steps = [movement.streaking(layer, states=2, starts=3, pause_steps=p).streaks["steps"].tolist() for p in (0, 1)]
    assert steps == [[5, 5], [11]]
    assert movement.streaking(layer, states=2, starts=3, pause_steps=0, min_steps=6).streaks.empty
    long = movement.streaking(layer, states=2, starts=3, pause_steps=0, min_length_km=1e3)
    assert (len(long.streaks), long.streak_share) == (0, 0)
    assert long.joined is None


def test_a_gap_in_time_parts_a_streak():
    layer, fast = commuter(4, legs=1)
    cut = int(np.flatnonzero(fast)[5])
    late = layer["time"].where(np.arange(len(layer)) <= cut, layer["time"] + pd.Timedelta("5D"))
    result = movement.streaking(layer.assign(time=late), states=2, starts=3)
    assert result.streaks["steps"].tolist() == [5, 4]


def test_an_animal_that_comes_back_to_its_park_joins_nothing():
    layer, _ = commuter(5)
    result = movement.streaking(layer, parks(0), states=2, starts=3)
    assert result.streaks["from_area"].tolist() == ["North", "North"]
    assert not result.streaks["joins"].any()
    assert result.joined.empty
    assert result.joining_share == 0


def test_steps_of_either_rule_hold_those_of_each_and_of_both():
    layer, _ = commuter(6, legs=6)

    def marked(rule):
        return movement.streaking(layer, states=2, starts=3, rule=rule, min_steps=1, pause_steps=0).steps["streak"] > 0

    state, corridor, either, both = map(marked, ("state", "corridor", "either", "both"))
    assert (either == (state | corridor)).all()
    assert (both == (state & corridor)).all()
    # seven times along the same line is a corridor
    assert both.sum() > 0


# --- corridor behaviour --------------------------------------------------------------


def by_definition(x, y, length, speed, bearing, speed_quantile, variance_quantile):
    n = len(x)
    near = [[j for j in range(n) if np.hypot(x[j] - x[i], y[j] - y[i]) <= length[i] / 2 or i == j] for i in range(n)]
    variance = np.array([1 - abs(np.exp(2j * bearing[j]).mean()) if len(j) > 1 else 0.0 for j in near])
    if not (variance > 1e-12).any():
        return np.zeros(n, bool)
    alike = variance <= np.quantile(variance[variance > 1e-12], variance_quantile)
    candidate = (speed >= np.quantile(speed, speed_quantile)) & alike
    return np.array([candidate[i] and len(j) > 2 and candidate[j].mean() > 0.5 for i, j in enumerate(near)])


def random_steps(seed, n=60):
    rng = np.random.default_rng(seed)
    length = rng.gamma(1.5, 200, n)
    x, y, bearing = (
        rng.uniform(0, 1000, n),
        rng.uniform(0, 300, n),
        rng.normal(0, 0.4, n) + np.pi * rng.integers(0, 2, n),
    )
    return x, y, length, length / 3600, bearing % (2 * np.pi)


@given(st.integers(0, 10_000), st.floats(0, 0.8), st.floats(0.2, 1))
@settings(max_examples=30, deadline=None)
def test_corridor_behaviour_is_its_definition(seed, speed_quantile, variance_quantile):
    steps = random_steps(seed)
    quantiles = {"speed_quantile": speed_quantile, "variance_quantile": variance_quantile}
    marked, _ = corridor_steps(*steps, **quantiles)
    assert marked.tolist() == by_definition(*steps, **quantiles).tolist()


@given(st.integers(0, 10_000), st.floats(0, 6.28))
@settings(max_examples=20, deadline=None)
def test_turning_the_map_and_walking_backwards_change_no_corridor_behaviour(seed, angle):
    x, y, length, speed, bearing = random_steps(seed)
    quantiles = {"speed_quantile": 0.3, "variance_quantile": 0.5}
    plain, variance = corridor_steps(x, y, length, speed, bearing, **quantiles)
    c, s = np.cos(angle), np.sin(angle)
    # clockwise, as bearings are
    turned, other = corridor_steps(c * x + s * y, c * y - s * x, length, speed, bearing + angle + np.pi, **quantiles)
    assert other == pytest.approx(variance, abs=1e-9)
    assert turned.tolist() == plain.tolist()


def test_steps_of_length_zero_are_no_neighbours():
    x, y, length, speed, bearing = random_steps(1)
    more = [np.append(a, b) for a, b in ((x, x[:5]), (y, y[:5]), (length, [0] * 5), (speed, [0] * 5))]
    marked, variance = corridor_steps(*more, np.append(bearing, [np.nan] * 5), speed_quantile=0, variance_quantile=0.5)
    plain, before = corridor_steps(x, y, length, speed, bearing, speed_quantile=0, variance_quantile=0.5)
    assert marked.tolist() == [*plain.tolist(), *[False] * 5]
    assert np.isnan(variance[-5:]).all()
    assert variance[:-5] == pytest.approx(before)


# --- what is refused -----------------------------------------------------------------


def test_areas_that_cannot_be_told_apart_are_refused():
    layer, _ = commuter(1)
    with pytest.raises(LinkwaysError, match="names North twice, again in row 2"):
        movement.streaking(layer, parks(0, 20_000, names=("North", "North")))
    with pytest.raises(LinkwaysError, match="areas holds no polygon"):
        movement.streaking(layer, parks(0).iloc[:0])


def test_a_track_too_short_for_the_model_is_refused():
    layer, _ = commuter(1)
    with pytest.raises(LinkwaysError, match=r"movement.streaking: 9 steps .* too few for 3 states"):
        movement.streaking(layer.iloc[:10])
