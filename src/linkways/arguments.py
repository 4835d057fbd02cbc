"""Checking what a method is called with against its declaration, before any work starts."""

from __future__ import annotations

from typing import Any

from linkways.errors import LinkwaysError, nearest
from linkways.method import Input, Method, Raster, Vector

__all__ = ["check_arguments", "check_input"]


def check_arguments(declared: Method, arguments: dict[str, Any]) -> None:
    for parameter in declared.parameters:
        arguments[parameter.name] = parameter.check(arguments[parameter.name], declared.id)
    grid: tuple[str, Any] | None = None
    for item in declared.inputs:
        value = arguments[item.name]
        if value is None and not item.required:
            continue
        items = list(value) if item.spec.many else [value]
        if item.spec.many:
            arguments[item.name] = items
        for number, one in enumerate(items):
            name = f"{item.name}[{number}]" if item.spec.many else item.name
            check_input(declared.id, name, item, one)
            if item.kind == "raster" and not item.spec.own_grid:  # type: ignore[union-attr]
                grid = _check_grid(declared.id, grid, name, one)
    if grid is not None:
        _bring_features_to_grid(declared, arguments, grid)


_WANTED = {
    "raster": ("DataArray", "an xarray.DataArray; linkways.spatial.read_raster reads one from a file"),
    "vector": ("GeoDataFrame", "a geopandas.GeoDataFrame; linkways.spatial.read_vectors reads one from a file"),
    "table": ("DataFrame", "a pandas.DataFrame; linkways.spatial.read_table reads one from a file"),
    "field": ("Dataset", "an xarray.Dataset; linkways.spatial.read_field reads one from a file"),
}


def check_input(id: str, name: str, item: Input, value: Any) -> None:
    """Refuse one input that is not what the declaration asks for."""
    wanted, words = _WANTED[item.kind]
    if not any(base.__name__ == wanted for base in type(value).__mro__):
        raise LinkwaysError(f"{id}: input {name} is a {type(value).__name__} but must be {words}")
    if item.kind == "raster":
        _check_raster(id, name, item.spec, value)  # type: ignore[arg-type]
    elif item.kind == "vector":
        _check_vector(id, name, item.spec, value)  # type: ignore[arg-type]
    for variable in getattr(item.spec, "variables", ()):
        if variable not in value.variables:
            found = [str(one) for one in value.data_vars]
            raise LinkwaysError(f"{id}: input {name} has no variable '{variable}'{nearest(variable, found)}")
    columns = getattr(item.spec, "columns", ())
    for column in columns:
        if column not in value.columns:
            found = [str(c) for c in value.columns]
            raise LinkwaysError(f"{id}: input {name} has no column '{column}'{nearest(column, found)}")


def _check_raster(id: str, name: str, spec: Raster, value: Any) -> None:
    import numpy as np
    import rioxarray  # noqa: F401

    if value.ndim != 2:
        raise LinkwaysError(f"{id}: input {name} has {value.ndim} dimensions but must have two (y, x); select a band")
    if value.rio.crs is None:
        raise LinkwaysError(f"{id}: input {name} has no CRS; give it one with {name}.rio.write_crs('EPSG:...')")
    if spec.positive:
        data = np.asarray(value.data, dtype=float)
        bad = np.isinf(data) | (data <= 0)
        count = int(bad.sum())
        if count:
            row, column = (int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
            kind = "infinite" if np.isinf(data[row, column]) else f"{data[row, column]:g}"
            raise LinkwaysError(
                f"{id}: {name} has {count} cells that are zero, negative or infinite, first at row {row} column "
                f"{column} ({kind}); set them to nodata or to a finite value above 0"
            )


def _check_vector(id: str, name: str, spec: Vector, value: Any) -> None:
    if value.crs is None:
        raise LinkwaysError(f"{id}: input {name} has no CRS; give it one with {name}.set_crs('EPSG:...')")
    if not spec.geometry:
        return
    allowed = {*spec.geometry, *(f"Multi{g}" for g in spec.geometry)}
    kinds = value.geometry.geom_type
    wrong = value.index[~kinds.isin(allowed)]
    if len(wrong):
        raise LinkwaysError(
            f"{id}: input {name} has {len(wrong)} features that are not {' or '.join(spec.geometry)}, first the one "
            f"with index {wrong[0]} ({kinds.loc[wrong[0]]}); select or convert them"
        )


def _check_grid(id: str, grid: tuple[str, Any] | None, name: str, value: Any) -> tuple[str, Any]:
    if grid is None:
        return name, value
    from linkways.spatial import same_grid

    if not same_grid(grid[1], value):
        raise LinkwaysError(
            f"{id}: inputs {grid[0]} ({_grid_text(grid[1])}) and {name} ({_grid_text(value)}) lie on different "
            f"grids; bring one to the other with linkways.spatial.align (in a study: 'align: {grid[0]}')"
        )
    return grid


def _grid_text(raster: Any) -> str:
    from linkways.spatial import grid_of

    west, south, east, north = grid_of(raster).bounds
    rows, columns = raster.shape
    return f"{rows} x {columns} cells, {west:g} {south:g} {east:g} {north:g}, {raster.rio.crs.to_string()[:30]}"


def _bring_features_to_grid(declared: Method, arguments: dict[str, Any], grid: tuple[str, Any]) -> None:
    from linkways.spatial import note

    crs = grid[1].rio.crs
    for item in declared.inputs:
        if item.kind != "vector" or arguments[item.name] is None:
            continue
        layers = arguments[item.name] if item.spec.many else [arguments[item.name]]
        moved = []
        for layer in layers:
            if layer.crs != crs:
                note(f"{declared.id}: {item.name} reprojected from {layer.crs.to_string()} to that of {grid[0]}")
                layer = layer.to_crs(crs)
            moved.append(layer)
        arguments[item.name] = moved if item.spec.many else moved[0]
