"""Methods small enough to follow by eye, declared only while a test of studies runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways import method as registry
from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True)
class Summary:
    """The parts of test_summary."""

    total: Annotated[float, Indicator("sum of all cells", unit="units")]
    cells: Annotated["pd.DataFrame", TableOf("cells per value")]
    chart: Annotated["matplotlib.figure.Figure | None", Figure("cells per value")]


@contextmanager
def small_methods(called: Callable[[str], None]) -> Iterator[None]:
    """Declare the methods; ``called`` hears the name of each that runs."""
    before = set(registry._REGISTRY)
    _declare(called)
    try:
        yield
    finally:
        for id in set(registry._REGISTRY) - before:
            if id.split(".")[1].startswith("test_"):
                del registry._REGISTRY[id]


def _like(values: Any, raster: Any, unit: str = "units") -> Any:
    from linkways.spatial import raster_like

    return raster_like(np.asarray(values, dtype=float), raster, name="out", units=unit)


def _declare(called: Callable[[str], None]) -> None:
    @method("corridors.test_double", references=("Nobody (2000) Doubling.",))
    def test_double(
        raster: Annotated["xr.DataArray", Raster("what to multiply")],
        *,
        factor: Annotated[float, Param("by how much", unit="times", gt=0, le=100)] = 2.0,
    ) -> Annotated["xr.DataArray", Layer("the multiplied raster", unit="units")]:
        """A raster times a factor."""
        called("double")
        progress(0.5, "multiplying")
        return _like(raster.values * factor, raster)

    @method("corridors.test_add")
    def test_add(
        first: Annotated["xr.DataArray", Raster("one raster")],
        second: Annotated["xr.DataArray", Raster("another")],
    ) -> Annotated["xr.DataArray", Layer("the sum", name="total")]:
        """The sum of two rasters."""
        called("add")
        return _like(first.values + second.values, first)

    @method("corridors.test_stack")
    def test_stack(
        layers: Annotated["Sequence[xr.DataArray]", Raster("rasters", many=True)],
        *,
        weight: Annotated[float, Param("weight of each layer")] = 1.0,
    ) -> Annotated["xr.DataArray", Layer("the weighted sum")]:
        """The weighted sum of several rasters."""
        called("stack")
        return _like(weight * np.sum([one.values for one in layers], axis=0), layers[0])

    @method("corridors.test_noise")
    def test_noise(
        raster: Annotated["xr.DataArray", Raster("the grid")],
        *,
        seed: Annotated[int, Param("seed of the random numbers", ge=0)] = 0,
    ) -> Annotated["xr.DataArray", Layer("noise")]:
        """Random numbers on a grid."""
        called("noise")
        return _like(np.random.default_rng(seed).normal(size=raster.shape), raster)

    @method("corridors.test_reclass")
    def test_reclass(
        raster: Annotated["xr.DataArray", Raster("classes", classes=True)],
        table: Annotated["pd.DataFrame", Table("value of each class", columns=("class", "value"))],
        zones: Annotated["gpd.GeoDataFrame | None", Vector("zones", geometry=("Polygon",))] = None,
        *,
        rule: Annotated[str, Param("how", choices=("max", "sum"))] = "max",
    ) -> Annotated["xr.DataArray", Layer("values")]:
        """Values by class."""
        called("reclass")
        known = dict(zip(table["class"], table["value"], strict=True))
        return _like(np.vectorize(known.__getitem__)(raster.values), raster)

    @method("corridors.test_summary")
    def test_summary(
        raster: Annotated["xr.DataArray", Raster("what to sum up")],
        *,
        draw: Annotated[bool, Param("draw the chart, which takes a moment")] = False,
    ) -> Summary:
        """The total, a table and a chart of a raster."""
        import pandas as pd
        from matplotlib.figure import Figure as Chart

        called("summary")
        values, counts = np.unique(raster.values, return_counts=True)
        chart = Chart(figsize=(2, 1)) if draw else None
        if chart is not None:
            chart.subplots().bar(values, counts)
        return Summary(float(raster.sum()), pd.DataFrame({"value": values, "cells": counts}), chart)

    @method("corridors.test_outline")
    def test_outline(
        raster: Annotated["xr.DataArray", Raster("what to outline")],
    ) -> Annotated["gpd.GeoDataFrame", Layer("the outline", name="box")]:
        """The bounding box of a raster."""
        import geopandas as gpd
        from shapely import box

        from linkways.spatial import note

        called("outline")
        note("the outline is a box")
        return gpd.GeoDataFrame({"rows": [len(raster)]}, geometry=[box(*raster.rio.bounds())], crs=raster.rio.crs)

    @method("corridors.test_refuse")
    def test_refuse(
        raster: Annotated["xr.DataArray", Raster("anything")],
        *,
        bug: Annotated[bool, Param("fail by a bug instead")] = False,
    ) -> Annotated["xr.DataArray", Layer("nothing")]:
        """A method that always refuses."""
        called("refuse")
        if bug:
            raise ZeroDivisionError("division by zero")
        raise LinkwaysError("raster has 3 cells that are too blue, first at row 1 column 2; paint them green")

    @method("corridors.test_slow")
    def test_slow(
        raster: Annotated["xr.DataArray", Raster("anything")],
        *,
        wait_for: Annotated[str, Param("go on when this file is there")] = "",
        add: Annotated[float, Param("what to add")] = 1.0,
    ) -> Annotated["xr.DataArray", Layer("the raster plus something")]:
        """A raster plus a number, in its own time."""
        called("slow")
        end = time.monotonic() + 60
        while wait_for and not Path(wait_for).exists() and time.monotonic() < end:
            progress(0.1, "waiting")
            time.sleep(0.01)
        return _like(raster.values + add, raster)
