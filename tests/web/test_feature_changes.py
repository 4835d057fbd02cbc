"""Features of two runs beside each other: by geometry first, then by id, and told as a table and on the map."""

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from linkways.web.feature_changes import changes_geojson, feature_changes
from linkways.web.layers import RunLayer
from linkways.web.settings import Settings


def layer(file: Path, frame: gpd.GeoDataFrame) -> RunLayer:
    frame.to_parquet(file)
    return RunLayer("a.links", "Links", "", "", "vector", file, file.name, True, False, file.stat().st_mtime_ns)


def squares(*corners: int, ids: list[Any] | None = None, **columns: list[Any]) -> gpd.GeoDataFrame:
    shapes = [shapely.box(1000 * x, 0, 1000 * x + 900, 900) for x in corners]
    return gpd.GeoDataFrame({**({"id": ids} if ids else {}), **columns}, geometry=shapes, crs="EPSG:3857")


def told(tmp_path: Path, old: gpd.GeoDataFrame, new: gpd.GeoDataFrame) -> set[tuple[Any, ...]]:
    found = feature_changes(layer(tmp_path / "old.parquet", old), layer(tmp_path / "new.parquet", new))
    assert found is not None
    assert found.unchanged + found.count("changed") + found.count("removed") == len(old)
    assert found.unchanged + found.count("changed") + found.count("added") == len(new)
    return {(one.kind, one.label, one.moved, tuple(one.columns)) for one in found.changes}


def test_what_is_only_before_was_removed_and_what_is_only_after_was_added(tmp_path: Path) -> None:
    found = told(tmp_path, squares(1, 2, ids=["a", "b"]), squares(2, 9, ids=["b", "c"]))
    assert found == {("removed", "a", False, ()), ("added", "c", False, ())}


def test_numbering_anew_is_no_change(tmp_path: Path) -> None:
    assert told(tmp_path, squares(1, 2, 3, ids=[1, 2, 3]), squares(3, 1, 2, ids=[1, 2, 3])) == set()


def test_the_same_number_far_away_is_another_feature(tmp_path: Path) -> None:
    found = told(tmp_path, squares(1, ids=[1]), squares(50, ids=[1]))
    assert found == {("removed", "1", False, ()), ("added", "1", False, ())}


def test_a_feature_whose_shape_or_columns_differ_has_changed(tmp_path: Path) -> None:
    old = squares(1, 2, 3, ids=["a", "b", "c"], width=[1.0, 2.0, 3.0], state=["x", "x", None])
    new = squares(1, 2, 3, ids=["a", "b", "c"], width=[1.0 + 1e-12, 2.5, 3.0], state=["x", "x", "y"])
    new.geometry = [shapely.box(1000, 0, 1900, 800), *new.geometry[1:]]
    assert told(tmp_path, old, new) == {
        ("changed", "a", True, ()),
        ("changed", "b", False, ("width",)),
        ("changed", "c", False, ("state",)),
    }


def test_without_an_id_features_are_told_apart_by_their_geometry(tmp_path: Path) -> None:
    old, new = squares(1, 2, width=[1, 2]), squares(2, 3, width=[5, 2])
    assert told(tmp_path, old, new) == {
        ("changed", "0", False, ("width",)),
        ("removed", "0", False, ()),
        ("added", "1", False, ()),
    }


def test_the_same_ring_begun_elsewhere_in_another_crs_is_the_same(tmp_path: Path) -> None:
    old = squares(1, ids=["a"])
    ring = list(old.geometry.iloc[0].exterior.coords)[:-1]
    new = old.set_geometry([shapely.Polygon(ring[2:] + ring[:2])], crs=old.crs)
    assert told(tmp_path, old, new) == set()


@given(st.lists(st.integers(0, 30), unique=True, min_size=1), st.lists(st.integers(0, 30), unique=True, min_size=1))
def test_counts_are_those_of_sets(tmp_path_factory: pytest.TempPathFactory, old: list[int], new: list[int]) -> None:
    tmp_path = tmp_path_factory.mktemp("sets")
    found = feature_changes(
        layer(tmp_path / "old.parquet", squares(*old)), layer(tmp_path / "new.parquet", squares(*new))
    )
    assert found is not None
    counts = (found.count("removed"), found.count("added"), found.count("changed"), found.unchanged)
    assert counts == (len(set(old) - set(new)), len(set(new) - set(old)), 0, len(set(old) & set(new)))


def test_the_map_gets_each_difference_once_and_moved_ones_also_as_they_were(tmp_path: Path) -> None:
    old = squares(1, 2, ids=["a", "b"])
    new = squares(1, 7, ids=["a", "c"])
    new.geometry = [shapely.box(1000, 0, 1900, 800), new.geometry.iloc[1]]
    pair = layer(tmp_path / "old.parquet", old), layer(tmp_path / "new.parquet", new)
    features = json.loads(changes_geojson(*pair))["features"]
    assert sorted((one["properties"]["change"], one["properties"]["label"]) for one in features) == [
        ("added", "c"),
        ("changed", "a"),
        ("removed", "b"),
        ("was", "a"),
    ]


def test_the_page_tells_them_in_a_table_and_in_its_twin(client: TestClient, finished: str, settings: Settings) -> None:
    import shutil

    other = "another-run"
    shutil.copytree(settings.runs / finished, settings.runs / other)
    file = next(
        one
        for one in (settings.runs / other).rglob("*.parquet")
        if "cores" in one.as_posix() and ".steps" not in one.parts
    )
    gpd.read_parquet(file).iloc[1:].to_parquet(file)
    gone = len(gpd.read_parquet(file)) + 1
    page = client.get(f"/compare?before={finished}&after={other}", headers={"accept": "text/html"}).text
    assert "Features that differ" in page
    twin = client.get(f"/compare.json?before={finished}&after={other}").json()
    (row,) = [one for one in twin["found"]["layers"] if one["countable"]]
    changes = row["changes"]
    assert (changes["removed"], changes["added"], changes["unchanged"]) == (1, 0, gone - 1)
    features = client.get(row["features"]).json()["features"]
    assert [one["properties"]["change"] for one in features] == ["removed"]
    assert client.get(f"/compare/{finished}/{other}/nothing.geojson").status_code == 404
