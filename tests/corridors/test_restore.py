import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.corridors._circuit import build_circuit
from linkways.corridors._edited_circuits import Edit, Ground, TwoCores, gradient_and_gain
from linkways.corridors.restore import restore_cell_gain
from linkways.kernels.laplacian import StepLengths

from .conftest import cell_boxes, degrees, planar
from .dense_circuits import effective_resistance

AVERAGES = st.sampled_from(["resistance", "conductance"])
ONE, TWO = np.array([0, 1]), np.array([68, 69])  # of 7 x 10 cells


def landscape(seed, holes=0.1, shape=(7, 10)):
    rng = np.random.default_rng(seed)
    values = 10 ** rng.uniform(0.2, 2, shape)
    values[rng.random(shape) < holes] = np.nan
    values[0, :] = values[:, -1] = 20.0
    values[-1, -2:] = 5.0
    return values


def ground_of(values, average, neighbours=8):
    return Ground(values, StepLengths.unit_cells(len(values)), average, neighbours)


def circuit_of(values, average="resistance", neighbours=8):
    return TwoCores.joined(ground_of(values, average, neighbours), ONE, TWO)


def lowered(values, cells, to):
    out = values.copy()
    out.ravel()[cells] = np.fmin(out.ravel()[cells], to)
    return out


# --- the answer can be read off ------------------------------------------------------------------------------


def test_in_series_a_cell_gives_back_its_own_surplus():
    raster = planar([[1, 5, 9, 5, 1]], cell_m=100)
    found = restore_cell_gain(raster, cell_boxes(raster, [(0, 0), (0, 4)]), restored_resistance=2)
    # halves of the steps at the ends, whole cells between
    assert found.links["effective_resistance"].item() == pytest.approx(100 * (0.5 + 5 + 9 + 5 + 0.5), rel=1e-9)
    np.testing.assert_allclose(found.sensitivity.values, [[50, 100, 100, 100, 50]], rtol=1e-9)
    np.testing.assert_allclose(found.gain.values, [[0, 300, 700, 300, 0]], rtol=1e-9, atol=1e-9)
    assert found.sites["gain"].tolist() == pytest.approx([700, 300, 300], rel=1e-9)
    assert found.sites["at_least"].tolist() == pytest.approx([700, 300, 300], rel=1e-9)
    assert found.sites["gain_percent"].iloc[0] == pytest.approx(35, rel=1e-9)
    assert found.gain_together == pytest.approx(1300, rel=1e-9)
    assert found.links["effective_resistance_restored"].item() == pytest.approx(700, rel=1e-9)


def test_in_parallel_the_gain_is_that_of_the_two_lanes():
    values = np.full((3, 5), np.nan)
    values[0], values[2] = 6, 6
    values[:, 0] = values[:, -1] = 6
    raster = planar(values, cell_m=1)
    cores = cell_boxes(raster, [(0, 0, 3, 1), (0, 4, 3, 1)])
    sites = cell_boxes(raster, [(0, 1, 1, 3)], site=["north lane"])
    found = restore_cell_gain(raster, cores, sites=sites, restored_resistance=2, neighbours=4)
    # each lane is 24; restored, three whole cells of 2 and two halves of 6 are 12
    assert found.links["effective_resistance"].item() == pytest.approx(12, rel=1e-9)
    assert found.by_link["after"].item() == pytest.approx(1 / (1 / 12 + 1 / 24), rel=1e-9)
    site = found.sites.iloc[0]
    assert (site["site"], site["cells"], site["joins"]) == ("north lane", 3, 0)
    assert site["gain"] == pytest.approx(12 - 8, rel=1e-9)
    # to first order half the current in each lane: 1/4 of what the lane loses
    assert site["at_least"] == pytest.approx(12 / 4, rel=1e-9)


def test_a_bridge_over_a_wall_that_cannot_be_entered_is_ranked_by_what_it_gives_back():
    values = np.full((9, 11), 4.0)
    values[:, 5] = np.nan
    values[8, 5] = 4.0
    raster = planar(values)
    cores = cell_boxes(raster, [(0, 0, 3, 2), (0, 9, 3, 2)])
    sites = cell_boxes(raster, [(7, 5), (1, 5), (4, 5)], site=["south", "north", "middle"])
    found = restore_cell_gain(raster, cores, sites=sites, restored_resistance=4)
    assert found.sites["site"].tolist() == ["north", "middle", "south"]
    assert found.sites["rank"].tolist() == [1, 2, 3]
    assert np.isnan(found.gain.values[1, 5])
    table = found.by_link.set_index("site")
    groups = [np.flatnonzero(box) for box in (np.indices((9, 11))[0] < 3) * np.array([[c < 2 for c in range(11)], [
        c > 8 for c in range(11)]])[:, None, :]]  # fmt: skip
    for name, cell in {"south": 82, "north": 16, "middle": 49}.items():
        mended = values.copy()
        mended.ravel()[cell] = 4.0
        expected = effective_resistance(mended, *groups, cell_m=100)
        assert table.loc[name, "after"] == pytest.approx(expected, rel=1e-9)
        assert table.loc[name, "gain"] == pytest.approx(table.loc[name, "before"] - expected, rel=1e-9)


def test_a_site_that_joins_what_nothing_joined_comes_first():
    values = np.full((5, 9), 3.0)
    values[:, 4] = np.nan
    values[2, 1] = 90.0
    raster = planar(values)
    cores = cell_boxes(raster, [(2, 0), (2, 8), (0, 3)])
    sites = cell_boxes(raster, [(2, 1), (4, 4)], site=["patch", "bridge"])
    found = restore_cell_gain(raster, cores, sites=sites, restored_resistance=3)
    assert found.sites["site"].tolist() == ["bridge", "patch"]
    assert found.sites["joins"].tolist() == [2, 0]
    links = found.links.set_index(["core_a", "core_b"])
    assert np.isinf(links.loc[(1, 2), "effective_resistance"])
    assert np.isfinite(links["effective_resistance_restored"]).all()
    assert np.isfinite(links.loc[(1, 3), "effective_resistance"])
    assert np.isfinite(found.gain_together)
    bridge = found.by_link.set_index(["site", "core_a", "core_b"]).loc["bridge"]
    assert np.isnan(bridge.loc[(1, 2), "gain"])
    assert bridge.loc[(1, 3), "gain"] >= 0


def test_ground_that_is_good_already_gains_nothing():
    raster = planar(np.full((5, 7), 2.0))
    cores = cell_boxes(raster, [(2, 0), (2, 6)])
    found = restore_cell_gain(raster, cores, sites=cell_boxes(raster, [(2, 3, 1, 2)]), restored_resistance=2)
    assert (found.gain.values == 0).all()
    assert (found.sensitivity.values >= 0).all()
    assert found.sites[["cells", "gain", "at_least"]].to_numpy().tolist() == [[0, 0, 0]]
    assert restore_cell_gain(raster, cores, restored_resistance=2).sites.empty


def test_touching_cores_still_have_a_resistance_and_a_gain():
    raster = planar([[8.0, 8.0]], cell_m=1)
    found = restore_cell_gain(raster, cell_boxes(raster, [(0, 0), (0, 1)]), restored_resistance=2)
    assert found.links["effective_resistance"].item() == pytest.approx(8)
    np.testing.assert_allclose(found.gain.values, [[3, 3]])


# --- the first pass ------------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), average=AVERAGES, neighbours=st.sampled_from([4, 8]))
def test_the_adjoint_gradient_is_that_of_finite_differences(seed, average, neighbours):
    values = landscape(seed)
    gradient, _ = gradient_and_gain(circuit_of(values, average, neighbours), 1.0)
    options = {"average": average, "neighbours": neighbours}
    rng = np.random.default_rng(seed)
    open_cells = np.flatnonzero(np.isfinite(values))
    largest = np.nanmax(gradient)
    for cell in rng.choice(open_cells, 5, replace=False):
        steps = []
        for share in (1e-3, 5e-4):
            sides = []
            for sign in (1, -1):
                moved = values.copy()
                moved.ravel()[cell] *= 1 + sign * share
                sides.append(effective_resistance(moved, ONE, TWO, **options))
            steps.append((sides[0] - sides[1]) / (2 * share * values.ravel()[cell]))
        # Richardson: the error of a central difference falls with the square of its step
        expected = (4 * steps[1] - steps[0]) / 3
        assert gradient.ravel()[cell] == pytest.approx(expected, rel=1e-6, abs=1e-9 * largest)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), average=AVERAGES, neighbours=st.sampled_from([4, 8]))
def test_resistance_times_gradient_sums_to_the_effective_resistance(seed, average, neighbours):
    # Euler: R is homogeneous of degree 1 in the resistances of all cells
    values = landscape(seed)
    circuit = circuit_of(values, average, neighbours)
    gradient, _ = gradient_and_gain(circuit, 1.0)
    assert np.nansum(values * gradient) == pytest.approx(circuit.resistance, rel=1e-10)
    expected = effective_resistance(values, ONE, TWO, average=average, neighbours=neighbours)
    assert circuit.resistance == pytest.approx(expected, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), average=AVERAGES, restored=st.floats(0.1, 30))
def test_the_map_is_a_lower_bound_of_the_exact_gain_of_each_cell(seed, average, restored):
    values = landscape(seed)
    circuit = circuit_of(values, average)
    _, gain = gradient_and_gain(circuit, restored)
    before = effective_resistance(values, ONE, TWO, average=average)
    rng = np.random.default_rng(seed)
    for cell in rng.choice(np.flatnonzero(np.isfinite(values)), 8, replace=False):
        mended = lowered(values, [cell], restored)
        exact = before - effective_resistance(mended, ONE, TWO, average=average)
        assert 0 <= gain.ravel()[cell] <= exact + 1e-9 * before
        alone = circuit.after(Edit.of(circuit.ground, np.array([cell]), restored), np.array([cell]), restored)
        assert alone.at_least == pytest.approx(gain.ravel()[cell], rel=1e-9, abs=1e-12)


# --- the exact update ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), average=AVERAGES, neighbours=st.sampled_from([4, 8]), restored=st.floats(0.01, 40)
)
def test_the_update_is_a_fresh_solution(seed, average, neighbours, restored):
    values = landscape(seed)
    rng = np.random.default_rng(seed)
    cells = np.sort(rng.choice(values.size, rng.integers(1, 25), replace=False))  # nodata and cores among them
    circuit = circuit_of(values, average, neighbours)
    after = circuit.after(Edit.of(circuit.ground, cells, restored), cells, restored)
    mended = lowered(values, cells, restored)
    options = {"average": average, "neighbours": neighbours}
    fresh = effective_resistance(mended, ONE, TWO, **options)
    before = effective_resistance(values, ONE, TWO, **options)
    assert after.resistance == pytest.approx(fresh, rel=1e-9)
    assert after.gain == pytest.approx(before - fresh, abs=1e-9 * before)
    # the core of the current-flow methods agrees
    other = build_circuit(mended, average=average, neighbours=neighbours).drive([ONE, TWO])
    assert after.resistance == pytest.approx(other.resistances[0, 1], rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), average=AVERAGES)
def test_lower_resistances_never_raise_the_effective_resistance_and_more_cells_never_gain_less(seed, average):
    # Rayleigh
    values = landscape(seed)
    rng = np.random.default_rng(seed)
    cells = rng.permutation(values.size)[:20]
    circuit = circuit_of(values, average)
    gains = []
    for count in (1, 3, 8, 20):
        some = np.sort(cells[:count])
        after = circuit.after(Edit.of(circuit.ground, some, 1.0), some, 1.0)
        assert after.at_least <= after.gain * (1 + 1e-9) + 1e-12
        gains.append(after.gain)
    assert (np.diff([0.0, *gains]) >= -1e-9 * circuit.resistance).all()


def test_a_small_gain_far_from_the_current_keeps_its_digits():
    # a dead end: the gain is 1e-9 of the resistance, far below the solver's residual
    values = np.full((12, 12), 50.0)
    values[:, :4] = 1.0
    one, two = np.array([0]), np.array([11 * 12])
    circuit = TwoCores.joined(ground_of(values, "resistance"), one, two)
    cells = np.array([6 * 12 + 11])
    after = circuit.after(Edit.of(circuit.ground, cells, 25.0), cells, 25.0)
    exact = effective_resistance(values, one, two) - effective_resistance(lowered(values, cells, 25.0), one, two)
    assert after.gain < 1e-4 * circuit.resistance
    assert after.gain == pytest.approx(exact, abs=3e-13 * circuit.resistance)
    assert after.gain == pytest.approx(exact, rel=1e-6)


# --- the method ----------------------------------------------------------------------------------------------


def test_sums_run_over_the_links_given():
    raster = planar(landscape(3), cell_m=10)
    cores = cell_boxes(raster, [(0, 0), (6, 9), (0, 9)])
    every = restore_cell_gain(raster, cores, top=3)
    single = {}
    for pair in ((1, 2), (1, 3), (2, 3)):
        links = gpd.GeoDataFrame({"core_a": [pair[0]], "core_b": [pair[1]]}, geometry=[None], crs=raster.rio.crs)
        single[pair] = restore_cell_gain(raster, cores, links, top=3)
    np.testing.assert_allclose(every.gain, sum(one.gain for one in single.values()), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(every.sensitivity, sum(one.sensitivity for one in single.values()), rtol=1e-9)
    assert every.links["effective_resistance"].tolist() == pytest.approx(
        [one.links["effective_resistance"].item() for one in single.values()], rel=1e-9
    )
    assert every.sites["gain"].sum() == pytest.approx(every.by_link["gain"].sum(), rel=1e-9)
    assert len(every.by_link) == 9


def test_the_best_cells_lie_outside_cores_and_come_in_order_of_their_exact_gain():
    values = landscape(11, holes=0)
    raster = planar(values)
    found = restore_cell_gain(raster, cell_boxes(raster, [(0, 0, 1, 2), (6, 8, 1, 2)]), top=6)
    assert len(found.sites) == 6
    assert (np.diff(found.sites["gain"]) <= 0).all()
    assert sorted(found.sites["rank"]) == [1, 2, 3, 4, 5, 6]
    flat = found.gain.values.copy()
    flat.ravel()[[*ONE, *TWO]] = 0
    assert sorted(found.sites["at_least"], reverse=True) == pytest.approx(sorted(flat.ravel())[:-7:-1], rel=1e-9)
    for site in found.sites.itertuples():
        cell = int(6 - site.geometry.y // 100) * 10 + int(site.geometry.x // 100)
        fresh = effective_resistance(lowered(values, [cell], 1.0), ONE, TWO, cell_m=100)
        before = effective_resistance(values, ONE, TWO, cell_m=100)
        assert site.gain == pytest.approx(before - fresh, rel=1e-7)


def test_lines_take_the_cells_they_touch_and_polygons_those_whose_centres_they_hold():
    raster = planar(np.full((6, 8), 9.0))
    cores = cell_boxes(raster, [(2, 0), (2, 7)])
    shapes = [
        shapely.LineString([(250, 10), (250, 590)]),
        shapely.box(310, 110, 640, 320),
        shapely.Point(420, 330),
        shapely.box(401, 301, 410, 310),
    ]
    sites = gpd.GeoDataFrame(geometry=shapes, crs=raster.rio.crs)
    found = restore_cell_gain(raster, cores, sites=sites).sites
    assert found.set_index("site")["cells"].to_dict() == {1: 6, 2: 6, 3: 1, 4: 1}


def test_on_degrees_lengths_come_from_the_ellipsoid():
    from pyproj import Geod

    raster = degrees([[3.0] * 6], west=10, north=60.05, step=0.1)
    found = restore_cell_gain(raster, cell_boxes(raster, [(0, 0), (0, 5)]), top=0)
    metres = Geod(ellps="WGS84").inv(10, 60, 10.1, 60)[2]
    assert found.links["effective_resistance"].item() == pytest.approx(15 * metres, rel=1e-9)


# --- refusals ------------------------------------------------------------------------------------------------


def refused(words, raster, cores, **options):
    with pytest.raises(LinkwaysError, match=words):
        restore_cell_gain(raster, cores, **options)


def test_what_makes_no_sense_is_refused():
    raster = planar(np.full((4, 6), 2.0))
    two = cell_boxes(raster, [(0, 0), (3, 5)])
    refused("single core", raster, cell_boxes(raster, [(0, 0)]))
    refused("sites far lie outside", raster, two, sites=cell_boxes(raster, [(0, 40)], site=["far"]))
    refused("holds no features", raster, two, sites=two.iloc[:0])
    refused("the name a stands for two", raster, two, sites=cell_boxes(raster, [(1, 1), (2, 2)], site=["a", "a"]))
    tiny = gpd.GeoDataFrame(geometry=[shapely.box(10, 10, 12, 12), shapely.box(20, 20, 22, 22)], crs=raster.rio.crs)
    refused("cores 1 and 2 share a cell", raster, tiny)
    links = gpd.GeoDataFrame({"core_a": [1], "core_b": [9]}, geometry=[None], crs=raster.rio.crs)
    refused("names core 9", raster, two, links=links)
