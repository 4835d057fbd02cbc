import itertools

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, movement

CRS = "EPSG:32612"


def track(xy, animal="a", first="2024-05-01", hours=2.0, crs=CRS):
    """A fix every so many hours; None for a missing one."""
    times = pd.date_range(first, periods=len(xy), freq=pd.Timedelta(hours=hours), tz="UTC")
    kept = [k for k, place in enumerate(xy) if place is not None]
    return gpd.GeoDataFrame(
        {"animal": animal, "time": times[kept]},
        geometry=gpd.points_from_xy(*np.array([xy[k] for k in kept], float).T),
        crs=crs,
    )


def herd(*tracks):
    return pd.concat(tracks, ignore_index=True)


def fence(*lines, crs=CRS, **columns):
    return gpd.GeoDataFrame(columns, geometry=[shapely.LineString(line) for line in lines], crs=crs)


WALL = fence([(0, -100_000), (0, 100_000)])


def away(steps=60, x=50_000.0, seed=1):
    """A walk far from the fence whose straightness varies."""
    rng = np.random.default_rng(seed)
    turn = np.cumsum(rng.normal(0, 1.0, steps))
    step = np.column_stack([np.cos(turn), np.sin(turn)]) * 300
    return [tuple(p) for p in np.array([x, 0.0]) + np.cumsum(step, axis=0) - step.sum(axis=0) * [1, 0]]


def classes(fixes, fences=WALL, **settings_):
    return movement.fences(fixes, fences, distance_m=110, **settings_).events.behaviour.tolist()


# --- one behaviour at a time ---------------------------------------------------------


def test_coming_near_and_going_back_is_a_bounce():
    found = movement.fences(track([(900, 0), (100, 0), (900, 0)]), WALL)
    assert found.events.behaviour.tolist() == ["bounce"]
    assert found.events.crossings.tolist() == [0]
    assert found.events.duration_h.tolist() == [0]
    assert found.events.geometry[0].equals(shapely.Point(100, 0))
    # the track with the fixes before and after
    assert found.paths.geometry[0].equals(shapely.LineString([(900, 0), (100, 0), (900, 0)]))


def test_going_through_is_a_quick_cross():
    found = movement.fences(track([(900, 0), (100, 0), (-900, 0)]), WALL)
    assert found.events.behaviour.tolist() == ["quick_cross"]
    assert found.events.crossings.tolist() == [1]


def test_a_bounce_whose_end_is_missing_is_unknown_and_a_crossing_is_not():
    assert classes(track([(900, 0), (100, 0)])) == ["unknown"]
    assert classes(track([(100, 0), (900, 0)])) == ["unknown"]
    assert classes(track([(900, 0), (100, 0), (-100, 0)])) == ["quick_cross"]


def test_longer_than_p_time_is_trapped():
    inside = [(50 + k % 2, 10 * k) for k in range(20)]  # 38 h
    assert classes(track([(900, 0), *inside, (900, 0)])) == ["trapped"]
    assert classes(track([(900, 0), *inside, (900, 0)]), p_time_h=40) != ["trapped"]


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        ([(50, 300 * k) for k in range(8)], "trace"),
        ([(50, 200 * (k % 2)) for k in range(8)], "back_and_forth"),
    ],
)
def test_straighter_than_usual_is_a_trace_and_less_straight_back_and_forth(inside, wanted):
    before, after = away(seed=1), away(seed=2)
    assert classes(track([*before, *inside, *after])) == [wanted]


def test_as_straight_as_usual_is_average_movement():
    walk = away(seed=3)
    middle = np.array(walk[20:28])
    inside = [tuple(p) for p in (middle - middle.mean(axis=0)) * 0.05 + [50, 0]]
    assert classes(track([*away(seed=1), *inside, *away(seed=2)]), sd_multiplier=3) == ["average"]


def test_too_many_crossings_make_a_trace_unknown():
    inside = [(50 if k % 2 else -50, 500 * k) for k in range(8)]
    fixes = track([*away(seed=1), *inside, *away(seed=2)])
    assert classes(fixes) == ["unknown"]
    assert classes(fixes, max_cross=6) == ["unknown"]
    assert classes(fixes, max_cross=7) == ["trace"]


def test_too_few_windows_leave_a_longer_encounter_unknown():
    inside = [(50, 300 * k) for k in range(8)]
    assert classes(track([*away(8), *inside, *away(8, seed=2)])) == ["unknown"]


def test_an_animal_that_does_not_move_is_unknown():
    assert classes(track([*away(), *[(50, 0)] * 8, *away(seed=2)])) == ["unknown"]


def test_leaving_for_no_longer_than_the_tolerance_is_one_encounter():
    places = [(900, 0), (50, 0), (300, 0), (50, 0), (900, 0)]
    assert classes(track(places)) == ["bounce", "bounce"]
    joined = movement.fences(track(places), WALL, tolerance_h=2).events
    assert joined.behaviour.tolist() == ["bounce"]
    assert joined.duration_h.tolist() == [4]
    assert len(movement.fences(track(places), WALL, tolerance_h=1.8).events) == 2


def test_a_missing_fix_ends_an_encounter():
    assert classes(track([(900, 0), (50, 0), None, (50, 0), (900, 0)])) == ["bounce", "bounce"]


def test_two_animals_never_share_an_encounter():
    fixes = herd(track([(900, 0), (50, 0)], "a"), track([(50, 0), (900, 0)], "b", "2024-05-01 04:00"))
    assert movement.fences(fixes, WALL).events.animal.tolist() == ["a", "b"]


def test_times_that_wander_by_some_seconds_change_nothing():
    exact = track([*away(), *[(50, 300 * k) for k in range(8)], *away(seed=2)])
    rng = np.random.default_rng(0)
    wandering = exact.assign(time=exact.time + pd.to_timedelta(rng.integers(-60, 60, len(exact)), unit="s"))
    assert classes(wandering) == classes(exact) == ["trace"]


# --- against the definition, written plainly -----------------------------------------


def straightness(places):
    way = sum(np.hypot(*np.subtract(b, a)) for a, b in itertools.pairwise(places))
    return np.nan if way == 0 else np.hypot(*np.subtract(places[-1], places[0])) / way


def by_definition(places, lines, d, interval, b_time, p_time, w, max_cross, sd, exclude):
    """(first fix, crossings, class) of each encounter of one animal without missing fixes, by plain loops."""
    zone = shapely.union_all([line.buffer(d, quad_segs=5) for line in lines])
    inside = [zone.intersects(shapely.Point(p)) for p in places]
    runs, k = [], 0
    while k < len(places):
        if inside[k]:
            end = k
            while end + 1 < len(places) and inside[end + 1]:
                end += 1
            runs.append((k, end))
            k = end
        k += 1
    out = []
    for first, last in runs:
        hours = (last - first) * interval
        low, high = (max(first - 1, 0), min(last + 1, len(places) - 1)) if hours <= b_time else (first, last)
        path = shapely.LineString(places[low : high + 1])
        crossings = sum(shapely.get_num_coordinates(path.intersection(line)) for line in lines)
        if hours <= b_time:
            whole = high - low == last - first + 2
            kind = "quick_cross" if crossings else ("bounce" if whole else "unknown")
        elif hours > p_time:
            kind = "trapped"
        else:
            values = []
            reach = int(w / 2 / interval)
            for i in range(max(first - reach, 0), min(last + reach, len(places) - 1) - (last - first) + 1):
                window = range(i, i + last - first + 1)
                if not (exclude and any(inside[j] for j in window)):
                    values.append(straightness([places[j] for j in window]))
            own = straightness(places[first : last + 1])
            if len(values) < (w / interval + 1) / 4:
                kind = "unknown"
            elif own < np.mean(values) - sd * np.std(values, ddof=1):
                kind = "back_and_forth" if crossings <= max_cross else "unknown"
            elif own > np.mean(values) + sd * np.std(values, ddof=1):
                kind = "trace" if crossings <= max_cross else "unknown"
            else:
                kind = "average"
        out.append((first, crossings, kind))
    return out


@given(
    seed=st.integers(0, 2**32 - 1),
    max_cross=st.integers(0, 3),
    sd=st.sampled_from([0.5, 1.0, 2.0]),
    exclude=st.booleans(),
    window_h=st.sampled_from([48, 96]),
)
@settings(max_examples=40, deadline=None)
def test_encounters_of_random_walks_are_those_of_the_definition(seed, max_cross, sd, exclude, window_h):
    rng = np.random.default_rng(seed)
    places = [tuple(p) for p in np.cumsum(rng.normal(0, 120, (150, 2)), axis=0)]
    lines = [shapely.LineString(rng.uniform(-900, 900, (rng.integers(2, 5), 2))) for _ in range(3)]
    fences = gpd.GeoDataFrame(geometry=lines, crs=CRS)
    wanted = by_definition(places, lines, 110, 2.0, 4, 12, window_h, max_cross, sd, exclude)
    settings_ = {"max_cross": max_cross, "sd_multiplier": sd, "exclude_buffer": exclude}
    if not wanted:
        with pytest.raises(LinkwaysError, match="no fix lies within"):
            movement.fences(track(places), fences)
        return
    found = movement.fences(track(places), fences, p_time_h=12, window_h=window_h, replicates=10, **settings_).events
    start = pd.Timestamp("2024-05-01", tz="UTC")
    first = ((found.start - start) / pd.Timedelta(hours=2)).astype(int)
    assert list(zip(first, found.crossings, found.behaviour, strict=True)) == wanted


# --- fences --------------------------------------------------------------------------


def two_fences():
    """Fence 1 has a bounce of each of two animals and a quick cross; fence 2 a quick cross of one."""
    fences = fence([(0, -500), (0, 500)], [(10_000, -500), (10_000, 1_500)], type=["woven", "wire"])
    bounce, cross = [(900, 0), (100, 0), (900, 0)], [(900, 50), (100, 50), (-900, 50)]
    far = [(10_900, 0), (10_100, 0), (9_000, 0)]
    fixes = herd(
        track([*bounce, *cross], "a"), track(bounce, "b"), track(far, "c"),
    )  # fmt: skip
    return fixes, fences


def test_the_index_counts_altered_encounters_and_animals_and_runs_from_0_to_1():
    found = movement.fences(*two_fences())
    layer = found.fences
    assert layer.fence.tolist() == [1, 2]
    assert layer.length_km.tolist() == [1, 2]
    assert layer.encounters.tolist() == [3, 1]
    assert layer.bounce.tolist() == [2, 0]
    assert layer.quick_cross.tolist() == [1, 1]
    assert layer.individuals.tolist() == [2, 1]
    assert layer["index"].tolist() == [1, 0]
    assert layer.crossed_share.tolist() == pytest.approx([1 / 3, 1])
    assert layer.crossings.tolist() == [1, 1]
    assert layer.crossings_per_km.tolist() == [1, 0.5]
    assert layer["type"].tolist() == ["woven", "wire"]
    assert found.altered_share == 0.5


def test_gain_is_the_share_of_altered_encounters_and_ranks_by_km():
    found = movement.fences(*two_fences())
    assert found.ranking.fence.tolist() == [1]
    assert found.ranking.gain.tolist() == [1]
    assert found.ranking.gain_per_km.tolist() == [1]
    assert found.fences["rank"].isna().tolist() == [False, True]


def test_an_encounter_beside_two_fences_ends_only_when_both_are_gone():
    # the first bounce is beside fences 1 and 2, the second beside fence 1 alone
    fences = fence([(0, -500), (0, 5_000)], [(50, -400), (50, 100)])
    places = [(900, 0), (100, 0), (900, 0), (900, 3_000), (100, 3_000), (900, 3_000)]
    ranking = movement.fences(track(places), fences).ranking.set_index("fence")
    assert ranking.gain.to_dict() == {1: 0.75, 2: 0.25}
    assert ranking.gain_alone.to_dict() == {1: 0.5, 2: 0.0}
    assert ranking.gain_per_km.to_dict() == pytest.approx({1: 0.75 / 5.5, 2: 0.5})
    assert ranking["rank"].to_dict() == {2: 1, 1: 2}
    assert ranking.cumulative_gain.to_dict() == {2: 0.0, 1: 1.0}
    assert ranking.cumulative_km.to_dict() == {2: 0.5, 1: 6.0}


def test_lines_of_one_id_are_one_fence():
    fixes, fences = two_fences()
    found = movement.fences(fixes, fences.assign(id="ranch", owner="state"))
    assert found.fences.fence.tolist() == ["ranch"]
    assert found.fences.length_km.tolist() == [3]
    assert found.fences.encounters.tolist() == [4]
    assert found.fences.owner.tolist() == ["state"]
    assert shapely.length(found.fences.geometry[0]) == 3_000
    assert set(found.events.fence) == {"ranch"}


def test_fences_with_few_encounters_get_no_index_and_no_rank():
    fixes, fences = two_fences()
    few = movement.fences(fixes, fences, min_encounters=2).fences
    assert few["index"].isna().tolist() == [False, True]
    none = movement.fences(fixes, fences, min_encounters=4)
    assert none.fences["index"].isna().all()
    assert len(none.ranking) == 0


def test_the_interval_of_a_rate_spans_what_drawing_animals_anew_gives():
    # nine animals cross and nine bounce: the share of a drawn herd that crosses is binomial over 18
    parts = [track([(900, 0), (100, 0), (900 * (1 if k < 9 else -1), 0)], f"a{k:02}") for k in range(18)]
    found = movement.fences(herd(*parts), fence([(0, -500), (0, 500)]), replicates=4_000).fences
    from scipy.stats import binom

    low, high = binom.ppf([0.025, 0.975], 18, 0.5) / 18
    assert found.crossed_share[0] == 0.5
    assert (found.crossed_share_low[0], found.crossed_share_high[0]) == pytest.approx((low, high), abs=0.03)


def test_one_animal_has_no_interval_and_one_seed_always_the_same():
    one = movement.fences(track([(900, 0), (100, 0), (900, 0)]), WALL).fences
    assert one[["gain_low", "gain_high", "index_low"]].isna().all(axis=None)
    fixes, fences = two_fences()
    drawn = [movement.fences(fixes, fences, seed=3).fences.crossed_share_low.tolist() for _ in range(2)]
    assert drawn[0] == drawn[1]


def test_crossings_count_steps_that_are_never_near_the_fence():
    places = [(900, 0), (-900, 0), (-900, 50), (100, 50), (900, 50)]
    found = movement.fences(track(places), WALL)
    assert found.encounters == 1
    assert found.crossings == 2
    gap = [(900, 0), None, (-900, 0), (-900, 50), (100, 50), (900, 50)]
    assert movement.fences(track(gap), WALL).crossings == 1  # a step over a missing fix is no straight line


def test_fences_in_another_crs_are_brought_to_that_of_the_fixes():
    fixes, fences = two_fences()
    fixes, fences = (layer.translate(500_000, 4_700_000) for layer in (fixes.geometry, fences.geometry))
    fixes = two_fences()[0].set_geometry(fixes)
    fences = gpd.GeoDataFrame(geometry=fences)
    there = movement.fences(fixes, fences.to_crs("EPSG:4326"))
    here = movement.fences(fixes, fences)
    assert there.events.behaviour.tolist() == here.events.behaviour.tolist()
    assert there.fences.crs == fixes.crs


def test_a_crs_in_feet_is_measured_in_metres():
    metre = 3937 / 1200
    fixes, fences = two_fences()
    feet = [gpd.GeoDataFrame(layer.drop(columns="geometry"), geometry=layer.geometry.scale(metre, metre, origin=(0, 0)))
            for layer in (fixes, fences)]  # fmt: skip
    found = movement.fences(*(layer.set_crs("EPSG:2263", allow_override=True) for layer in feet))
    wanted = movement.fences(fixes, fences)
    assert found.events.behaviour.tolist() == wanted.events.behaviour.tolist()
    assert found.fences.length_km.tolist() == pytest.approx([1, 2])


def test_the_chart_shows_the_encounters_of_each_behaviour():
    found = movement.fences(*two_fences())
    bars = found.chart.axes[0].patches
    assert [bar.get_width() for bar in bars] == found.by_behaviour.encounters.tolist() == [2, 2, 0, 0, 0, 0, 0]


# --- refusals ------------------------------------------------------------------------


def test_animals_far_from_all_fences_are_refused_with_the_distance():
    with pytest.raises(LinkwaysError, match=r"no fix lies within 110 m of a fence \(the nearest is 900 m away\)"):
        movement.fences(track([(900, 0), (950, 0)]), WALL)


def test_degrees_are_refused():
    with pytest.raises(LinkwaysError, match="degrees"):
        movement.fences(track([(0.9, 0), (1, 0)], crs="EPSG:4326"), WALL)


def test_different_intervals_need_one_given():
    fixes = herd(track([(900, 0), (100, 0), (900, 0)], "a"), track([(900, 0), (100, 0), (900, 0)], "b", hours=3))
    with pytest.raises(LinkwaysError, match="2 h for a and 3 h for b; give interval_h"):
        movement.fences(fixes, WALL)
    assert movement.fences(fixes, WALL, interval_h=3).encounters == 2


def test_an_interval_longer_than_a_short_encounter_is_refused():
    with pytest.raises(LinkwaysError, match=r"fixes are 5 h apart, longer than b_time_h \(4 h\)"):
        movement.fences(track([(900, 0), (100, 0), (900, 0)], hours=5), WALL)


def test_a_given_interval_shorter_than_that_of_the_fixes_is_refused():
    with pytest.raises(LinkwaysError, match="interval_h is 1 h but the commonest time between fixes of a is 2 h"):
        movement.fences(track([(900, 0), (100, 0), (900, 0)]), WALL, interval_h=1)


def test_no_fences_and_fences_without_id_are_refused():
    with pytest.raises(LinkwaysError, match="holds no line"):
        movement.fences(track([(900, 0), (100, 0)]), WALL.iloc[:0])
    with pytest.raises(LinkwaysError, match="rows without id, first row 2"):
        movement.fences(track([(900, 0), (100, 0)]), fence([(0, 0), (0, 1)], [(1, 0), (1, 1)], id=["x", None]))
