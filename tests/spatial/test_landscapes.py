"""Neutral landscapes: seeded, simulated in name, and of the structure they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from linkways.errors import LinkwaysError
from linkways.spatial import (
    cell_geometry,
    classify_landscape,
    edge_gradient,
    midpoint_displacement,
    planar_gradient,
    random_cluster,
    random_landscape,
    random_mosaic,
    read_raster,
    write_raster,
)

MODELS = [random_landscape, midpoint_displacement, random_cluster, random_mosaic, planar_gradient, edge_gradient]


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_landscape_whatever_the_global_state(model):
    np.random.seed(1)  # noqa: NPY002
    first = model(30, 40, seed=7)
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, model(30, 40, seed=7))
    assert not np.array_equal(first, model(30, 40, seed=8))


@pytest.mark.parametrize("model", MODELS)
def test_the_global_random_state_is_left_as_it_was(model):
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    model(20, 20, seed=1)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


@pytest.mark.parametrize("model", MODELS)
def test_a_generator_goes_on_from_where_it_is(model):
    rng = np.random.default_rng(3)
    first, second = model(20, 20, seed=rng), model(20, 20, seed=rng)
    assert not np.array_equal(first, second)
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(model(20, 20, seed=rng), first)


@pytest.mark.parametrize("model", MODELS)
def test_landscapes_run_from_0_to_1_in_metres_and_say_they_are_simulated(model, tmp_path):
    landscape = model(20, 30, seed=1, cell_size_m=250.0)
    assert landscape.shape == (20, 30)
    assert (float(landscape.min()), float(landscape.max())) == (0.0, 1.0)
    assert landscape.attrs["simulated"] is True
    assert landscape.attrs["source"].startswith("simulated: neutral landscape")
    assert cell_geometry(landscape).area_m2[0] == 62500.0
    assert read_raster(write_raster(landscape, tmp_path / "l.tif")).attrs == landscape.attrs


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 9), (65, 50), (50, 65), (65, 65), (33, 64)])
def test_midpoint_displacement_fits_any_shape(shape):
    assert midpoint_displacement(*shape, seed=1).shape == shape


def test_smoother_landscapes_differ_less_between_neighbours():
    def roughness(landscape):
        return float(np.abs(np.diff(landscape.values, axis=1)).mean())

    rough, smooth = (
        np.mean([roughness(midpoint_displacement(65, 65, seed=seed, h=h)) for seed in range(5)]) for h in (0.1, 0.9)
    )
    assert smooth < rough / 2


def test_a_planar_gradient_rises_towards_its_bearing():
    east = planar_gradient(3, 5, direction_deg=90.0)
    np.testing.assert_allclose(east, np.tile([0, 0.25, 0.5, 0.75, 1], (3, 1)), atol=1e-12)
    north = planar_gradient(3, 5, direction_deg=0.0)
    np.testing.assert_allclose(north.values[:, 0], [1, 0.5, 0])


def test_an_edge_gradient_is_highest_in_the_middle():
    np.testing.assert_allclose(edge_gradient(2, 5, direction_deg=90.0)[0], [0, 0.5, 1, 0.5, 0], atol=1e-12)


def test_random_clusters_are_patches_joined_by_edges():
    landscape = random_cluster(60, 60, seed=2, p=0.5)
    same = landscape.values[:, 1:] == landscape.values[:, :-1]
    assert same.mean() > 0.5
    assert 10 < len(np.unique(landscape)) < 60 * 60 / 4


def test_a_mosaic_has_at_most_the_patches_asked_for():
    assert 5 < len(np.unique(random_mosaic(40, 40, seed=2, patches=12))) <= 12


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 1.0), min_size=2, max_size=5), st.integers(0, 1000))
def test_classes_hold_their_shares_of_the_cells(shares, seed):
    classes = classify_landscape(random_landscape(20, 20, seed=seed), shares)
    counts = np.array([(classes == number + 1).sum() for number in range(len(shares))])
    assert counts.sum() == 400
    np.testing.assert_allclose(counts, np.array(shares) / sum(shares) * 400, atol=1.0 + 1e-9)


def test_classes_follow_the_values_and_are_marked():
    landscape = planar_gradient(2, 4, direction_deg=90.0)
    classes = classify_landscape(landscape, [1, 1])
    assert classes.values.tolist() == [[1, 1, 2, 2]] * 2
    assert classes.attrs["classes"] is True
    assert classes.attrs["simulated"] is True
    assert "classes" not in landscape.attrs


def test_midpoint_displacement_is_autocorrelated_and_random_is_not():
    def correlation(values):
        return np.corrcoef(values[:, 1:].ravel(), values[:, :-1].ravel())[0, 1]

    assert correlation(midpoint_displacement(65, 65, seed=1).values) > 0.9
    assert abs(correlation(random_landscape(65, 65, seed=1).values)) < 0.1


def test_mosaic_patches_are_those_of_the_nearest_drawn_cell():
    mosaic = random_mosaic(30, 30, seed=4, patches=8)
    for value in np.unique(mosaic):
        assert ndimage.label(mosaic.values == value, structure=np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: random_landscape(1, 5, seed=1), "at least 2 x 2 cells; got 1 x 5"),
        (lambda: random_landscape(5, 5, seed=1, cell_size_m=0.0), "cell_size_m must be above 0 metres"),
        (lambda: midpoint_displacement(5, 5, seed=1, h=2.0), "h must lie between 0"),
        (lambda: random_cluster(5, 5, seed=1, p=1.0), "p must lie above 0 and below 1"),
        (lambda: random_cluster(2, 2, seed=1, p=1e-9), "gives 0 clusters on 2 x 2 cells"),
        (lambda: random_mosaic(5, 5, seed=1, patches=1), "patches must lie between 2 and the 25 cells"),
        (lambda: classify_landscape(random_landscape(5, 5, seed=1), [1.0]), "two or more numbers above 0"),
    ],
)
def test_impossible_landscapes_are_refused(make, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        make()
