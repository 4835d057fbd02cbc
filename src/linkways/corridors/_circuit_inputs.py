"""What the current-flow methods are given, checked and brought to arrays: landscapes, focal nodes, pairs, sources."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from linkways.corridors._circuit import Circuit, build_circuit
from linkways.corridors._landscape import Landscape, core_table
from linkways.errors import LinkwaysError, nearest
from linkways.kernels.laplacian import StepLengths
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = [
    "FocalNodes", "amperes_and_grounds", "circuit_of", "focal_nodes", "numbered_pairs", "refuse_too_many",
    "source_strengths", "wanted_pairs",
]  # fmt: skip

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
MANY_NODES = 5000
HELD_BYTES = 4_000_000_000
Kind = Literal["resistance", "conductance"]


def circuit_of(
    raster: xr.DataArray,
    mask: xr.DataArray | None,
    short_circuits: gpd.GeoDataFrame | None,
    *,
    values: Kind,
    average: Kind,
    neighbours: Literal[4, 8],
    step_lengths: Literal["cells", "metres"],
) -> tuple[Circuit, Landscape]:
    """The circuit of a checked raster, and the landscape whose cells can be entered (NaN elsewhere)."""
    data = _checked(raster, values)
    if mask is not None:
        data = np.where(mask.values > 0, data, np.nan)
        if not np.isfinite(data).any():
            raise LinkwaysError("mask leaves no cell of the raster; give one with values above 0 where cells are kept")
    shorted = [] if short_circuits is None else cells_of_features(short_circuits, raster, "short_circuits")
    circuit = build_circuit(
        data, kind=values, average=average, neighbours=neighbours, steps=_steps(raster, step_lengths),
        shorted=shorted, threads=min(os.cpu_count() or 1, 8),
    )  # fmt: skip
    return circuit, Landscape.of(raster.copy(data=np.where(circuit.nodes, 1.0, np.nan)), neighbours)


def _checked(raster: xr.DataArray, values: Kind) -> Floats:
    data = np.asarray(raster.values, dtype=np.float64)
    known = data[~np.isnan(data)]
    # a conductance of 0 is a barrier; a resistance of 0 is no resistance at all
    bad = np.isinf(data) | (data < 0) | ((data == 0) & (values == "resistance"))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        hint = "set them to nodata or to a finite value above 0"
        if np.isin(known, (0, 1)).all():
            hint = "it holds only zeros and ones: is it a map of conductance? Then set values to 'conductance'"
        raise LinkwaysError(
            f"the {values} raster has {int(bad.sum())} cells that are "
            f"{'zero, ' if values == 'resistance' else ''}negative or infinite, first at row {row} column {column} "
            f"({data[row, column]:g}); {hint}"
        )
    if not (known > 0).any():
        raise LinkwaysError(f"the {values} raster has no cell above 0; current cannot flow anywhere")
    if values == "resistance" and known.max() <= 1 and known.min() < 1:
        note("every resistance is at most 1, as in maps of habitat quality: check that they are not conductances")
    return np.where(data > 0, data, np.nan)


def _steps(raster: xr.DataArray, step_lengths: str) -> StepLengths | None:
    from linkways.spatial import cell_geometry

    cells = cell_geometry(raster)
    if cells.wraps:
        note("the raster spans the globe: current does not cross from its last column to its first")
    if step_lengths == "cells":
        return None
    return StepLengths(cells.east_west_m, cells.north_south_m, cells.diagonal_m)


# --- features as cells -----------------------------------------------------------------------------------------


def cells_of_features(frame: gpd.GeoDataFrame, raster: xr.DataArray, what: str) -> list[Indices]:
    """The flat cells of every feature by the cell-centre rule, overlaps kept; one between centres takes its cell."""
    from linkways.spatial import feature_of_cell

    if frame.geometry.is_empty.any() or frame.geometry.isna().any():
        bad = frame.index[frame.geometry.is_empty | frame.geometry.isna()][0]
        raise LinkwaysError(f"{what}: feature {bad} has no geometry; drop it or give it one")
    order = [frame] if not _overlap(frame) else [frame.iloc[[n]] for n in range(len(frame))]
    cells: list[Indices] = []
    for part in order:
        found = feature_of_cell(part, raster).ravel()
        used = np.flatnonzero(found >= 0)
        used = used[np.argsort(found[used], kind="stable")]
        cells += np.split(used, np.searchsorted(found[used], np.arange(1, len(part))))
    return [
        np.asarray(own if len(own) else _cell_of(raster, shape), np.intp)
        for own, shape in zip(cells, frame.geometry, strict=True)
    ]


def _overlap(frame: gpd.GeoDataFrame) -> bool:
    first, second = frame.sindex.query(frame.geometry, predicate="intersects")
    return bool((first != second).any())


def _cell_of(raster: xr.DataArray, shape: Any) -> Indices:
    from rasterio.transform import rowcol

    from linkways.spatial import grid_of

    point = shape.representative_point()
    row, column = rowcol(grid_of(raster).transform, point.x, point.y)
    if not (0 <= row < raster.shape[0] and 0 <= column < raster.shape[1]):
        return np.empty(0, np.intp)
    return np.array([int(row) * raster.shape[1] + int(column)], np.intp)


@dataclass(frozen=True)
class FocalNodes:
    """Focal nodes in ascending order: their numbers and their flat cells."""

    ids: tuple[int, ...]
    cells: tuple[Indices, ...]


def focal_nodes(frame: gpd.GeoDataFrame | None, circuit: Circuit, landscape: Landscape, *, many: bool) -> FocalNodes:
    """The focal nodes of a layer; those on nodata, numbered twice or sharing a cell are refused."""
    if frame is None or not len(frame):
        raise LinkwaysError("focal_nodes is missing or empty; give the points or regions that current flows between")
    if len(frame) > MANY_NODES and not many:
        raise LinkwaysError(
            f"focal_nodes has {len(frame)} features, more than {MANY_NODES}; select fewer, or set many_nodes to true "
            "when you mean it"
        )
    table = core_table(frame.assign(core=frame["node"]) if "node" in frame.columns else frame, "focal_nodes")
    ids = [int(id) for id in table["core"]]
    cells = cells_of_features(table, landscape.raster, "focal_nodes")
    inside = circuit.nodes.reshape(-1)
    cells = [own[inside[own]] for own in cells]
    lost = [id for id, own in zip(ids, cells, strict=True) if not len(own)]
    if lost:
        raise LinkwaysError(
            f"focal nodes {_names(lost)} lie entirely on nodata or outside the raster; move or drop them, or give "
            "these cells a value"
        )
    _refuse_shared(ids, cells, circuit.shape[1])
    _note_touching(ids, cells, circuit.shape)
    return FocalNodes(tuple(ids), tuple(cells))


def _refuse_shared(ids: Sequence[int], cells: Sequence[Indices], columns: int) -> None:
    owner = np.repeat(np.arange(len(ids)), [len(own) for own in cells])
    flat = np.concatenate(list(cells))
    order = np.argsort(flat, kind="stable")
    same = np.flatnonzero(np.diff(flat[order]) == 0)
    if same.size:
        a, b = owner[order[same[0]]], owner[order[same[0] + 1]]
        row, column = divmod(int(flat[order[same[0]]]), columns)
        raise LinkwaysError(
            f"focal nodes {ids[a]} and {ids[b]} share {same.size} cells, first row {row} column {column}, so between "
            "them nothing can be told; shrink, join or move one of them"
        )


def _note_touching(ids: Sequence[int], cells: Sequence[Indices], shape: tuple[int, int]) -> None:
    """Say which regions share a border: between them current passes straight across it."""
    owner = np.full(shape, -1, np.int32)
    for n, own in enumerate(cells):
        owner.reshape(-1)[own] = n
    touching = set()
    for here, there in (
        (owner[:, :-1], owner[:, 1:]),
        (owner[:-1], owner[1:]),
        (owner[:-1, :-1], owner[1:, 1:]),
        (owner[:-1, 1:], owner[1:, :-1]),
    ):
        both = (here >= 0) & (there >= 0) & (here != there)
        touching |= {(min(a, b), max(a, b)) for a, b in zip(here[both].tolist(), there[both].tolist(), strict=True)}
    regions = [(a, b) for a, b in sorted(touching) if len(cells[a]) > 1 or len(cells[b]) > 1]
    if regions:
        a, b = regions[0]
        more = f" and {len(regions) - 1} more pairs" if len(regions) > 1 else ""
        note(f"focal nodes {ids[a]} and {ids[b]}{more} touch: nearly all current between them crosses their border")


def refuse_too_many(maps: int, shape: tuple[int, int], what: str) -> None:
    """Refuse maps on request that no memory would hold."""
    size = maps * shape[0] * shape[1] * 8
    if size > HELD_BYTES:
        raise LinkwaysError(
            f"{what} asks for {maps} maps, {size / 1e9:.0f} GB; leave it out and use the cumulative map, or choose "
            "fewer pairs"
        )


def _names(ids: Sequence[int]) -> str:
    shown = ", ".join(str(i) for i in ids[:10])
    return shown + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")


# --- tables ----------------------------------------------------------------------------------------------------


def numbered_pairs(pairs: pd.DataFrame, ids: Sequence[Any]) -> set[tuple[int, int]]:
    """The pairs of a table as positions in ``ids``, the smaller first."""
    place = {id: n for n, id in enumerate(ids)}
    out = set()
    for row, (a, b) in enumerate(zip(pairs["node_a"], pairs["node_b"], strict=True)):
        for id in (a, b):
            if id not in place:
                raise LinkwaysError(f"pairs, row {row}: {id} is no focal node{nearest(str(id), [str(i) for i in ids])}")
        out.add((min(place[a], place[b]), max(place[a], place[b])))
    return out


def wanted_pairs(
    pairs: pd.DataFrame | None, ids: Sequence[Any], rule: Literal["include", "exclude"]
) -> NDArray[np.bool_]:
    """Which pairs of focal nodes to compute, (n, n) symmetric."""
    wanted = np.full((len(ids), len(ids)), pairs is None or rule == "exclude")
    if pairs is not None:
        for a, b in numbered_pairs(pairs, ids):
            wanted[a, b] = wanted[b, a] = rule == "include"
    np.fill_diagonal(wanted, False)
    if not wanted.any():
        raise LinkwaysError("no pair of focal nodes is left to compute; give at least two nodes and one pair")
    return wanted


def source_strengths(strengths: pd.DataFrame | None, ids: Sequence[int]) -> Floats:
    """Amperes of each focal node as a source; 1 for those the table does not name."""
    out = np.ones(len(ids))
    if strengths is None:
        return out
    place = {id: n for n, id in enumerate(ids)}
    for row, (id, strength) in enumerate(zip(strengths["node"], strengths["strength"], strict=True)):
        if id not in place:
            raise LinkwaysError(f"strengths, row {row}: {id} is no focal node{nearest(str(id), map(str, ids))}")
        if not np.isfinite(strength):
            raise LinkwaysError(f"strengths, row {row}: the strength of node {id} is {strength}; give amperes")
        out[place[id]] = float(strength)
    return out


# --- advanced --------------------------------------------------------------------------------------------------


def amperes_and_grounds(
    landscape: Landscape,
    sources: xr.DataArray | None,
    source_points: gpd.GeoDataFrame | None,
    grounds: xr.DataArray | None,
    ground_points: gpd.GeoDataFrame | None,
    *,
    ground_values: Kind,
    unit_currents: bool,
    direct_grounds: bool,
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Amperes into each cell, finite conductances to ground, and cells tied to ground directly; (rows, columns)."""
    amperes = np.zeros(landscape.shape)
    for cells, given in _given(landscape, sources, source_points, "sources"):
        np.add.at(amperes.reshape(-1), cells, np.sign(given) if unit_currents else given)
    conductance, direct = np.zeros(landscape.shape), np.zeros(landscape.shape, bool)
    for cells, given in _given(landscape, grounds, ground_points, "grounds"):
        finite, tied = ground_conductances(given, ground_values, direct_grounds)
        np.add.at(conductance.reshape(-1), cells, finite)
        direct.reshape(-1)[cells[tied]] = True
    if not amperes.any():
        raise LinkwaysError("mode advanced needs sources: give sources (a raster) or source_points with amperes")
    if not (conductance.any() or direct.any()):
        raise LinkwaysError("mode advanced needs grounds: give grounds (a raster) or ground_points with values")
    return amperes, conductance, direct


def _given(
    landscape: Landscape, raster: xr.DataArray | None, points: gpd.GeoDataFrame | None, what: str
) -> list[tuple[Indices, Floats]]:
    out = []
    if raster is not None:
        flat = np.asarray(raster.values, float).ravel()
        cells = np.flatnonzero(~np.isnan(flat))
        out.append((cells, flat[cells]))
    if points is not None:
        name = f"{what[:-1]}_points"
        cells_of = cells_of_features(points, landscape.raster, name)
        for row, cells in enumerate(cells_of):
            if not len(cells):
                raise LinkwaysError(f"{name}: feature {points.index[row]} lies outside the raster; move or drop it")
        given = points["amperes" if what == "sources" else "value"].to_numpy(float)
        out.append((np.concatenate(cells_of), np.repeat(given, [len(c) for c in cells_of])))
    for cells, given in out:
        wrong = ~np.isfinite(given) | ((given < 0) & (what == "grounds"))
        if wrong.any():
            row, column = divmod(int(cells[wrong][0]), landscape.shape[1])
            raise LinkwaysError(
                f"{what} has {int(wrong.sum())} values that are not finite or, as grounds, below 0, first at row {row} "
                f"column {column} ({given[wrong][0]:g}); give finite values"
            )
        lost = ~np.isfinite(landscape.resistance.ravel()[cells]) & (given != 0)
        if lost.any():
            row, column = divmod(int(cells[lost][0]), landscape.shape[1])
            note(f"{int(lost.sum())} cells of {what} lie on nodata and are left out, first row {row} column {column}")
    return out


def ground_conductances(values: Floats, kind: Kind, direct_grounds: bool) -> tuple[Floats, NDArray[np.bool_]]:
    """Finite conductances to ground and which grounds are direct (resistance 0, or all of them where asked)."""
    if kind == "resistance":
        conductance = np.divide(1.0, values, out=np.full(values.shape, np.inf), where=values > 0)
    else:
        conductance = values.copy()
    if direct_grounds:
        conductance[conductance > 0] = np.inf
    direct = np.isinf(conductance)
    return np.where(direct, 0.0, conductance), direct
