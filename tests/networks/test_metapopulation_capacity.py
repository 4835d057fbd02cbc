"""Metapopulation capacity beside dense eigenvalues."""

import numpy as np
import pandas as pd
import pytest

from linkways import networks
from linkways.errors import LinkwaysError
from tests.networks.conftest import random_network


def dense(patches, links, share, exponent, own):
    """M_ij = f a_i^x a_j as it is written, not symmetric."""
    a = patches["area_ha"].to_numpy()
    index = {patch: i for i, patch in enumerate(patches["patch"])}
    f = np.eye(len(a)) if own else np.zeros((len(a), len(a)))
    for x, y, value in zip(links["patch_a"], links["patch_b"], share, strict=True):
        f[index[x], index[y]] = f[index[y], index[x]] = value
    return f * a[:, None] ** exponent * a


@pytest.mark.parametrize("size", [(30, 60), (150, 400)])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_capacity_is_the_leading_eigenvalue(size, own, exponent):
    patches, links = random_network(*size, seed=2)
    share = 0.5 ** (links["distance_m"] / 2000)
    found = networks.metapopulation_capacity(patches, links, distance=2000, exponent=exponent, own_colonists=own)
    expected = np.linalg.eigvals(dense(patches, links, share, exponent, own)).real.max()
    assert found.capacity == pytest.approx(expected, rel=1e-10)
    assert found.patches["share"].sum() == pytest.approx(1)
    assert found.patches["loss"].isna().all()


@pytest.mark.parametrize("size", [(30, 60), (90, 250)])
def test_losses_are_those_of_leaving_each_patch_out(size):
    patches, links = random_network(*size, seed=3)
    found = networks.metapopulation_capacity(patches, links, distance=2000, exact_losses=True)
    matrix = dense(patches, links, 0.5 ** (links["distance_m"] / 2000), 1.0, False)
    for i in range(len(patches)):
        left = np.linalg.eigvalsh(np.delete(np.delete(matrix, i, 0), i, 1)).max()
        assert found.patches["loss"][i] == pytest.approx(found.capacity - left, abs=1e-9 * found.capacity)


def test_kernels_reach_the_given_share_at_the_given_distance():
    """Capacity of two patches of 1 ha is f(d)."""
    patches = pd.DataFrame({"patch": [1, 2], "area_ha": [1.0, 1.0]})

    def share(distance, **more):
        links = pd.DataFrame({"patch_a": [1], "patch_b": [2], "distance_m": [distance]})
        return networks.metapopulation_capacity(patches, links, distance=1000, **more).capacity

    for kernel in ("exponential", "linear", "log_sech"):
        for probability in (0.5, 0.05):
            found = [share(d, kernel=kernel, probability=probability) for d in (0.0, 500.0, 1000.0, 1500.0)]
            assert found[0] == pytest.approx(1)
            assert found[2] == pytest.approx(probability)
            assert found == sorted(found, reverse=True)
    assert share(2500.0, kernel="linear") == 0
    # integral of 2 / (pi b) / ((r/s)^(1/b) + (r/s)^(-1/b)) dr / r beyond 3,000 m, s = 1,000 m, b = 0.7
    r = np.geomspace(3000, 3e12, 400_001)
    u = (r / 1000) ** (1 / 0.7)
    density = 2 / (np.pi * 0.7) / (u + 1 / u)
    expected = np.trapezoid(density, np.log(r))
    assert share(3000.0, kernel="log_sech", tail=0.7) == pytest.approx(expected, rel=1e-6)


def test_patches_that_nothing_joins_have_no_capacity_without_their_own_colonists():
    patches = pd.DataFrame({"patch": [1, 2], "area_ha": [3.0, 2.0]})
    none = pd.DataFrame({"patch_a": [], "patch_b": [], "distance_m": []})
    assert networks.metapopulation_capacity(patches, none, distance=1).capacity == 0
    assert networks.metapopulation_capacity(patches, none, distance=1, own_colonists=True).capacity == pytest.approx(9)


def test_a_kernel_of_distances_cannot_take_probabilities():
    patches = pd.DataFrame({"patch": [1, 2], "area_ha": [3.0, 2.0]})
    links = pd.DataFrame({"patch_a": [1], "patch_b": [2], "probability": [0.5]})
    assert networks.metapopulation_capacity(patches, links, weight="probability").capacity == pytest.approx(3)
    with pytest.raises(LinkwaysError, match="kernel linear needs distances"):
        networks.metapopulation_capacity(patches, links, weight="probability", kernel="linear")
