"""Connectivity of rivers: definitions by brute force, closed forms, invariances, and what is refused."""

import math

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import rivers
from linkways.errors import LinkwaysError
from linkways.rivers._kernels import order_forest
from linkways.spatial import recording
from tests.rivers.brute_force import Pairs, edge_products, random_forest, random_river

CLOSE = 1e-12


def relative(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    scale = np.maximum(np.abs(expected), 1e-300)
    return float(np.max(np.abs(found - expected) / scale, initial=0.0))


def tail(x):
    return math.erfc(x / math.sqrt(2))


def kernel_of(name, reaches, down, distance):
    """The kernel as a function of a pair and its edges, and the parameters that ask for it."""
    length = reaches["length_m"].to_numpy()
    edge = [(length[v] + length[u]) / 2 if u >= 0 else 0.0 for v, u in enumerate(down)]
    between = lambda edges: sum(edge[e] for e in edges)  # noqa: E731
    if name == "none":
        return (lambda i, j, d, u: 1.0), {"kernel": "none"}
    if name == "exponential":
        chosen = {"kernel": "exponential", "distance_up_m": distance, "distance_down_m": 2 * distance}
        return (lambda i, j, d, u: math.exp(-between(u) / distance - between(d) / (2 * distance))), chosen
    if name == "threshold":
        chosen = {"kernel": "threshold", "distance_m": distance}
        return (lambda i, j, d, u: float(between(d) + between(u) <= distance)), chosen
    if name == "two thresholds":
        chosen = {"kernel": "threshold", "distance_up_m": distance, "distance_down_m": 2 * distance}
        return (lambda i, j, d, u: float(between(u) <= distance and between(d) <= 2 * distance)), chosen
    if name == "leptokurtic":
        chosen = {"kernel": "leptokurtic", "sigma_stationary_m": distance / 4, "sigma_mobile_m": distance}

        def leptokurtic(i, j, d, u):
            x = between(d) + between(u)
            return 0.67 * tail(4 * x / distance) + 0.33 * tail(x / distance)

        return leptokurtic, chosen
    assert name == "points"

    def points(i, j, d, u):
        # reaches strictly between i and j, and the mean over points of both ends
        x, y = length[i] / distance, length[j] / distance
        if i == j:
            return 2 * (x - 1 + math.exp(-x)) / x**2 if x > 1e-6 else 1 - x / 3
        inner = between(d) + between(u) - (length[i] + length[j]) / 2
        if d and u:  # the way turns at the upper end of the reach where both branches meet
            inner -= length[down[d[-1]]]
        ends = [(1 - math.exp(-z)) / z if z > 0 else 1.0 for z in (x, y)]
        return ends[0] * ends[1] * math.exp(-inner / distance)

    return points, {"kernel": "exponential", "distance_m": distance, "distances": "points"}


KERNELS = ("none", "exponential", "threshold", "two thresholds", "leptokurtic", "points")
CASES = dict(zip(KERNELS, (400, 150, 150, 150, 50, 100), strict=True))


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_thousand_random_forests_agree_with_the_definitions(kernel):
    rng = np.random.default_rng(KERNELS.index(kernel))
    # the leptokurtic kernel is fitted: as close as it says
    close = CLOSE if kernel != "leptokurtic" else 1e-9
    for trial in range(CASES[kernel]):
        reaches, barriers, down, rows = random_river(rng)
        way, chosen = kernel_of(kernel, reaches, down, float(rng.uniform(100, 4000)))
        rule = ("product", "directional")[trial % 2]
        found = rivers.connectivity(reaches, barriers, passability=rule, **chosen)
        pairs, n, w = Pairs(down), len(down), reaches["length_m"].to_numpy()
        inside = np.array([down[r] >= 0 for r in rows], bool)
        up, dn = barriers["pass_up"].to_numpy(), barriers["pass_down"].to_numpy()
        a, b = (up * dn, up * dn) if rule == "product" else (dn, up)

        def matrix(a, b):
            return pairs.connections(*(edge_products(n, rows[inside], v[inside]) for v in (a, b)), way)  # noqa: B023

        c = matrix(a, b)
        root = np.array([pairs.root(v) for v in range(n)])
        total = np.array([w[root == root[v]].sum() for v in range(n)])
        known = total > 0
        assert relative(found.reaches["source"][known], (c @ w)[known] / total[known]) < close
        assert relative(found.reaches["sink"][known], (c.T @ w)[known] / total[known]) < close
        assert relative(found.cci, w @ c @ w / w.sum() ** 2) < close
        for number in range(len(rows)):
            mended = [v.copy() for v in (a, b)]
            for v in mended:
                v[number] = 1.0
            here = root == root[rows[number]]
            before, after = (w[here] @ m[np.ix_(here, here)] @ w[here] for m in (c, matrix(*mended)))
            if total[rows[number]] > 0:
                gain = 100 * (after - before) / total[rows[number]] ** 2
                assert found.barriers["gain_points"][number] == pytest.approx(gain, rel=1e-11, abs=100 * close)
        for name, p in (("", up * dn), ("_up", up), ("_down", dn)):
            access = pairs.to_outlet(edge_products(n, rows[inside], p[inside]))
            assert relative(found.reaches[f"access{name}"], access) < CLOSE
            assert relative(getattr(found, f"dcid{name}"), 100 * (access @ w) / w.sum()) < CLOSE


def test_six_hundred_more_forests_keep_every_digit_of_small_gains():
    """Slopes against brute force, relative to themselves: nothing is lost by subtraction."""
    rng = np.random.default_rng(9)
    for _ in range(600):
        reaches, barriers, down, rows = random_river(rng, most=8)
        reaches["length_m"] *= 10.0 ** rng.integers(-8, 8, len(reaches))
        if len(barriers) == 0 or not reaches["length_m"].any():
            continue
        found = rivers.connectivity(reaches, barriers, passability="directional")
        pairs, w = Pairs(down), reaches["length_m"].to_numpy()
        number = int(rng.integers(len(rows)))
        e = rows[number]
        if down[e] < 0:
            assert found.barriers["gain_points"].fillna(0)[number] == 0
            continue
        keep = [k for k, r in enumerate(rows) if down[r] >= 0 and k != number]
        up, dn = barriers["pass_up"].to_numpy(), barriers["pass_down"].to_numpy()
        others = [edge_products(len(down), rows[keep], v[keep]) for v in (dn, up)]
        c = pairs.connections(*others)
        gain = 0.0
        for (i, j), (downs, ups) in pairs.way.items():
            if e in downs:
                gain += w[i] * w[j] * c[i, j] * (1 - dn[number])
            if e in ups:
                gain += w[i] * w[j] * c[i, j] * (1 - up[number])
        total = w[[pairs.root(v) == pairs.root(e) for v in range(len(down))]].sum()
        if total > 0:
            assert relative(found.barriers["gain_points"][number], 100 * gain / total**2) < CLOSE


def test_a_chain_of_a_million_reaches_has_its_closed_form():
    n = 1_000_000
    reaches = pd.DataFrame({"reach": np.arange(n), "down": np.arange(n) - 1, "length_m": 1.0})
    barriers = pd.DataFrame({"barrier": np.arange(n - 1), "reach": np.arange(1, n)}).assign(pass_up=0.5, pass_down=0.25)
    found = rivers.connectivity(reaches, barriers, passability="directional")
    pairs = n + sum((n - k) * (0.5**k + 0.25**k) for k in range(1, 1100))
    assert found.cci == pytest.approx(pairs / n**2, rel=CLOSE)
    assert found.dcid_up == pytest.approx(100 * 2 / n, rel=CLOSE)
    open_river = rivers.connectivity(reaches)
    assert open_river.cci == 1.0
    mean = 1000.0
    decaying = rivers.connectivity(reaches, kernel="exponential", distance_m=mean)
    q = math.exp(-1 / mean)
    closed = (n + 2 * (n * q / (1 - q) - q * (1 - q**n) / (1 - q) ** 2)) / n**2
    assert decaying.cci == pytest.approx(closed, rel=1e-11)


def test_a_star_of_equal_branches_has_its_closed_form():
    n, p = 2000, 0.3
    reaches = pd.DataFrame({"reach": np.arange(n + 1), "down": [-1] + [0] * n, "length_m": 1.0})
    barriers = pd.DataFrame({"barrier": np.arange(n), "reach": np.arange(1, n + 1), "passability": p})
    found = rivers.connectivity(reaches, barriers)
    total = (n + 1) + 2 * n * p + n * (n - 1) * p * p
    assert found.dcip == pytest.approx(100 * total / (n + 1) ** 2, rel=CLOSE)
    gain = 2 * (1 - p) * (1 + (n - 1) * p)
    assert found.barriers["gain_points"].to_numpy() == pytest.approx(100 * gain / (n + 1) ** 2, rel=CLOSE)


def test_a_threshold_as_long_as_the_way_includes_it_though_sums_of_floats_differ():
    reaches = pd.DataFrame({"reach": [1, 2, 3, 4], "down": [2, 3, 4, -1], "length_m": [0.1] * 4})
    found = rivers.connectivity(reaches, kernel="threshold", distance_m=0.3)
    assert found.cci == 1.0
    assert rivers.connectivity(reaches, kernel="threshold", distance_m=0.29).cci == pytest.approx(14 / 16)
    both = rivers.connectivity(reaches, kernel="threshold", distance_up_m=0.3, distance_down_m=0.2)
    assert both.cci == pytest.approx(15 / 16)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(50, 5000))
def test_distances_between_points_do_not_depend_on_how_reaches_are_cut(seed, distance):
    rng = np.random.default_rng(seed)
    reaches, barriers, _, _ = random_river(rng)
    cut_reaches, cut_barriers = cut(reaches, barriers, rng)
    for chosen in (
        {"kernel": "exponential", "distance_m": distance},
        {"kernel": "leptokurtic", "sigma_stationary_m": distance / 5, "sigma_mobile_m": distance},
    ):
        whole = rivers.connectivity(reaches, barriers, distances="points", **chosen)
        parts = rivers.connectivity(cut_reaches, cut_barriers, distances="points", **chosen)
        assert parts.cci == pytest.approx(whole.cci, rel=1e-12 if chosen["kernel"] == "exponential" else 1e-9)
        assert parts.barriers["gain_points"].to_numpy() == pytest.approx(
            whole.barriers["gain_points"].to_numpy(), rel=1e-9, abs=1e-9, nan_ok=True
        )


def cut(reaches, barriers, rng):
    """Each reach cut into one to four pieces at random; the lowest piece keeps the id, and so its barriers."""
    rows = []
    fresh = int(reaches["reach"].max()) + 1
    upper_end = {}
    for row in reaches.itertuples():
        pieces = int(rng.integers(1, 5))
        parts = rng.dirichlet(np.ones(pieces)) * row.length_m
        ids = [*range(fresh, fresh + pieces - 1), row.reach]
        fresh += pieces - 1
        upper_end[row.reach] = ids[0]
        rows += [
            {
                "reach": ids[k],
                "down": ids[k + 1] if k + 1 < pieces else row.down,
                "length_m": parts[k],
                "last": k + 1 == pieces,
            }
            for k in range(pieces)
        ]
    table = pd.DataFrame(rows)
    flows = table["last"] & (table["down"] != -1)
    table.loc[flows, "down"] = table.loc[flows, "down"].map(upper_end)
    return table, barriers


def test_midpoints_come_close_to_points_as_reaches_become_short():
    reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [3, 3, -1], "length_m": [800.0, 500.0, 900.0]})
    exact = rivers.connectivity(reaches, kernel="exponential", distance_m=600.0, distances="points").cci
    rows = []
    for reach, down, length in reaches.itertuples(index=False):
        k = np.arange(200)
        below = np.append(reach * 1000 + k[1:], down * 1000 if down > 0 else -1)
        rows.append(pd.DataFrame({"reach": reach * 1000 + k, "down": below, "length_m": length / 200}))
    fine = rivers.connectivity(pd.concat(rows), kernel="exponential", distance_m=600.0).cci
    assert fine == pytest.approx(exact, rel=2e-3)
    coarse = rivers.connectivity(reaches, kernel="exponential", distance_m=600.0).cci
    assert abs(coarse - exact) > 10 * abs(fine - exact)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_order_and_numbers_of_the_reaches_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    reaches, barriers, _, _ = random_river(rng)
    names = dict(zip(reaches["reach"], rng.choice(10**13, len(reaches), replace=False).tolist(), strict=True))
    other = reaches.assign(
        reach=reaches["reach"].map(names), down=[names.get(d, np.nan) for d in reaches["down"]]
    ).sample(frac=1, random_state=seed % 2**32)
    moved = barriers.assign(reach=barriers["reach"].map(names))
    one, two = rivers.connectivity(reaches, barriers), rivers.connectivity(other, moved)
    assert two.dcip == pytest.approx(one.dcip, rel=CLOSE)
    assert two.reaches["source"].reindex(one.reaches.index).to_numpy() == pytest.approx(
        one.reaches["source"].to_numpy(), rel=CLOSE, nan_ok=True
    )


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_reaches_of_no_length_change_nothing(seed):
    rng = np.random.default_rng(seed)
    reaches, barriers, _, _ = random_river(rng)
    fresh = int(reaches["reach"].max()) + 1
    row = int(rng.integers(len(reaches)))
    added = pd.DataFrame({"reach": [fresh], "down": [reaches["reach"][row]], "length_m": [0.0]})
    above = reaches["down"] == reaches["reach"][row]
    longer = pd.concat([reaches.assign(down=reaches["down"].where(~above, fresh)), added], ignore_index=True)
    one, two = rivers.connectivity(reaches, barriers), rivers.connectivity(longer, barriers)
    assert two.dcip == pytest.approx(one.dcip, rel=CLOSE)
    assert two.barriers["gain_points"].to_numpy() == pytest.approx(
        one.barriers["gain_points"].to_numpy(), rel=1e-11, abs=1e-12, nan_ok=True
    )


def test_every_place_lies_after_all_places_upstream_and_basins_follow_one_another():
    rng = np.random.default_rng(3)
    for _ in range(300):
        to = random_forest(rng, 30).astype(np.int32)
        row, place, down, starts, placed = order_forest(to)
        assert placed == len(to)
        assert sorted(row) == list(range(len(to)))
        assert (place[row] == np.arange(len(to))).all()
        assert all(down[v] == (place[to[row[v]]] if to[row[v]] >= 0 else -1) for v in range(len(to)))
        assert all(u > v for v, u in enumerate(down) if u >= 0)
        assert [down[e - 1] for e in starts[1:]] == [-1] * (len(starts) - 1)
        for v in range(len(to)):
            upstream = {v}
            for u in range(v - 1, -1, -1):
                if down[u] in upstream:
                    upstream.add(u)
            assert upstream == set(range(v - len(upstream) + 1, v + 1))


# --- small rivers that can be followed by hand -------------------------------------------


@pytest.fixture
def fork():
    """Two branches of 10 km into a stem of 20 km."""
    return pd.DataFrame({"reach": [1, 2, 3], "down": [3, 3, -1], "length_m": [10_000.0, 10_000.0, 20_000.0]})


def barrier_on(reach, **values):
    return pd.DataFrame({"barrier": ["x"], "reach": [reach], **{k: [v] for k, v in values.items()}})


def test_one_passability_is_the_whole_permeability_and_is_never_squared(fork):
    one = rivers.connectivity(fork, barrier_on(1, passability=0.25))
    two = rivers.connectivity(fork, barrier_on(1, pass_up=0.5, pass_down=0.5))
    assert one.dcip == pytest.approx(two.dcip)
    assert one.dcip == pytest.approx(100 * (10**2 + 30**2 + 2 * 10 * 30 * 0.25) / 40**2)
    assert (one.dcid, one.dcid_up, one.dcid_down) == pytest.approx((81.25,) * 3)
    assert rivers.connectivity(fork, barrier_on(1, passability=0.25), passability="directional").dcip == one.dcip


def test_directions_count_apart_when_asked(fork):
    found = rivers.connectivity(fork, barrier_on(1, pass_up=0.0, pass_down=1.0), passability="directional")
    assert found.cci == pytest.approx((10**2 + 30**2 + 10 * 30) / 40**2)
    assert found.reaches["source"].tolist() == pytest.approx([1.0, 0.75, 0.75])
    assert found.reaches["sink"].tolist() == pytest.approx([0.25, 1.0, 1.0])
    assert (found.dcid, found.dcid_up, found.dcid_down) == pytest.approx((75, 75, 100))


def test_several_barriers_on_one_edge_multiply_and_each_has_its_own_gain(fork):
    barriers = pd.DataFrame({"barrier": ["a", "b", "c"], "reach": [1, 1, 1], "passability": [0.5, 0.0, 0.8]})
    found = rivers.connectivity(fork, barriers)
    assert found.dcip == pytest.approx(100 * (10**2 + 30**2) / 40**2)
    assert found.barriers["gain_points"].tolist() == pytest.approx([0, 100 * 2 * 300 * 0.4 / 1600, 0])


def test_a_barrier_at_the_outlet_parts_nothing_and_the_log_says_so(fork):
    with recording() as log:
        found = rivers.connectivity(fork, barrier_on(3, passability=0.0))
    assert found.dcip == 100
    assert found.dcid == 100
    assert found.barriers["gain_points"].tolist() == [0]
    assert any("outlet" in sentence and "x" in sentence for sentence in log)
    at_sea = pd.concat([fork.replace({"down": {-1: 4}}), pd.DataFrame({"reach": [4], "down": [-1], "length_m": [0.0]})])
    assert rivers.connectivity(at_sea, barrier_on(3, passability=0.4)).dcid == pytest.approx(40)


def test_a_barrier_at_a_headwater_without_river_above_gains_nothing(fork):
    source = pd.concat([fork, pd.DataFrame({"reach": [9], "down": [1], "length_m": [0.0]})], ignore_index=True)
    assert rivers.connectivity(source, barrier_on(9, passability=0.0)).barriers["gain_points"].tolist() == [0]


def test_basins_are_told_apart_and_together(fork):
    other = pd.DataFrame({"reach": [11, 12], "down": [12, -1], "length_m": [5_000.0, 5_000.0]})
    barriers = pd.DataFrame({"barrier": [1, 2], "reach": [1, 11], "passability": [0.0, 0.0]})
    found = rivers.connectivity(pd.concat([fork, other], ignore_index=True), barriers)
    basins = found.basins.set_index("basin")
    assert basins.loc[3, "dcip"] == pytest.approx(rivers.connectivity(fork, barriers[:1]).dcip)
    assert basins.loc[12, "dcip"] == pytest.approx(50)
    assert basins["barriers"].tolist() == [1, 1]
    assert basins["length_km"].tolist() == [40, 10]
    assert found.dcip == pytest.approx(100 * (10**2 + 30**2 + 2 * 5**2) / 50**2)
    assert found.cci_within_basins == pytest.approx((0.625 * 40 + 0.5 * 10) / 50)
    assert found.dcid == pytest.approx(100 * 35 / 50)


def test_weights_are_a_column_times_suitability(fork):
    fork = fork.assign(area=[1.0, 2.0, 3.0], hsi=[0.5, 1.0, 0.0])
    found = rivers.connectivity(fork, barrier_on(1, passability=0.0), weight="area", suitability="hsi")
    assert found.dcip == pytest.approx(100 * (0.5**2 + 2**2) / 2.5**2)
    assert found.basins["weight"].tolist() == [2.5]


def test_mending_to_less_than_all_and_barrier_by_barrier(fork):
    barriers = pd.DataFrame({"barrier": [1, 2], "reach": [1, 2], "passability": [0.2, 0.9]})
    found = rivers.connectivity(fork, barriers, mended=0.5).barriers
    assert found["gain_points"][1] == 0  # better already
    raised = rivers.connectivity(fork, barriers.assign(passability=[0.5, 0.9])).dcip
    assert found["gain_points"][0] == pytest.approx(raised - rivers.connectivity(fork, barriers).dcip)
    own = rivers.connectivity(fork, barriers.assign(mended=[0.5, 0.95])).barriers["gain_points"]
    assert own[0] == pytest.approx(found["gain_points"][0])
    assert own[1] > 0
    both = pd.DataFrame(
        {"barrier": [1], "reach": [1], "pass_up": [0.1], "pass_down": [0.9], "mended_up": [0.6], "mended_down": [0.5]}
    )
    gain = rivers.connectivity(fork, both).barriers["gain_dcid"][0]
    assert gain == pytest.approx(25 * (0.6 * 0.9 - 0.1 * 0.9))


def test_geometry_and_columns_of_ones_own_are_carried_along(fork):
    lines = gpd.GeoDataFrame(
        fork.assign(name="n"), geometry=[shapely.LineString([(0, k), (1, k)]) for k in range(3)], crs=3857
    )
    points = gpd.GeoDataFrame(barrier_on(1, passability=0.5, owner="mill"), geometry=[shapely.Point(0, 0)], crs=3857)
    found = rivers.connectivity(lines, points)
    assert isinstance(found.reaches, gpd.GeoDataFrame)
    assert found.reaches.crs == lines.crs
    assert found.barriers["owner"].tolist() == ["mill"]
    assert "source" not in lines.columns


def test_without_barriers_all_is_connected(fork):
    found = rivers.connectivity(fork)
    assert (found.cci, found.dcip, found.dcid) == (1, 100, 100)
    assert found.barriers is None


def test_the_error_of_the_leptokurtic_kernel_is_told_and_small(fork):
    found = rivers.connectivity(fork, kernel="leptokurtic", sigma_stationary_m=1000, sigma_mobile_m=9000)
    assert 0 < found.kernel_error < 1e-10
    assert rivers.connectivity(fork).kernel_error == 0


# --- what others publish -------------------------------------------------------------------


def test_compat_with_dci_puts_the_reach_below_a_barrier_above_it():
    chain = pd.DataFrame({"reach": [1, 2, 3], "down": [2, 3, -1], "length_m": [1000.0, 2000.0, 4000.0]})
    barrier = barrier_on(1, passability=0.0)
    assert rivers.connectivity(chain, barrier).dcip == pytest.approx(100 * (1 + 36) / 49)
    assert rivers.connectivity(chain, barrier, compat="dci").dcip == pytest.approx(100 * (9 + 16) / 49)


def test_compat_with_riverconn_takes_the_length_of_the_upper_reach():
    chain = pd.DataFrame({"reach": [1, 2, 3], "down": [2, 3, -1], "length_m": [10.0, 20.0, 40.0]})
    for compat, between in ((None, (15, 30)), ("riverconn", (10, 20))):
        found = rivers.connectivity(chain, kernel="exponential", distance_m=25.0, compat=compat)
        k = [math.exp(-d / 25) for d in between]
        total = 10**2 + 20**2 + 40**2 + 2 * (200 * k[0] + 800 * k[1] + 400 * k[0] * k[1])
        assert found.cci == pytest.approx(total / 70**2)


# --- species -------------------------------------------------------------------------------


def test_each_species_and_stage_has_the_index_of_its_own_call(fork):
    barriers = barrier_on(1, adult_up=0.4, smolt_down=0.9, passability=0.3)
    species = pd.DataFrame(
        {
            "species": ["salmon", "salmon", "barbel"],
            "stage": ["adult", "all", None],
            "index": ["dcid_up", "dcid", None],
            "pass_up": ["adult_up", "adult_up", None],
            "pass_down": ["smolt_down", "smolt_down", None],
            "kernel": [None, None, "exponential"],
            "distance_m": [np.nan, np.nan, 8000.0],
        }
    )
    found = rivers.species_connectivity(fork, barriers, species)
    assert found.species["index_percent"].tolist()[:2] == pytest.approx([75 + 25 * 0.4, 75 + 25 * 0.36])
    barbel = rivers.connectivity(fork, barriers, kernel="exponential", distance_m=8000.0)
    assert found.species["index_percent"][2] == pytest.approx(100 * barbel.cci)
    assert found.barriers["gain_salmon_adult"].tolist() == pytest.approx([25 * 0.6])
    assert found.barriers["gain_barbel"].tolist() == pytest.approx(barbel.barriers["gain_points"].tolist())
    assert found.reaches["access_salmon_all"].tolist() == pytest.approx([0.36, 1, 1])
    assert len(found.basins) == 3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernal": ["none"]}, "did you mean 'kernel'"),
        ({"index": ["dcix"]}, "no index 'dcix'"),
        ({"kernel": ["gauss"]}, "kernel"),
        ({"kernel": ["threshold"]}, "species carp: the kernel threshold takes distance_m"),
        ({"pass_up": ["nowhere"]}, "no column 'nowhere'"),
    ],
)
def test_a_species_that_cannot_be_computed_is_named(fork, change, words):
    species = pd.DataFrame({"species": ["carp"], **change})
    with pytest.raises(LinkwaysError, match=words):
        rivers.species_connectivity(fork, barrier_on(1, passability=0.5), species)


# --- refusals ------------------------------------------------------------------------------


def test_a_circle_is_refused_with_its_reaches():
    reaches = pd.DataFrame({"reach": [5, 6, 7, 8], "down": [6, 7, 5, 6], "length_m": 1.0})
    with pytest.raises(LinkwaysError, match=r"3 reaches run in a circle \(5 -> 6 -> 7 -> 5\), 3 in all"):
        rivers.connectivity(reaches)
    with pytest.raises(LinkwaysError, match=r"1 reaches run in a circle \(5 -> 5\)"):
        rivers.connectivity(pd.DataFrame({"reach": [5], "down": [5], "length_m": 1.0}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reach": [1, 1, 3]}, "reach 1 is there 2 times"),
        ({"reach": [1, 10**14, 10**14]}, f"reach {10**14} is there 2 times"),
        ({"down": [9, 3, -1]}, "reach 1 flows into 9, which is no reach"),
        ({"length_m": [1.0, -2.0, 3.0]}, "length_m of reach 2 is -2"),
        ({"length_m": [1.0, np.nan, 3.0]}, "length_m of reach 2 is missing"),
        ({"length_m": ["a", "b", "c"]}, "holds text"),
        ({"down": [3.5, 3, -1]}, "must be a whole number"),
        ({"reach": [1, np.nan, 3]}, "row 1 has no reach"),
        ({"length_m": [0.0, 0.0, 0.0]}, "all zero"),
    ],
)
def test_reaches_that_are_no_forest_are_refused(fork, change, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.connectivity(fork.assign(**change))


@pytest.mark.parametrize(
    ("barriers", "words"),
    [
        (barrier_on(99, passability=0.5), "barrier x is on reach 99, which is no reach"),
        (barrier_on(1, passability=1.5), "passability of barrier x is 1.5 but must be 0 to 1"),
        (barrier_on(1, passability=np.nan), "passability of barrier x is missing"),
        (barrier_on(1), "no columns pass_up and pass_down, nor passability"),
        (pd.concat([barrier_on(1, passability=0.5)] * 2), "barrier x is there more than once"),
        (barrier_on(1, passability=0.5, mended_up=1.0, mended_down=1.0), "mended_up and mended_down need"),
        (barrier_on(1, pass_up=0.5, pass_down=0.5, mended_up=1.0), "no column 'mended_down'"),
    ],
)
def test_barriers_that_say_nothing_sensible_are_refused(fork, barriers, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.connectivity(fork, barriers)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"kernel": "exponential"}, "takes distance_m or distance_down_m and distance_up_m, but none was given"),
        ({"kernel": "none", "distance_m": 5.0}, "takes no distance, but distance_m was given"),
        ({"kernel": "leptokurtic", "sigma_mobile_m": 5.0}, "sigma_mobile_m and sigma_stationary_m"),
        ({"kernel": "threshold", "distance_m": 5.0, "distances": "points"}, "set distances: midpoints"),
        (
            {"kernel": "exponential", "distance_up_m": 5.0, "distance_down_m": 6.0, "distances": "points"},
            "need one distance_m",
        ),
        ({"compat": "riverconn", "distances": "points"}, "distances of its own"),
        ({"weight": "lenght_m"}, "did you mean 'length_m'"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(fork, chosen, words):
    with pytest.raises(LinkwaysError, match=words):
        rivers.connectivity(fork, **chosen)
