"""The same work gives the same numbers in threads and on a Dask cluster."""

import sys

import numpy as np
import pytest

from linkways import LinkwaysError, corridors
from linkways.errors import MissingExtra
from linkways.workers import each, on_cluster

from .corridors.conftest import cell_boxes, planar


def add(shared, item):
    return shared + item


def test_results_come_in_order():
    assert list(each(add, 10, range(50), threads=4)) == list(range(10, 60))


def test_an_error_reaches_the_caller():
    with pytest.raises(TypeError):
        list(each(add, "text", [1]))


def test_without_an_address_work_stays_here():
    with on_cluster(None):
        assert list(each(add, 1, [1])) == [2]


def test_a_missing_dask_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingExtra, match=r"needs the package distributed.*pip install 'linkways\[dask\]'"),
        on_cluster("x"),
    ):
        pass


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_answer_is_one_sentence():
    pytest.importorskip("distributed")
    with pytest.raises(LinkwaysError, match="no Dask scheduler answers"), on_cluster("tcp://127.0.0.1:9"):
        pass


@pytest.mark.filterwarnings("ignore")
def test_corridors_on_a_cluster_equal_those_of_this_machine():
    distributed = pytest.importorskip("distributed")
    rng = np.random.default_rng(3)
    raster = planar(rng.uniform(1, 20, (30, 40)))
    cores = cell_boxes(raster, [(0, 0), (29, 39), (0, 39), (29, 0)])
    here = corridors.least_cost(raster, cores, rule="all_pairs")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        on_cluster(cluster.scheduler_address),
    ):
        there = corridors.least_cost(raster, cores, rule="all_pairs")
    np.testing.assert_array_equal(here.mosaic, there.mosaic)
    assert here.links.cost.tolist() == there.links.cost.tolist()
