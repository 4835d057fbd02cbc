"""Run a Circuitscape 4 or 5 configuration file unchanged and write the files it asks for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note
from linkways.studies._circuitscape_files import (
    AsciiGrid,
    Pairs,
    read_branches,
    read_grid,
    read_pairs,
    read_points,
    read_table,
    write_grid,
    write_rows,
)

if TYPE_CHECKING:
    from linkways.corridors._circuit import Circuit
    from linkways.corridors._circuit_graph import Graph
    from linkways.estimates import Estimate

__all__ = ["estimate_circuitscape", "read_circuitscape_ini", "run_circuitscape"]

Floats = NDArray[np.float64]
MANY_NODES = 5000
TOLERANCE = 1e-10
ANY_CRS = "EPSG:3857"  # grids have square cells of any unit, and currents count in cells

FLAG, FILE, TEXT, NUMBER = "flag", "file", "text", "number"
KEYS: dict[str, tuple[str, Any]] = {
    "data_type": (TEXT, "raster"),
    "scenario": (TEXT, ""),
    "habitat_file": (FILE, None),
    "habitat_map_is_resistances": (FLAG, True),
    "connect_four_neighbors_only": (FLAG, False),
    "connect_using_avg_resistances": (FLAG, False),
    "use_polygons": (FLAG, False),
    "polygon_file": (FILE, None),
    "source_file": (FILE, None),
    "ground_file": (FILE, None),
    "ground_file_is_resistances": (FLAG, True),
    "use_unit_currents": (FLAG, False),
    "use_direct_grounds": (FLAG, False),
    "remove_src_or_gnd": (TEXT, "keepall"),
    "point_file": (FILE, None),
    "use_included_pairs": (FLAG, False),
    "included_pairs_file": (FILE, None),
    "use_variable_source_strengths": (FLAG, False),
    "variable_source_file": (FILE, None),
    "use_mask": (FLAG, False),
    "mask_file": (FILE, None),
    "use_reclass_table": (FLAG, False),
    "reclass_file": (FILE, None),
    "output_file": (TEXT, ""),
    "write_cur_maps": (FLAG, False),
    "write_volt_maps": (FLAG, False),
    "write_cum_cur_map_only": (FLAG, False),
    "write_max_cur_maps": (FLAG, False),
    "set_null_currents_to_nodata": (FLAG, False),
    "set_null_voltages_to_nodata": (FLAG, False),
    "set_focal_node_currents_to_zero": (FLAG, False),
    "compress_grids": (FLAG, False),
    "log_transform_maps": (FLAG, False),
    "write_as_tif": (FLAG, False),
    "parallelize": (FLAG, False),
    "max_parallel": (NUMBER, 0),
    "log_file": (TEXT, "None"),
    "log_level": (TEXT, "INFO"),
    "suppress_messages": (FLAG, False),
    "screenprint_log": (FLAG, False),
    "version": (TEXT, "unknown"),
    "solver": (TEXT, "cg+amg"),
    "precision": (TEXT, "Double"),
    "use_64bit_indexing": (FLAG, True),
    "cholmod_batch_size": (NUMBER, 1000),
    "low_memory_mode": (FLAG, False),
    "preemptive_memory_release": (FLAG, False),
    "print_timings": (FLAG, False),
    "print_rusages": (FLAG, False),
    "profiler_log_file": (TEXT, "None"),
}
CHOICES = {
    "data_type": ("raster", "network"),
    "scenario": ("pairwise", "one-to-all", "all-to-one", "advanced"),
    "remove_src_or_gnd": ("keepall", "rmvsrc", "rmvgnd", "rmvall"),
    "solver": ("cg+amg", "cholmod", "accelerate", "pardiso"),
    "precision": ("double", "single", "none"),
    "log_level": ("debug", "info", "warning", "error", "critical"),
}
NOT_DONE = {
    "print_rusages": "use the operating system's own tools for the use of memory and time",
    "profiler_log_file": "set it to None",
}
"""Keys that are refused by name where they ask for something."""
WITHOUT_EFFECT = {
    "solver": "Linkways chooses its own solvers",
    "precision": "everything is computed in double precision",
    "low_memory_mode": "memory use is the same either way",
    "preemptive_memory_release": "memory use is the same either way",
}
"""Keys that ask how to compute, not what: the numbers are the same, and the log says so."""
TRUE, FALSE = ("true", "1", "yes", "on", "t"), ("false", "0", "no", "off", "f", "none", "")


@dataclass(frozen=True)
class Settings:
    """The checked values of a configuration file by key; paths of input files are found."""

    config: Path
    values: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    """What there is to say about the run, for its log."""

    def tell(self, sentence: str) -> None:
        """Note a sentence about this run."""
        text = f"{self.config.name}: {sentence}"
        self.notes.append(text)
        if not self["suppress_messages"]:
            note(text)

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    @property
    def stem(self) -> str:
        """What all output files start with."""
        return str(self["output_file"]).split(".out")[0]

    @property
    def mode(self) -> str:
        return str(self["scenario"])

    @property
    def maps(self) -> bool:
        """Whether any map of currents is asked for."""
        return bool(self["write_cur_maps"] or self["write_cum_cur_map_only"] or self["write_max_cur_maps"])

    @property
    def case_maps(self) -> bool:
        """Whether the current map of every pair or focal node is asked for."""
        return bool(self["write_cur_maps"] and not self["write_cum_cur_map_only"])

    def file(self, key: str) -> Path:
        """The input file of a key that is needed."""
        path = self[key]
        if path is None:
            raise LinkwaysError(f"{self.config}: {key} names no file; give the path of one")
        return Path(path)


def read_circuitscape_ini(config: Path) -> Settings:
    """Read and check a Circuitscape configuration file.

    Raises LinkwaysError for a key that Circuitscape does not know (with the nearest it does), values that are not
    what the key asks for, keys that cannot be honoured, and input files that do not exist.
    """
    config = Path(config)
    if not config.is_file():
        raise LinkwaysError(f"there is no configuration file {config}")
    values = {key: default for key, (_, default) in KEYS.items()}
    values["precision"] = "double"
    given: dict[str, str] = {}
    for number, line in enumerate(config.read_text(encoding="utf-8-sig", errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith(("[", "#", ";")):
            continue
        key, sign, value = text.partition("=")
        key = key.strip()
        if not sign:
            raise LinkwaysError(f"{config}, line {number}: '{text}' must read key = value")
        if key not in KEYS:
            raise LinkwaysError(f"{config}, line {number}: Circuitscape has no key '{key}'{nearest(key, KEYS)}")
        given[key] = value.strip()
        values[key] = _checked(config, number, key, value.strip())
    settings = Settings(config, values)
    _check_whole(settings, given)
    return settings


def _checked(config: Path, line: int, key: str, value: str) -> Any:
    kind = KEYS[key][0]
    place = f"{config}, line {line}: {key}"
    if key in CHOICES:
        found = value.lower()
        if found == "not entered":
            return KEYS[key][1]
        if found not in CHOICES[key]:
            raise LinkwaysError(f"{place} is '{value}' but must be one of {', '.join(CHOICES[key])}")
        return found
    if kind == FLAG:
        if value.lower() not in (*TRUE, *FALSE):
            raise LinkwaysError(f"{place} is '{value}' but must be True or False")
        return value.lower() in TRUE
    if kind == NUMBER:
        if not value.isdigit():
            raise LinkwaysError(f"{place} is '{value}' but must be a whole number of 0 or more")
        return int(value)
    if kind == FILE:
        return None if value.lower() in ("", "none") or value.startswith("(") else value
    return value


_NEEDED_WITH = {
    "use_polygons": "polygon_file",
    "use_mask": "mask_file",
    "use_included_pairs": "included_pairs_file",
    "use_variable_source_strengths": "variable_source_file",
    "use_reclass_table": "reclass_file",
}


def _check_whole(settings: Settings, given: dict[str, str]) -> None:
    values, config = settings.values, settings.config
    if not values["scenario"]:
        raise LinkwaysError(f"{config}: scenario is missing; set it to one of {', '.join(CHOICES['scenario'])}")
    if values["data_type"] == "network" and values["scenario"] in ("one-to-all", "all-to-one"):
        raise LinkwaysError(f"{config}: networks are run with scenario pairwise or advanced, not {values['scenario']}")
    if not values["output_file"] or values["output_file"].startswith("("):
        raise LinkwaysError(f"{config}: output_file is missing; give the path that the output files start with")
    for key, instead in NOT_DONE.items():
        if given.get(key, "False").lower() not in FALSE:
            raise LinkwaysError(f"{config}: {key} = {given[key]} cannot be honoured; {instead}")
    for key, why in WITHOUT_EFFECT.items():
        if key in given and values[key] not in (KEYS[key][1], "double", "none"):
            settings.tell(f"{key} = {given[key]} has no effect: {why}")
    for key in _needed_files(settings):
        values[key] = _found(config, key, settings.file(key))


def _needed_files(settings: Settings) -> list[str]:
    values = settings.values
    needed = ["habitat_file", *(file for flag, file in _NEEDED_WITH.items() if values[flag])]
    needed += ["source_file", "ground_file"] if values["scenario"] == "advanced" else ["point_file"]
    strengths = values["scenario"] in ("one-to-all", "all-to-one")
    if values["use_variable_source_strengths"] and not strengths:
        needed.remove("variable_source_file")
    if values["data_type"] == "network":
        needed = [n for n in needed if n not in ("polygon_file", "mask_file")]
    if values["scenario"] == "advanced" and values["use_included_pairs"]:
        needed.remove("included_pairs_file")
    return needed


def _found(config: Path, key: str, path: Path) -> Path:
    """The file as named from the working folder, as Circuitscape does, else from the configuration's folder."""
    for candidate in (path, config.parent / path):
        if candidate.is_file():
            return candidate
    raise LinkwaysError(
        f"{config}: {key} names {path}, which is neither in the working folder {Path.cwd()} nor beside the "
        "configuration; give the path from the folder you run in"
    )


# --- running -----------------------------------------------------------------------------------------------------


def run_circuitscape(config: Path, *, many_nodes: bool = False) -> list[Path]:
    """Run a Circuitscape configuration file and return the files written, named and laid out as Circuitscape does.

    Input paths are relative to the working folder (or to the configuration's folder), the output to the working
    folder. Pairs that current cannot join have resistance -1. More than 5,000 focal nodes are refused unless
    ``many_nodes``: a habitat map given as point file is the usual cause.

    Raises LinkwaysError for mistakes in the configuration or its inputs; nothing is written then.
    """
    started = time.perf_counter()
    settings = read_circuitscape_ini(config)
    writer = _Writer(settings)
    run = _run_network if settings["data_type"] == "network" else _run_raster
    run(settings, writer, many_nodes)
    if settings["print_timings"]:
        settings.tell(f"finished in {time.perf_counter() - started:.2f} s")
    writer.log()
    return writer.written


def estimate_circuitscape(config: Path) -> Estimate:
    """What `run_circuitscape` would take, maps of single cases not counted, from a measured sample; nothing is written.

    It is that of `corridors.current` on the same landscape and focal nodes. Raises LinkwaysError for what
    `run_circuitscape` refuses, and for networks and advanced mode, which have no estimate.
    """
    import pandas as pd

    from linkways.corridors.current import current
    from linkways.spatial import new_raster

    settings = read_circuitscape_ini(config)
    if settings["data_type"] == "network" or settings.mode == "advanced":
        raise LinkwaysError(f"{config}: only rasters with focal nodes have an estimate; run it without --estimate")
    grid = _habitat(settings)
    circuit = _circuit(settings, grid)
    nodes = _focal_nodes(settings, grid, many_nodes=False)
    pairs = read_pairs(settings.file("included_pairs_file")) if settings["use_included_pairs"] else None
    inside = circuit.nodes.ravel()
    nodes = {n: c for n, c in nodes.items() if inside[c].any() and (pairs is None or pairs.keeps(n))}
    top = grid.bottom + grid.shape[0] * grid.cell_size
    raster = new_raster(grid.values, crs=ANY_CRS, cell_size=grid.cell_size, origin=(grid.left, top))
    wanted = np.argwhere(np.triu(_wanted(list(nodes), pairs), 1))
    names = np.array(list(nodes))
    found: Estimate = current.declaration.estimate(  # type: ignore[attr-defined]
        raster,
        _as_features(raster, nodes),
        _as_features(raster, dict(enumerate(circuit.shorted))) if circuit.shorted else None,
        pd.DataFrame({"node_a": names[wanted[:, 0]], "node_b": names[wanted[:, 1]]}),
        mode=settings.mode.replace("-", "_"),
        values="resistance" if settings["habitat_map_is_resistances"] else "conductance",
        average="resistance" if settings["connect_using_avg_resistances"] else "conductance",
        neighbours=4 if settings["connect_four_neighbors_only"] else 8,
    )
    return found


def _as_features(raster: Any, groups: dict[int, NDArray[np.intp]]) -> Any:
    """Groups of flat cells as the points in their centres."""
    import geopandas as gpd
    import shapely

    x, y = raster.x.values, raster.y.values
    columns = raster.shape[1]
    shapes = [shapely.MultiPoint(np.column_stack([x[own % columns], y[own // columns]])) for own in groups.values()]
    return gpd.GeoDataFrame({"node": list(groups)}, geometry=shapes, crs=ANY_CRS)


class _Writer:
    """Writes the output files of one run and remembers them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.written: list[Path] = []

    def _ready(self) -> None:
        Path(self.settings.stem).absolute().parent.mkdir(parents=True, exist_ok=True)

    def grid(self, grid: AsciiGrid, values: Floats, name: str) -> None:
        self._ready()
        s = self.settings
        stem = f"{s.stem}_{name}"
        self.written.append(write_grid(grid, values, stem, tif=s["write_as_tif"], compress=s["compress_grids"]))

    def rows(self, rows: Any, name: str, separator: str = " ") -> None:
        self._ready()
        self.written.append(write_rows(Path(f"{self.settings.stem}_{name}"), rows, separator))

    def log(self) -> None:
        name = self.settings["log_file"]
        if name.lower() in FALSE or self.settings["log_level"] in ("error", "critical"):
            return
        with Path(name).open("a", encoding="utf-8") as out:
            out.writelines(f"{sentence}\n" for sentence in self.settings.notes)
        self.written.append(Path(name))


def _threads(settings: Settings) -> int:
    cores = min(os.cpu_count() or 1, 8)
    if not settings["parallelize"]:
        return 1
    return min(cores, settings["max_parallel"]) if settings["max_parallel"] else cores


def _reclassified(values: Floats, settings: Settings) -> Floats:
    """The habitat values with those of the table's first column replaced by those of its second."""
    if not settings["use_reclass_table"]:
        return values
    out = values.copy()
    for old, new in read_table(settings.file("reclass_file"), 2, "reclass table"):
        out[values == old] = new
    return out


def _matrix_rows(ids: list[int], resistance: Floats) -> list[list[float]]:
    filled = np.where(np.isnan(resistance), -1.0, resistance)
    return [[0, *ids], *([id, *row] for id, row in zip(ids, filled.tolist(), strict=True))]


def _column_rows(ids: list[int], resistance: Floats) -> list[list[float]]:
    filled = np.where(np.isnan(resistance), -1.0, resistance)
    first, second = np.triu_indices(len(ids), 1)
    return [[ids[a], ids[b], filled[a, b]] for a, b in zip(first.tolist(), second.tolist(), strict=True)]


# --- rasters ---------------------------------------------------------------------------------------------------


def _run_raster(settings: Settings, writer: _Writer, many_nodes: bool) -> None:
    grid = _habitat(settings)
    circuit = _circuit(settings, grid)
    if settings.mode == "advanced":
        _run_advanced(settings, writer, grid, circuit)
    else:
        _run_focal(settings, writer, grid, circuit, many_nodes)


def _habitat(settings: Settings) -> AsciiGrid:
    path = settings.file("habitat_file")
    grid = read_grid(path, what="habitat map")
    values = _reclassified(grid.values, settings)
    if settings["habitat_map_is_resistances"]:
        _check_resistance(values, path)
    elif (values < 0).any():
        row, column = np.argwhere(values < 0)[0]
        raise LinkwaysError(f"{path}: conductance {values[row, column]:g} at row {row} column {column} is below 0")
    if settings["use_mask"]:
        mask = read_grid(settings.file("mask_file"), grid, "mask").values
        values = np.where(mask > 0, values, np.nan)
        if not (values > 0).any():
            raise LinkwaysError(
                f"mask {settings['mask_file']} leaves no cell of the habitat map; give one with cells above 0"
            )
    return replace(grid, values=values)


def _check_resistance(values: Floats, path: Path) -> None:
    bad = values <= 0
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    known = values[np.isfinite(values)]
    hint = "use a short-circuit region for free passage, nodata for a barrier"
    if np.isin(known, (0, 1)).all():
        hint = (
            "it holds only zeros and ones, which looks like a map of habitat: set habitat_map_is_resistances = False "
            "if they are conductances"
        )
    raise LinkwaysError(
        f"{path}: {int(bad.sum())} cells have a resistance of 0 or below, first at row {row} column {column} "
        f"({values[row, column]:g}); {hint}"
    )


def _circuit(settings: Settings, grid: AsciiGrid) -> Circuit:
    from linkways.corridors._circuit import build_circuit

    shorted: list[NDArray[np.intp]] = []
    if settings["use_polygons"]:
        polygons = read_grid(settings.file("polygon_file"), grid, "short-circuit regions").values
        shorted = list(_groups(np.where(polygons > 0, polygons, np.nan)).values())
    return build_circuit(
        grid.values,
        kind="resistance" if settings["habitat_map_is_resistances"] else "conductance",
        average="resistance" if settings["connect_using_avg_resistances"] else "conductance",
        neighbours=4 if settings["connect_four_neighbors_only"] else 8,
        shorted=shorted,
        tolerance=TOLERANCE,
        threads=_threads(settings),
    )


def _groups(values: Floats) -> dict[float, NDArray[np.intp]]:
    """The flat cells of every distinct value."""
    flat = values.ravel()
    cells = np.flatnonzero(np.isfinite(flat))
    order = cells[np.argsort(flat[cells], kind="stable")]
    names, starts = np.unique(flat[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


def _focal_nodes(settings: Settings, grid: AsciiGrid, many_nodes: bool) -> dict[int, NDArray[np.intp]]:
    path = settings.file("point_file")
    points = read_points(path, grid, "focal nodes")
    points = points[points[:, 0] > 0]
    if (points[:, 0] % 1 != 0).any():
        bad = points[points[:, 0] % 1 != 0][0, 0]
        raise LinkwaysError(f"focal nodes {path}: ids must be whole numbers above 0, but one is {bad:g}")
    ids = np.unique(points[:, 0]).astype(int)
    if len(ids) > MANY_NODES and not many_nodes:
        raise LinkwaysError(
            f"focal nodes {path} has {len(ids)} ids, more than {MANY_NODES}: is it a habitat map? Give a file with one "
            "id for each focal node"
        )
    nodes = {int(id): np.unique(points[points[:, 0] == id, 1]).astype(np.intp) for id in ids}
    if not nodes:
        raise LinkwaysError(f"focal nodes {path} holds no id above 0")
    return nodes


def _wanted(ids: list[int], pairs: Pairs | None) -> NDArray[np.bool_]:
    if pairs is None:
        return ~np.eye(len(ids), dtype=bool)
    return np.array([[a != b and pairs.wants(a, b) for b in ids] for a in ids], dtype=bool).reshape(len(ids), -1)


def _strengths(settings: Settings, ids: list[int]) -> Floats:
    if not settings["use_variable_source_strengths"]:
        return np.ones(len(ids))
    table = read_table(settings.file("variable_source_file"), 2, "source strengths")
    given = {int(id): strength for id, strength in table}
    return np.array([given.get(id, 1.0) for id in ids])


def _run_focal(settings: Settings, writer: _Writer, grid: AsciiGrid, circuit: Circuit, many_nodes: bool) -> None:
    from linkways.corridors._circuit_modes import all_to_one, one_to_all, pairwise

    nodes = _focal_nodes(settings, grid, many_nodes)
    pairs = read_pairs(settings.file("included_pairs_file")) if settings["use_included_pairs"] else None
    if pairs is not None:
        nodes = {id: cells for id, cells in nodes.items() if pairs.keeps(id)}
    ids, cells = list(nodes), list(nodes.values())
    inside = circuit.nodes.ravel()
    lost = [str(id) for id, own in nodes.items() if not inside[own].any()]
    if lost:
        settings.tell(f"focal nodes {', '.join(lost)} lie on nodata; their resistances are -1")
    wanted = _wanted(ids, pairs)
    visit = _map_writer(settings, writer, grid, ids)
    at_focal = not settings["set_focal_node_currents_to_zero"]
    if settings.mode == "pairwise":
        flows = pairwise(circuit, cells, wanted, at_focal=at_focal, maps=settings.maps, visit=visit)
        writer.rows(_matrix_rows(ids, flows.resistance), "resistances.out")
        writer.rows(_column_rows(ids, flows.resistance), "resistances_3columns.out")
    else:
        mode = one_to_all if settings.mode == "one-to-all" else all_to_one
        flows = mode(circuit, cells, wanted, _strengths(settings, ids), at_focal=at_focal, visit=visit)
        found = np.where(np.isnan(flows.resistance), -1.0, flows.resistance)
        writer.rows(zip(ids, found.tolist(), strict=True), "resistances.out")
    if settings["write_cur_maps"] or settings["write_cum_cur_map_only"]:
        writer.grid(grid, _current_values(settings, grid, flows.cumulative), "cum_curmap")
    if settings["write_max_cur_maps"]:
        writer.grid(grid, _current_values(settings, grid, flows.maximum), "max_curmap")


def _map_writer(
    settings: Settings, writer: _Writer, grid: AsciiGrid, ids: list[int]
) -> Callable[[tuple[int, ...], Floats, Floats], None] | None:
    if not (settings.case_maps or settings["write_volt_maps"]):
        return None

    def visit(case: tuple[int, ...], voltage: Floats, current: Floats) -> None:
        name = "_".join(str(ids[k]) for k in case)
        if settings["write_volt_maps"]:
            writer.grid(grid, _voltage_values(settings, grid, voltage), f"voltmap_{name}")
        if settings.case_maps:
            writer.grid(grid, _current_values(settings, grid, current), f"curmap_{name}")

    return visit


def _current_values(settings: Settings, grid: AsciiGrid, current: Floats) -> Floats:
    out = current
    if settings["log_transform_maps"]:
        out = np.full(current.shape, np.nan)
        np.log10(current, out=out, where=current > 0)
    return np.where(grid.values > 0, out, np.nan) if settings["set_null_currents_to_nodata"] else out


def _voltage_values(settings: Settings, grid: AsciiGrid, voltage: Floats) -> Floats:
    return np.where(grid.values > 0, voltage, np.nan) if settings["set_null_voltages_to_nodata"] else voltage


def _run_advanced(settings: Settings, writer: _Writer, grid: AsciiGrid, circuit: Circuit) -> None:
    from linkways.corridors._circuit_modes import advanced, resolve, ungrounded_source

    amperes, conductance = np.zeros(grid.shape), np.zeros(grid.shape)
    direct = np.zeros(grid.shape, bool)
    sources = read_points(settings.file("source_file"), grid, "sources")
    np.add.at(amperes.reshape(-1), sources[:, 1].astype(np.intp), _currents(settings, sources[:, 0]))
    grounds = read_points(settings.file("ground_file"), grid, "grounds")
    finite, tied = _conductances(settings, grounds[:, 0])
    cells = grounds[:, 1].astype(np.intp)
    np.add.at(conductance.reshape(-1), cells, finite)
    direct.reshape(-1)[cells[tied]] = True
    given = resolve(circuit, amperes, conductance, direct, settings["remove_src_or_gnd"])
    lost = ungrounded_source(circuit, given)
    if lost is not None:
        row, column = divmod(lost, grid.shape[1])
        settings.tell(
            f"the source at row {row} column {column} lies in a part without ground; such parts carry no current"
        )
    voltage, current, _ = advanced(circuit, given)
    if settings["write_volt_maps"]:
        writer.grid(grid, _voltage_values(settings, grid, voltage), "voltmap")
    if settings.maps:
        writer.grid(grid, _current_values(settings, grid, current), "curmap")


def _currents(settings: Settings, amperes: Floats) -> Floats:
    """Amperes of the sources; with unit currents 1 A in (or out, for negative sources) for each."""
    return np.sign(amperes) if settings["use_unit_currents"] else amperes


def _conductances(settings: Settings, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Finite conductances to ground and which grounds are direct, from the values of a ground file."""
    if (values < 0).any():
        raise LinkwaysError(
            f"grounds {settings['ground_file']}: {values[values < 0][0]:g} is below 0; give resistances or conductances"
        )
    if settings["ground_file_is_resistances"]:
        conductance = np.divide(1.0, values, out=np.full(values.shape, np.inf), where=values > 0)
    else:
        conductance = values.copy()
    if settings["use_direct_grounds"]:
        conductance[conductance > 0] = np.inf
    direct = np.isinf(conductance)
    return np.where(direct, 0.0, conductance), direct


# --- networks --------------------------------------------------------------------------------------------------


def _run_network(settings: Settings, writer: _Writer, many_nodes: bool) -> None:
    from linkways.corridors._circuit_network import network_of

    path = settings.file("habitat_file")
    tail, head, values = read_branches(path)
    values = _reclassified(values, settings)
    if settings["habitat_map_is_resistances"]:
        if (values <= 0).any():
            bad = int(np.argmax(values <= 0))
            raise LinkwaysError(
                f"network {path}: the branch {tail[bad]} {head[bad]} has a resistance of {values[bad]:g}; resistances "
                "must be above 0"
            )
        values = 1.0 / values
    graph, names = network_of(tail, head, values)
    for key in ("log_transform_maps", "write_max_cur_maps"):
        if settings[key]:
            settings.tell(f"{key} has no effect on networks, as in Circuitscape")
    if settings.mode == "advanced":
        _run_network_advanced(settings, writer, graph, names)
    else:
        _run_network_pairwise(settings, writer, graph, names, many_nodes)


def _node_numbers(names: NDArray[np.int64], wanted: Floats, what: str) -> NDArray[np.intp]:
    place = np.searchsorted(names, wanted)
    known = (place < len(names)) & (names[np.minimum(place, len(names) - 1)] == wanted)
    if not known.all():
        raise LinkwaysError(f"{what}: node {wanted[~known][0]:g} is not in the network")
    return place.astype(np.intp)


def _run_network_pairwise(
    settings: Settings, writer: _Writer, graph: Graph, names: NDArray[np.int64], many_nodes: bool
) -> None:
    from linkways.corridors._circuit_network import network_pairwise

    path = settings.file("point_file")
    ids = np.unique(read_table(path, 1, "focal nodes")).astype(int)
    if len(ids) > MANY_NODES and not many_nodes:
        raise LinkwaysError(f"focal nodes {path} has {len(ids)} nodes, more than {MANY_NODES}; give fewer")
    pairs = read_pairs(settings.file("included_pairs_file")) if settings["use_included_pairs"] else None
    if pairs is not None:
        ids = np.array([id for id in ids if pairs.keeps(id)], int)
    focal = _node_numbers(names, ids.astype(float), f"focal nodes {path}")

    def visit(case: tuple[int, ...], inside: NDArray[np.intp], voltage: Floats, through: Floats, along: Floats) -> None:
        name = "_".join(str(ids[k]) for k in case)
        if settings["write_volt_maps"]:
            writer.rows(zip(names[inside], voltage[inside], strict=True), f"voltages_{name}.txt", "\t")
        if settings.case_maps:
            writer.rows(_branch_rows(graph, names, along), f"branch_currents_{name}.txt", "\t")
            writer.rows(zip(names[inside], through[inside], strict=True), f"node_currents_{name}.txt", "\t")

    flows = network_pairwise(
        graph, focal, _wanted(ids.tolist(), pairs), tolerance=TOLERANCE, visit=visit,
        at_focal=not settings["set_focal_node_currents_to_zero"],
    )  # fmt: skip
    writer.rows(_matrix_rows(ids.tolist(), flows.resistance), "resistances.out")
    writer.rows(_column_rows(ids.tolist(), flows.resistance), "resistances_3columns.out")
    if settings["write_cur_maps"] or settings["write_cum_cur_map_only"]:
        writer.rows(_branch_rows(graph, names, flows.branch_cumulative), "branch_currents_cum.txt", "\t")
        writer.rows(zip(names, flows.node_cumulative, strict=True), "node_currents_cum.txt", "\t")


def _branch_rows(graph: Graph, names: NDArray[np.int64], along: Floats) -> list[tuple[float, float, float]]:
    """The branches that carry current: node, node, amperes."""
    part = along > 0
    return list(zip(names[graph.tail[part]], names[graph.head[part]], along[part], strict=True))


def _run_network_advanced(settings: Settings, writer: _Writer, graph: Graph, names: NDArray[np.int64]) -> None:
    from linkways.corridors._circuit_network import network_advanced, resolve_nodes

    amperes, conductance = np.zeros(graph.nodes), np.zeros(graph.nodes)
    direct = np.zeros(graph.nodes, bool)
    sources = read_table(settings.file("source_file"), 2, "sources")
    at = _node_numbers(names, sources[:, 0], f"sources {settings['source_file']}")
    np.add.at(amperes, at, _currents(settings, sources[:, 1]))
    grounds = read_table(settings.file("ground_file"), 2, "grounds")
    at = _node_numbers(names, grounds[:, 0], f"grounds {settings['ground_file']}")
    finite, tied = _conductances(settings, grounds[:, 1])
    np.add.at(conductance, at, finite)
    direct[at[tied]] = True
    given = resolve_nodes(amperes, conductance, direct, settings["remove_src_or_gnd"])
    voltage, through, along, _ = network_advanced(graph, *given, tolerance=TOLERANCE)
    if settings["write_volt_maps"]:
        writer.rows(zip(names, voltage, strict=True), "voltages.txt", "\t")
    if settings.maps:
        writer.rows(_branch_rows(graph, names, along), "branch_currents.txt", "\t")
        writer.rows(zip(names, through, strict=True), "node_currents.txt", "\t")
