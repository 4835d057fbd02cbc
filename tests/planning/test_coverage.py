"""Coverage: placements against all placements there are, travel by hand, and what a user meets."""

import builtins
from itertools import combinations, combinations_with_replacement

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError, corridors, planning, spatial
from linkways.errors import MissingExtra

pytest.importorskip("spopt")
CRS = "EPSG:32736"


def layer(places, **columns):
    places = np.atleast_2d(places)
    return gpd.GeoDataFrame(columns, index=range(len(places)), geometry=gpd.points_from_xy(*places.T), crs=CRS)


def problem(seed, points=9, sites=5, existing=False):
    rng = np.random.default_rng(seed)
    where, camps = rng.uniform(0, 10_000, (points, 2)), rng.uniform(0, 10_000, (sites, 2))
    weight = rng.integers(1, 50, points).astype(float)
    demand, places = layer(where, weight=weight), layer(camps, existing=[existing] + [False] * (sites - 1))
    return demand, places, weight, np.hypot(*(where[:, None] - camps[None]).transpose(2, 0, 1))


def best(aim, weight, travel, units, limit, must=(), busy=0.3):
    """The best value over all placements, one by one."""
    sites = travel.shape[1]
    if aim == "expected_cover":
        values = []
        for chosen in combinations_with_replacement(range(sites), units):
            near = (travel[:, chosen] <= limit).sum(axis=1)
            values.append(weight @ (1 - busy**near))
        return max(values)
    chosen = [c for c in combinations(range(sites), units) if set(must) <= set(c)]
    nearest = [travel[:, c].min(axis=1) for c in chosen]
    if aim == "p_median":
        return min(weight @ n for n in nearest)
    if aim == "max_cover":
        return max(weight @ (n <= limit) for n in nearest)
    return min(n.max() for n in nearest)


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 1000), st.sampled_from(["p_median", "max_cover", "p_centre", "expected_cover"]), st.integers(1, 3)
)
def test_no_other_placement_is_better(seed, aim, units):
    demand, sites, weight, travel = problem(seed)
    found = planning.coverage(demand, sites, aim=aim, units=units, limit=3000.0)
    assert found.objective == pytest.approx(best(aim, weight, travel, units, 3000.0))
    assert found.gap == 0
    assert found.units == units


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(["p_median", "max_cover", "p_centre"]))
def test_existing_units_stay_and_the_rest_is_best_beside_them(seed, aim):
    demand, sites, weight, travel = problem(seed, existing=True)
    found = planning.coverage(demand, sites, aim=aim, units=2, limit=3000.0)
    assert "1" in found.sites.site.tolist()
    assert found.objective == pytest.approx(best(aim, weight, travel, 2, 3000.0, must=[0]))


@pytest.mark.parametrize("words", [[True, False], ["yes", "no"], ["true", None], [1, 0], [1.0, np.nan]])
def test_existing_may_be_written_in_the_ways_of_files(words):
    demand, sites = layer([[0, 0], [100, 0]]), layer([[5000, 0], [0, 0]], existing=words)
    assert planning.coverage(demand, sites, units=1).sites.site.tolist() == ["1"]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 1000))
def test_a_set_cover_reaches_all_and_no_fewer_units_do(seed):
    demand, sites, _, travel = problem(seed)
    limit = float(travel.min(axis=1).max()) + 1
    found = planning.coverage(demand, sites, aim="set_cover", limit=limit)
    assert found.covered_share == 1
    fewer = combinations(range(5), found.units - 1)
    assert not any(found.units > 1 and (travel[:, c].min(axis=1) <= limit).all() for c in fewer)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 1000))
def test_more_units_never_serve_worse(seed):
    demand, sites, _, _ = problem(seed)
    median = planning.coverage(demand, sites, units=5).curve
    cover = planning.coverage(demand, sites, aim="max_cover", units=2, limit=2500.0, curve_to=5).curve
    assert median.units.tolist() == cover.units.tolist() == [1, 2, 3, 4, 5]
    assert (median.objective.diff().dropna() <= 1e-6).all()
    assert (cover.covered_share.diff().dropna() >= 0).all()


def test_the_share_covered_is_of_weight_and_not_of_points():
    demand = layer([[0, 0], [100, 0], [9000, 0]], weight=[1, 1, 98])
    found = planning.coverage(demand, layer([[9000, 0], [50, 0]]), aim="max_cover", units=1, limit=500.0)
    assert found.covered_share == pytest.approx(0.98)
    assert found.covered_points_share == pytest.approx(1 / 3)
    assert found.covered_weight == 98


def test_every_point_belongs_to_its_nearest_unit_and_the_sums_agree():
    demand, sites, weight, travel = problem(7)
    found = planning.coverage(demand, sites, units=2)
    chosen = [int(s) - 1 for s in found.sites.site]
    assert found.allocation.travel.to_numpy() == pytest.approx(travel[:, chosen].min(axis=1))
    assert found.sites.weight.sum() == pytest.approx(weight.sum())
    assert found.sites.points.sum() == 9
    assert found.mean_travel == pytest.approx(found.objective / weight.sum())
    assert found.farthest == pytest.approx(found.allocation.travel.max())


def test_a_busy_unit_has_a_second_beside_it():
    """One village of weight 90 far from one of 10: with half the time busy, 45 + 22.5 beats 45 + 5."""
    demand, sites = layer([[0, 0], [9000, 0]], weight=[90, 10]), layer([[0, 0], [9000, 0]], site=["a", "b"])
    options = {"aim": "expected_cover", "units": 2, "limit": 100.0}
    busy = planning.coverage(demand, sites, busy_share=0.5, **options)
    assert dict(zip(busy.sites.site, busy.sites.units, strict=True)) == {"a": 2}
    assert busy.objective == pytest.approx(67.5)
    free = planning.coverage(demand, sites, busy_share=0.05, **options)
    assert dict(zip(free.sites.site, free.sites.units, strict=True)) == {"a": 1, "b": 1}


# --- travel ----------------------------------------------------------------------------------------------------


def ground(values):
    values = np.asarray(values, float)
    return spatial.new_raster(values, crs=CRS, cell_size=100, origin=(0, values.shape[0] * 100.0))


def test_a_wall_makes_the_far_site_the_near_one():
    resistance = np.ones((5, 9))
    resistance[:4, 4] = np.nan
    demand, sites = layer([[350, 450]]), layer([[550, 450], [50, 250]], site=["behind", "open"])
    straight = planning.coverage(demand, sites, units=1)
    terrain = planning.coverage(demand, sites, ground(resistance), units=1)
    assert straight.sites.site.tolist() == ["behind"]
    assert terrain.sites.site.tolist() == ["open"]


def test_travel_over_terrain_is_the_accumulated_cost_in_minutes():
    resistance = ground(np.random.default_rng(0).uniform(1, 5, (20, 20)))
    site, demand = layer([[250, 250]]), layer([[1750, 1250], [50, 1950]])
    cost = corridors.cost_distance(resistance, site).cost
    expected = [float(cost.sel(x=p.x, y=p.y)) / (6 * 1000 / 60) for p in demand.geometry]
    found = planning.coverage(demand, site, resistance, units=1, speed_km_h=6.0)
    assert found.allocation.travel.to_numpy() == pytest.approx(expected)


def test_degrees_are_measured_on_the_ellipsoid():
    """A degree of longitude on the equator of WGS 84 has 111,319.49 m."""
    demand = gpd.GeoDataFrame(geometry=[shapely.Point(36, 0)], crs="EPSG:4326")
    site = gpd.GeoDataFrame(geometry=[shapely.Point(37, 0)], crs="EPSG:4326")
    assert planning.coverage(demand, site, units=1).farthest == pytest.approx(111_319.49, abs=0.01)


def test_areas_of_demand_count_where_they_lie():
    demand = gpd.GeoDataFrame({"weight": [3]}, geometry=[shapely.box(0, 0, 200, 200)], crs=CRS)
    assert planning.coverage(demand, layer([[100, 1100]]), units=1).farthest == pytest.approx(1000)


def test_demand_that_one_site_cannot_reach_goes_to_the_other():
    resistance = np.ones((3, 7))
    resistance[:, 3] = np.nan
    demand = layer([[50, 50], [650, 50]], weight=[5, 1])
    sites = layer([[150, 150], [550, 150]], site=["west", "east"])
    found = planning.coverage(demand, sites, ground(resistance), units=2)
    assert found.allocation.site.tolist() == ["west", "east"]
    one = planning.coverage(demand, sites, ground(resistance), aim="max_cover", units=1, limit=500.0)
    assert one.sites.site.tolist() == ["west"]
    assert found.curve.units.tolist() == [2]
    with pytest.raises(LinkwaysError, match="1 units cannot reach every demand point"):
        planning.coverage(demand, sites, ground(resistance), units=1)


# --- refusals --------------------------------------------------------------------------------------------------

VILLAGES = layer([[0, 0], [100, 0]], demand=["a", "b"])
CAMPS = layer([[0, 0], [100, 0]], site=["x", "y"])
TABLE = pd.DataFrame({"site": ["x", "x", "y"], "demand": ["a", "b", "a"], "travel": [0, 1, 2]})


@pytest.mark.parametrize(
    ("demand", "sites", "options", "words"),
    [
        (VILLAGES[:0], CAMPS, {"units": 1}, "demand holds no feature"),
        (VILLAGES, CAMPS, {}, "needs units"),
        (VILLAGES, CAMPS, {"units": 3}, "only 2 sites"),
        (VILLAGES, CAMPS.assign(existing=True), {"units": 1}, "2 sites have one already"),
        (VILLAGES, CAMPS.assign(existing="maybe"), {"units": 1}, "holds 'maybe' in row 1"),
        (VILLAGES, CAMPS, {"units": 1, "aim": "max_cover"}, "needs limit"),
        (VILLAGES, CAMPS, {"units": 1, "aim": "set_cover", "limit": 5.0}, "leave units out"),
        (VILLAGES, CAMPS[:1], {"aim": "set_cover", "limit": 5.0}, "reached by no site within the limit, first b"),
        (VILLAGES.assign(weight=[1, -1]), CAMPS, {"units": 1}, "first row 2"),
        (VILLAGES.assign(weight=0), CAMPS, {"units": 1}, "all weights of demand are 0"),
        (VILLAGES.assign(demand="a"), CAMPS, {"units": 1}, "the name a twice"),
        (VILLAGES, CAMPS, {"units": 1, "travel": TABLE}, "first demand b and site y"),
        (VILLAGES, CAMPS, {"units": 1, "travel": TABLE.assign(travel=-1)}, "row 1"),
        (VILLAGES, CAMPS, {"units": 1, "travel": TABLE, "speed_km_h": 5.0}, "leave out speed_km_h"),
        (VILLAGES, CAMPS, {"units": 1, "resistance": ground(np.ones((2, 2)))}, "lie outside the raster"),
        (
            layer([[50, 50]]),
            layer([[150, 50]]),
            {"units": 1, "resistance": ground([[np.nan, 1]])},
            "lie where resistance has no data",
        ),
        (
            layer([[50, 50]]),
            layer([[250, 50]]),
            {"units": 1, "resistance": ground([[1, np.nan, 1]])},
            "reached by no site",
        ),
    ],
)
def test_what_cannot_be_placed_is_refused(demand, sites, options, words):
    with pytest.raises(LinkwaysError, match=words):
        planning.coverage(demand, sites, **options)


def test_without_spopt_the_extra_is_named(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("spopt"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"linkways\[siting\]"):
        planning.coverage(VILLAGES, CAMPS, units=1)
