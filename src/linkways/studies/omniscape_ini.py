"""Omniscape's INI files, run as they are: the same keys, the same output names and formats."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    from linkways.corridors._windows import Condition, Landscape, Maps, Windows
    from linkways.estimates import Estimate

__all__ = ["estimate_omniscape", "run_omniscape"]

Floats = NDArray[np.float64]

NODATA = -9999.0
REQUIRED = ("resistance_file", "radius", "project_name")
CHOICES = {
    "precision": ("single", "double"),
    "n_conditions": ("1", "2"),
    "compare_to_future": ("none", "1", "2", "both"),
    "comparison1": ("within", "equal"),
    "comparison2": ("within", "equal"),
}
# key: default of Omniscape.jl, None where it has none
DEFAULTS: dict[str, str | None] = {
    "resistance_file": None,
    "resistance_is_conductance": "false",
    "resistance_file_is_conductance": "false",
    "source_file": None,
    "project_name": None,
    "parallelize": "true",
    "parallel_batch_size": "10",
    "block_size": "1",
    "radius": None,
    "buffer": "0",
    "source_threshold": "0",
    "source_from_resistance": "false",
    "r_cutoff": "Inf",
    "precision": "double",
    "connect_four_neighbors_only": "false",
    "solver": "cg+amg",
    "calc_flow_potential": "false",
    "calc_normalized_current": "false",
    "correct_artifacts": "true",
    "write_raw_currmap": "true",
    "write_as_tif": "true",
    "mask_nodata": "true",
    "suppress_cs_messages": "true",
    "conditional": "false",
    "n_conditions": "1",
    "compare_to_future": "none",
    "condition1_file": None,
    "condition2_file": None,
    "condition1_future_file": None,
    "condition2_future_file": None,
    "comparison1": "within",
    "comparison2": "within",
    "condition1_lower": "0",
    "condition1_upper": "0",
    "condition2_lower": "0",
    "condition2_upper": "0",
    "reclassify_resistance": "false",
    "reclass_table": None,
    "write_reclassified_resistance": "false",
    "allow_different_projections": "false",
}


def run_omniscape(config: Path) -> list[Path]:
    """Run an Omniscape INI file unchanged and return the files written.

    The maps are those of Omniscape.jl (``corridors.omnidirectional`` with ``compat="omniscape"``), in the folder
    ``project_name`` of the current directory, or ``project_name_1`` and so on where it exists: ``cum_currmap``,
    ``flow_potential``, ``normalized_cum_currmap`` and ``classified_resistance`` as GeoTIFF (.tif) or Arc/Info ASCII
    grid (.asc), nodata -9999, and a copy of the file as ``config.ini``. Input paths count from the current directory,
    and where nothing is there from the folder of the file.

    ``precision = single`` computes in double precision and writes 32-bit values. ``solver`` names solvers of Omniscape;
    whatever it says, Linkways solves with its own, to an estimated error of 1e-6 of each window's current map.
    ``suppress_cs_messages`` has nothing to suppress here.

    Raises LinkwaysError for a key that Omniscape does not know (with the nearest that it does), a missing or malformed
    value, a missing file, rasters of different sizes, and what ``corridors.omnidirectional`` refuses.
    """
    from linkways.corridors._windows import moving_windows

    settings = Settings.read(Path(config))
    raster = _read(settings, "resistance_file")
    values = _reclassified(settings, raster.values)
    land = _landscape(settings, raster, values)
    windows = _windows(settings, raster)
    maps = moving_windows(land, windows)
    return _write(settings, raster, values, maps)


def estimate_omniscape(config: Path) -> Estimate:
    """What `run_omniscape` would take, from a measured sample of its windows; refuses the same, writes nothing."""
    from linkways.corridors._windows import refuse_unfit
    from linkways.corridors.omnidirectional import estimate_windows

    settings = Settings.read(Path(config))
    raster = _read(settings, "resistance_file")
    land, windows = _landscape(settings, raster, _reclassified(settings, raster.values)), _windows(settings, raster)
    refuse_unfit(land, windows)
    return estimate_windows(land, windows)


# --- settings ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Settings:
    """The keys of one INI file, each read as what it must be."""

    path: Path
    given: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Settings:
        """Read the file; sections are only headings, as in Omniscape."""
        if not path.is_file():
            raise LinkwaysError(f"there is no file {path}; check the path of the INI file")
        given: dict[str, str] = {}
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            line = line.strip()
            if not line or line[0] in "[#;":
                continue
            key, sign, value = (part.strip() for part in line.partition("="))
            if not sign:
                raise LinkwaysError(f"{path.name} line {number} has no '=': {line!r}; write key = value")
            if key not in DEFAULTS:
                raise LinkwaysError(
                    f"{path.name} line {number}: Omniscape has no key '{key}'{nearest(key, DEFAULTS)}; correct or "
                    "remove it"
                )
            given[key] = value
        missing = [key for key in REQUIRED if not given.get(key)]
        if missing:
            raise LinkwaysError(f"{path.name} lacks {' and '.join(missing)}; add them, they have no default")
        settings = cls(path, given)
        for key, default in DEFAULTS.items():
            if default in ("true", "false"):
                settings.flag(key)
        for key in CHOICES:
            settings.choice(key)
        return settings

    def text(self, key: str) -> str:
        """The value of a key, or its default."""
        value = self.given.get(key, DEFAULTS[key])
        if not value:
            raise LinkwaysError(f"{self.path.name} lacks {key}, which these settings need; add it")
        return value

    def flag(self, key: str) -> bool:
        """A key that is true or false."""
        value = self.text(key)
        if value.lower() not in ("true", "false"):
            raise LinkwaysError(f"{self.path.name}: {key} is {value!r} but must be true or false")
        return value.lower() == "true"

    def number(self, key: str, *, least: float = -math.inf) -> float:
        """A key that is a number."""
        value = self.text(key)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number) or number < least:
            bound = f" of at least {least:g}" if least > -math.inf else ""
            raise LinkwaysError(f"{self.path.name}: {key} is {value!r} but must be a number{bound}")
        return number

    def whole(self, key: str, *, least: int) -> int:
        """A key that is a whole number; others are rounded, as in Omniscape."""
        number = self.number(key, least=least)
        if not math.isfinite(number):
            raise LinkwaysError(f"{self.path.name}: {key} is {self.text(key)!r} but must be a whole number")
        return round(number)

    def choice(self, key: str) -> str:
        """A key that is one of a few words."""
        value, choices = self.text(key).lower(), CHOICES[key]
        if value not in choices:
            raise LinkwaysError(f"{self.path.name}: {key} is {value!r} but must be one of {', '.join(choices)}")
        return value

    def file(self, key: str) -> Path:
        """A key that names a file."""
        name = self.text(key)
        for folder in (Path(), self.path.parent):
            if (folder / name).is_file():
                return folder / name
        raise LinkwaysError(
            f"{self.path.name}: {key} names {name}, which is neither in the current directory nor in the folder of the "
            "INI file; correct the path or run from the directory that it counts from"
        )

    @property
    def conductance(self) -> bool:
        """Whether the resistance file holds conductances: the documentation and the program each have a name for it."""
        return self.flag("resistance_is_conductance") or self.flag("resistance_file_is_conductance")


# --- inputs --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Grid:
    """A raster as its file holds it: values with NaN for nodata, and where it lies."""

    values: Floats
    crs: Any
    transform: Any


def _read(settings: Settings, key: str) -> _Grid:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    path = settings.file(key)
    name = f"/vsigzip/{path}" if path.suffix == ".gz" else str(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(name) as file:
                values = file.read(1, masked=True)
                grid = _Grid(values.astype(np.float64).filled(np.nan), file.crs, file.transform)
    except RasterioError as error:
        reason = str(error).replace("\n", " ")
        raise LinkwaysError(
            f"{key}: cannot read {path} as a raster ({reason}); give a GeoTIFF or an ASCII grid"
        ) from error
    return grid


def _read_like(settings: Settings, key: str, raster: _Grid) -> Floats:
    """The values of another layer, which must have the size of the resistance raster."""
    grid = _read(settings, key)
    if grid.values.shape != raster.values.shape:
        rows, columns = grid.values.shape
        raise LinkwaysError(
            f"{key} has {rows} rows and {columns} columns, resistance_file {raster.values.shape[0]} and "
            f"{raster.values.shape[1]}; bring them to one grid"
        )
    apart = grid.crs != raster.crs or not grid.transform.almost_equals(raster.transform)
    if apart and not settings.flag("allow_different_projections"):
        note(f"{key} and resistance_file say that they lie in different places; they are taken cell by cell")
    return grid.values


def _reclassified(settings: Settings, values: Floats) -> Floats:
    """The resistance (or conductance) values after the reclass table, and refused where they are not above 0."""
    if settings.flag("reclassify_resistance"):
        path = settings.file("reclass_table")
        new = values.copy()
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
            words = line.replace('"', "").split()
            if not words:
                continue
            try:
                old, become = (math.nan if w.lower() == "missing" else float(w) for w in words)
            except ValueError:
                raise LinkwaysError(
                    f"reclass_table {path.name} line {number} is {line!r} but must be two numbers (the second may be "
                    "missing)"
                ) from None
            new[values == old] = become
        values = new
    bad = (values <= 0) | np.isinf(values)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise LinkwaysError(
            f"resistance_file has {int(bad.sum())} cells that are zero, negative or infinite, first at row {row} "
            f"column {column} ({values[row, column]:g}); set them to nodata or to a value above 0"
        )
    return values


def _landscape(settings: Settings, raster: _Grid, values: Floats) -> Landscape:
    from linkways.corridors._windows import Landscape, source_strength

    conductance = values if settings.conductance else 1.0 / values
    threshold = settings.number("source_threshold", least=0)
    cutoff = settings.number("r_cutoff", least=0)
    if settings.flag("source_from_resistance"):
        sources = source_strength(conductance, cutoff if cutoff > 0 else 1e-300)
    else:
        sources = _read_like(settings, "source_file", raster)
        sources = np.where(np.isnan(sources), 0.0, sources)
        sources = np.where((sources >= 0) & (sources < threshold), 0.0, sources)
    neighbours: Literal[4, 8] = 4 if settings.flag("connect_four_neighbors_only") else 8
    return Landscape(conductance, sources, None, neighbours)


def _windows(settings: Settings, raster: _Grid) -> Windows:
    from linkways.corridors._windows import Windows

    block = settings.whole("block_size", least=1)
    if block % 2 == 0:
        note(f"{settings.path.name}: block_size {block} is even, and a block needs a centre: raised to {block + 1}")
        block += 1
    if settings.text("solver") not in ("cg+amg", "cholmod"):
        note(f"{settings.path.name}: solver {settings.text('solver')!r} is not one of Omniscape's; it changes nothing")
    batch = settings.whole("parallel_batch_size", least=1)
    parallel = settings.flag("parallelize")
    return Windows(
        radius_cells=settings.whole("radius", least=1),
        buffer=settings.whole("buffer", least=0),
        block=block,
        conditions=_conditions(settings, raster),
        correct=settings.flag("correct_artifacts"),
        potential=settings.flag("calc_flow_potential") or settings.flag("calc_normalized_current"),
        omniscape=True,
        tolerance=1e-6,
        batch=batch if parallel and "parallel_batch_size" in settings.given else None,
        threads=None if parallel else 1,
    )


def _conditions(settings: Settings, raster: _Grid) -> tuple[Condition, ...]:
    from linkways.corridors._windows import Condition

    if not settings.flag("conditional"):
        return ()
    count = settings.choice("n_conditions")
    future = settings.choice("compare_to_future")
    conditions = []
    for k in ("1", "2")[: int(count)]:
        present = _read_like(settings, f"condition{k}_file", raster)
        ahead = present
        if future in (k, "both"):
            ahead = _read_like(settings, f"condition{k}_future_file", raster)
        equal = settings.choice(f"comparison{k}") == "equal"
        lower, upper = (0.0, 0.0) if equal else (settings.number(f"condition{k}_{end}") for end in ("lower", "upper"))
        conditions.append(Condition(present, ahead, "equal" if equal else "within", lower, upper))
    return tuple(conditions)


# --- outputs -------------------------------------------------------------------------------------------------


def _write(settings: Settings, raster: _Grid, values: Floats, maps: Maps) -> list[Path]:
    """Write the maps that the settings ask for, whole or not at all."""
    layers: dict[str, Floats] = {}
    if settings.flag("reclassify_resistance") and settings.flag("write_reclassified_resistance"):
        layers["classified_resistance"] = values
    missing = np.isnan(values) & settings.flag("mask_nodata")
    if settings.flag("write_raw_currmap"):
        layers["cum_currmap"] = np.where(missing, np.nan, maps.current)
    if settings.flag("calc_flow_potential"):
        assert maps.potential is not None
        layers["flow_potential"] = np.where(missing, np.nan, maps.potential)
    if settings.flag("calc_normalized_current"):
        layers["normalized_cum_currmap"] = np.where(missing, np.nan, maps.normalised)
    folder = _new_folder(settings.text("project_name"))
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        names = [_write_layer(settings, raster, aside / name, layer) for name, layer in layers.items()]
        shutil.copyfile(settings.path, aside / "config.ini")
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [folder / name for name in (*names, "config.ini")]


def _new_folder(name: str) -> Path:
    folder = Path(name)
    number = 1
    while folder.exists():
        folder = Path(f"{name}_{number}")
        number += 1
    return folder


def _write_layer(settings: Settings, raster: _Grid, path: Path, values: Floats) -> str:
    """Write one map as Omniscape does, and return its file name."""
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.shutil import copy

    dtype = "float32" if settings.choice("precision") == "single" else "float64"
    profile = {
        "driver": "GTiff",
        "dtype": dtype,
        "nodata": NODATA,
        "count": 1,
        "height": values.shape[0],
        "width": values.shape[1],
        "crs": raster.crs,
        "transform": raster.transform,
    }
    data = np.where(np.isnan(values), NODATA, values).astype(dtype)
    if settings.flag("write_as_tif"):
        path = path.with_suffix(".tif")
        with rasterio.open(path, "w", compress="lzw", **profile) as file:
            file.write(data, 1)
    else:
        path = path.with_suffix(".asc")
        # without PAM: Omniscape leaves no .aux.xml beside its grids
        with rasterio.Env(GDAL_PAM_ENABLED="NO"), MemoryFile() as memory:
            with memory.open(**profile) as file:
                file.write(data, 1)
            copy(memory.name, str(path), driver="AAIGrid")
    return path.name
