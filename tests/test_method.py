"""A declaration is read from the function, and every call is checked against it."""

from dataclasses import dataclass
from typing import Annotated, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from linkways import LinkwaysError
from linkways.method import (
    _REGISTRY,
    Indicator,
    Layer,
    Param,
    Parameter,
    Raster,
    Table,
    TableOf,
    Vector,
    find_method,
    method,
    methods,
    progress,
    reporting_progress,
)
from linkways.spatial import new_raster


@dataclass(frozen=True)
class Parts:
    doubled: Annotated["object", Layer("twice the raster", unit="m")]
    count: Annotated[int, Indicator("cells", unit="cells")]


@pytest.fixture
def double():
    @method("corridors.test_double", references=("A source",), version=3)
    def double(
        raster: Annotated["object", Raster("a raster", unit="m", positive=True)],
        places: Annotated["object", Vector("places", geometry=("Point",), columns=("name",))] = None,
        numbers: Annotated["object", Table("numbers", columns=("class",))] = None,
        others: Annotated["object", Raster("more rasters", many=True)] = (),
        *,
        factor: Annotated[float, Param("how much", unit="times", gt=0, le=10, source="a book")] = 2.0,
        mode: Annotated[Literal["fast", "slow"], Param("how")] = "fast",
        limit: Annotated[int | None, Param("at most", ge=1)] = None,
        steps: Annotated[list[int], Param("sizes", ge=1)] = [1, 2],  # noqa: B006
        exact: Annotated[bool, Param("whether")] = False,
    ) -> Parts:
        """Twice a raster.

        More words.

        Examples
        --------
        >>> 1 + 1
        2
        """
        return Parts(raster * factor, raster.size)

    yield double
    _REGISTRY.pop("corridors.test_double")


def ground(values=((1.0, 2.0),), crs="EPSG:3035", cell=10):
    return new_raster(np.asarray(values, float), crs=crs, cell_size=cell)


def test_the_declaration_is_read_from_the_function(double):
    declared = double.declaration
    assert (declared.id, declared.room, declared.name, declared.version) == (
        "corridors.test_double", "corridors", "test_double", 3,
    )  # fmt: skip
    assert declared.summary == "Twice a raster."
    assert declared.description == "More words."
    assert declared.examples.startswith(">>> 1 + 1")
    assert [(i.name, i.kind, i.required, i.spec.many) for i in declared.inputs] == [
        ("raster", "raster", True, False), ("places", "vector", False, False),
        ("numbers", "table", False, False), ("others", "raster", False, True),
    ]  # fmt: skip
    assert [(o.name, o.kind, o.unit) for o in declared.outputs] == [
        ("doubled", "layer", "m"),
        ("count", "indicator", "cells"),
    ]


def test_the_schema_is_json_schema_of_the_parameters(double):
    import json

    import jsonschema

    schema = json.loads(json.dumps(double.declaration.schema()))["parameters"]
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    assert schema["properties"]["factor"] == {
        "type": "number", "exclusiveMinimum": 0, "maximum": 10, "description": "how much", "x-unit": "times",
        "x-source": "a book", "default": 2.0,
    }  # fmt: skip
    check.validate({"factor": 3, "mode": "slow", "limit": None, "steps": [4], "exact": True})
    for wrong in ({"factor": 0}, {"mode": "quick"}, {"limit": 0}, {"steps": [0]}, {"speed": 1}):
        assert not check.is_valid(wrong), wrong


def test_every_schema_of_a_real_method_is_valid():
    import jsonschema

    for declared in methods().values():
        jsonschema.Draft202012Validator.check_schema(declared.schema()["parameters"])


def test_calling_gives_the_parts(double):
    result = double(ground(), factor=3)
    parts = double.declaration.parts(result)
    np.testing.assert_array_equal(parts["doubled"], [[3, 6]])
    assert parts["count"] == 2


def test_help_shows_parameters_units_and_sources(double):
    for words in (
        "factor : a number, times, > 0, <= 10, default 2.0",
        "doubled : layer (m)",
        "A source",
        "fast | slow",
    ):
        assert words in double.__doc__


@pytest.mark.parametrize(
    ("given_", "sentence"),
    [
        ({"factor": 0}, r"parameter factor is 0 times but must be > 0, <= 10 times"),
        ({"factor": 11}, r"parameter factor is 11 times"),
        ({"factor": float("nan")}, r"parameter factor is nan times"),
        ({"factor": "much"}, r"parameter factor is 'much' but must be a number"),
        ({"factor": True}, r"parameter factor is True but must be a number"),
        ({"factor": None}, r"parameter factor must have a value"),
        ({"mode": "fasst"}, r"must be one of fast, slow \(did you mean 'fast'\?\)"),
        ({"limit": 0}, r"parameter limit is 0 but must be >= 1"),
        ({"limit": 1.5}, r"parameter limit is 1.5 but must be an integer"),
        ({"steps": 3}, r"parameter steps must be a list of an integer"),
        ({"steps": [1, 0]}, r"parameter steps is 0 but must be >= 1"),
        ({"exact": 1}, r"parameter exact is 1 but must be true or false"),
    ],
)
def test_parameters_out_of_bounds_are_refused_with_unit_and_bounds(double, given_, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        double(ground(), **given_)


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        ({"raster": np.ones((2, 2))}, r"input raster is a ndarray but must be an xarray.DataArray; .*read_raster"),
        ({"raster": ground()[0]}, r"input raster has 1 dimensions"),
        ({"raster": ground([[1, 0], [-1, 2]])}, r"raster has 2 cells .* first at row 0 column 1 \(0\)"),
        ({"raster": ground([[np.inf, 1]])}, r"first at row 0 column 0 \(infinite\)"),
        ({"raster": ground(), "places": pd.DataFrame()}, r"input places is a DataFrame but must be a geopandas"),
        ({"raster": ground(), "numbers": 3}, r"input numbers is a int but must be a pandas.DataFrame"),
        ({"raster": ground(), "numbers": pd.DataFrame({"clas": [1]})}, r"no column 'class' \(did you mean 'clas'\?\)"),
        ({"raster": ground(), "others": [ground(cell=20)]}, r"inputs raster \(.*\) and others\[0\] .* different grids"),
    ],
)
def test_inputs_of_the_wrong_kind_are_refused(double, inputs, sentence):
    with pytest.raises(LinkwaysError, match=sentence):
        double(**inputs)


def test_a_raster_without_crs_is_refused(double):
    raster = ground().drop_vars("spatial_ref")
    with pytest.raises(LinkwaysError, match="input raster has no CRS"):
        double(raster)


def test_features_without_crs_or_of_another_geometry_are_refused(double):
    points = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.Point(1, 1)])
    with pytest.raises(LinkwaysError, match="input places has no CRS"):
        double(ground(), points)
    boxes = gpd.GeoDataFrame({"name": ["a"]}, geometry=[shapely.box(0, 0, 1, 1)], crs=3035, index=[7])
    with pytest.raises(LinkwaysError, match=r"1 features that are not Point, first the one with index 7 \(Polygon\)"):
        double(ground(), boxes)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("factor", "2.5", 2.5), ("limit", "4", 4), ("limit", "none", None), ("steps", "3,4", [3, 4]),
        ("exact", "true", True), ("exact", "no", False), ("mode", "slow", "slow"),
    ],
)  # fmt: skip
def test_parameters_are_read_from_text(double, name, text, value):
    parameter = next(p for p in double.declaration.parameters if p.name == name)
    assert parameter.parse(text) == value
    assert type(parameter.parse(text)) is type(value)


@given(st.floats(-100, 100))
def test_a_value_passes_exactly_when_it_lies_within_the_bounds(value):
    parameter = Parameter("x", float, Param("x", ge=-5, lt=7.5), None, True)
    if -5 <= value < 7.5:
        assert parameter.check(value) == value
    else:
        with pytest.raises(LinkwaysError):
            parameter.check(value)


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(
        LinkwaysError, match=r"no method 'corridors.leastcost' \(did you mean 'corridors.least_cost'\?\)"
    ):
        find_method("corridors.leastcost")


def test_an_incomplete_declaration_is_a_mistake_of_the_author():
    with pytest.raises(TypeError, match=r"must be 'room\.name'"):
        method("nowhere.x")(lambda: None)

    def no_doc(x: Annotated[int, Param("x")] = 1) -> Annotated[pd.DataFrame, TableOf("t")]:
        return pd.DataFrame()

    with pytest.raises(TypeError, match="one sentence"):
        method("corridors.test_x")(no_doc)

    def no_annotation(x) -> Annotated[pd.DataFrame, TableOf("t")]:
        """A sentence."""
        return pd.DataFrame()

    with pytest.raises(TypeError, match="argument x must be annotated"):
        method("corridors.test_x")(no_annotation)


def test_progress_reaches_the_watcher_and_stops_at_the_end_of_the_block():
    seen = []
    with reporting_progress(lambda done, what: seen.append((done, what))):
        progress(0.5, "half")
        progress(7, "over")
    progress(0.9)
    assert seen == [(0.5, "half"), (1.0, "over")]
