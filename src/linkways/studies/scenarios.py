"""Scenarios: edits of a study that are run beside the baseline.

A road, a fence or a crossing is burnt into the resistance by a step of its own (`corridors.resistance`), so that the
recipe says what was changed; restored cells, a new protected area and a removed barrier are edits of an input file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from shapely.geometry.base import BaseGeometry

    from linkways.studies import Study

__all__ = [
    "EDITS",
    "Edit",
    "apply_edits",
    "edit_from",
    "input_layer",
    "possible_edits",
    "study_on_its_own",
]

EDITS: dict[str, tuple[str, str]] = {
    "road": ("line", "A road: resistance along the line is raised to a number"),
    "fence": ("line", "A fence: nothing crosses the line"),
    "crossing": ("line", "A crossing: resistance along the line is lowered to a number, over roads and fences"),
    "restore": ("polygon", "Restored or changed land: cells inside take another class or value"),
    "protect": ("polygon", "A new protected area"),
    "remove": ("feature", "A barrier removed, such as a dam"),
}
"""The kinds of edits: what is drawn for each, and what it does."""

_MOST_CORNERS = 5_000
_MOST_EDITS = 200
_PROTECTED = ("areas", "protected", "protected_areas", "polygons", "existing", "reserves")


@dataclass(frozen=True)
class Edit:
    """One change.

    Attributes:
        kind: one of `EDITS`.
        geometry: what was drawn, in degrees; None for a removed feature.
        input: the study input that is changed; for roads, fences and crossings the resistance that is.
        value: resistance of a road or crossing, class or value of restored land.
        rows: the features that are removed, by their place in the input layer from 0.
    """

    kind: str
    geometry: BaseGeometry | None
    input: str
    value: float | None = None
    rows: tuple[int, ...] = ()


# --- what can be changed -------------------------------------------------------------


def possible_edits(study: Study) -> list[dict[str, Any]]:
    """Return the kinds of edits that this study can take, each with the inputs it can change.

    For restored land, the classes of the input are told where they are known.
    """
    found = []
    for kind, (shape, doc) in EDITS.items():
        targets = _targets(study, kind)
        if targets:
            classes = {name: _classes(study, name) for name in targets} if kind == "restore" else {}
            found.append({"kind": kind, "shape": shape, "doc": doc, "inputs": targets, "classes": classes})
    return found


def _targets(study: Study, kind: str) -> list[str]:
    """What a kind of edit can change, first that on which most steps depend."""
    found = _unordered_targets(study, kind)
    return sorted(found, key=lambda name: -_dependents(study, name)) if kind in ("protect", "remove") else found


def _dependents(study: Study, name: str) -> int:
    """How many steps use a study input, at first or second hand."""
    uses = {step.id: {reference.split(".")[0] for _, reference in step.references()} for step in study.steps}
    reached = {name}
    while more := {id for id, used in uses.items() if used & reached} - reached:
        reached |= more
    return len(reached) - 1


def _unordered_targets(study: Study, kind: str) -> list[str]:
    if kind in ("road", "fence", "crossing"):
        return _resistances(study)
    if kind == "restore":
        return [name for name in study.inputs if _handed_as(study, name) & {"landcover", "classes", "habitat"}]
    if kind == "protect":
        names = [name for name in study.inputs if _handed_as(study, name) & set(_PROTECTED)]
        return [name for name in names if _kind_of(study, name) == "vector"]
    names = [name for name in study.inputs if "barriers" in _handed_as(study, name)]
    return [name for name in names if _is_layer(study, name)]


def _resistances(study: Study) -> list[str]:
    """References to resistance: steps that make it and are not built on again, and inputs that are handed on as it."""
    made = [step.id for step in study.steps if step.method == "corridors.resistance"]
    used = {
        ref.split(".")[0]
        for step in study.steps
        if step.id in made
        for own, ref in step.references()
        if own == "layers"
    }
    given = [name for name in study.inputs if "resistance" in _handed_as(study, name)]
    return [name for name in made if name not in used] + [name for name in made if name in used] + given


def _handed_as(study: Study, name: str) -> set[str]:
    return {own for step in study.steps for own, reference in step.references() if reference == name}


def _is_layer(study: Study, name: str) -> bool:
    """Whether an input holds map features, also where a step asks only for their table."""
    from linkways.studies.inputs import kind_of_file

    item = study.inputs[name]
    if item.kind or _kind_of(study, name) == "vector":
        return (item.kind or "vector") == "vector"
    return item.origin == "path" and kind_of_file(str(study.folder / str(item.value))) == "vector"


def _kind_of(study: Study, name: str) -> str | None:
    from linkways.method import methods

    known = methods()
    for step in study.steps:
        for own, reference in step.references():
            if reference == name and step.method in known:
                return next((one.kind for one in known[step.method].inputs if one.name == own), None)
    return None


def _classes(study: Study, name: str) -> list[dict[str, Any]]:
    """Classes that cells of an input may take: those that the tables beside it know."""
    rows: list[Mapping[str, Any]] = []
    for step in study.steps:
        handed = dict(step.references())
        table = handed.get("table")
        if name in (handed.get("landcover"), handed.get("classes")) and table in study.inputs:
            rows = _read(study, str(table)).to_dict("records")
            break
    label = next((key for key in ("name", "label", "title", "cover") if rows and key in rows[0]), None)
    codes = {row["class"]: str(row[label]) if label else f"class {row['class']}" for row in rows if "class" in row}
    return [{"value": _plain(code), "label": text} for code, text in codes.items()]


def input_layer(study: Study, name: str) -> gpd.GeoDataFrame:
    """Return an input of features as the study reads it, for clicking on the map.

    Raises:
        LinkwaysError: no such input, or one that holds no features.
    """
    if name not in study.inputs:
        raise LinkwaysError(f"the study has no input '{name}'{nearest(name, study.inputs)}")
    value = _read(study, name)
    if type(value).__name__ != "GeoDataFrame":
        raise LinkwaysError(f"the input {name} holds no map features")
    return value


# --- reading an edit -----------------------------------------------------------------


def edit_from(data: Any, study: Study) -> Edit:
    """Read one edit from plain data: ``kind``, ``geometry`` (GeoJSON, degrees), ``input``, ``value``, ``rows``.

    Raises:
        LinkwaysError: one sentence that says what is wrong with it.
    """
    if not isinstance(data, Mapping):
        raise LinkwaysError("a change must say its kind and where it is")
    kind = str(data.get("kind"))
    if kind not in EDITS:
        raise LinkwaysError(f"there is no kind of change '{kind[:40]}'{nearest(kind, EDITS)}")
    targets = _targets(study, kind)
    if not targets:
        raise LinkwaysError(f"this study has nothing that a change of the kind {kind} could change")
    target = str(data.get("input") or targets[0])
    if target not in targets:
        raise LinkwaysError(f"a change of the kind {kind} can change {' or '.join(targets)}, not '{target[:60]}'")
    rows = data.get("rows") or ()
    if kind == "remove":
        if not isinstance(rows, Sequence) or not rows or not all(type(row) is int and row >= 0 for row in rows):
            raise LinkwaysError("say which barriers are removed: click them on the map")
        return Edit(kind, None, target, rows=tuple(rows))
    return Edit(kind, _geometry(data.get("geometry"), EDITS[kind][0]), target, _value(data.get("value"), kind))


def _geometry(data: Any, shape: str) -> BaseGeometry:
    import shapely

    wanted = {"line": ("LineString", "MultiLineString"), "polygon": ("Polygon", "MultiPolygon")}[shape]
    try:
        geometry = shapely.from_geojson(json.dumps(data))
    except (shapely.GEOSException, TypeError, ValueError):
        geometry = None
    if geometry is None or geometry.is_empty or geometry.geom_type not in wanted:
        raise LinkwaysError(f"draw a {shape} on the map, or give its corners as longitude and latitude")
    corners = shapely.get_coordinates(geometry)
    if len(corners) > _MOST_CORNERS:
        raise LinkwaysError(f"what was drawn has {len(corners):,} corners; draw it with at most {_MOST_CORNERS:,}")
    inside = (abs(corners[:, 0]) <= 360).all() and (abs(corners[:, 1]) <= 90).all()
    if not inside:
        raise LinkwaysError("what was drawn does not lie in the world; give longitude and latitude in degrees")
    return shapely.make_valid(geometry)


def _value(value: Any, kind: str) -> float | None:
    if kind in ("fence", "protect"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or (kind in ("road", "crossing") and number <= 0):
        what = "the resistance, a number above 0" if kind in ("road", "crossing") else "the class or value it becomes"
        raise LinkwaysError(f"a change of the kind {kind} needs {what}")
    return number


# --- applying edits ------------------------------------------------------------------


def apply_edits(study: Study, edits: Sequence[Edit], folder: Path) -> dict[str, Any]:
    """Return the study with the edits in it, as plain data; edited inputs are written into ``folder / "inputs"``.

    Raises:
        LinkwaysError: an edit that lies outside the data, a barrier that does not exist, or too many edits.
    """
    if not edits or len(edits) > _MOST_EDITS:
        raise LinkwaysError(f"give from 1 to {_MOST_EDITS} changes; {len(edits)} were given")
    data = study_on_its_own(study)
    for name in dict.fromkeys(edit.input for edit in edits if edit.kind == "restore"):
        chosen = [edit for edit in edits if edit.kind == "restore" and edit.input == name]
        _put_file(data, study, name, folder, ".tif", _restored(study, name, chosen))
    for name in dict.fromkeys(edit.input for edit in edits if edit.kind in ("protect", "remove")):
        frame = input_layer(study, name)
        frame = _without(frame, [e for e in edits if e.kind == "remove" and e.input == name], name)
        frame = _with_areas(frame, [e for e in edits if e.kind == "protect" and e.input == name])
        _put_file(data, study, name, folder, ".parquet", frame)
    # crossings come last, over roads and fences that were drawn
    burnt: dict[str, str] = {}
    for rule, kinds in (("max", ("road", "fence")), ("replace", ("crossing",))):
        for name in dict.fromkeys(edit.input for edit in edits if edit.kind in kinds):
            chosen = [edit for edit in edits if edit.kind in kinds and edit.input == name]
            burnt[name] = _burn(data, burnt.get(name, name), chosen, rule, folder)
    return data


def study_on_its_own(study: Study) -> dict[str, Any]:
    """The study as plain data with the paths of its inputs in full, so that it can lie anywhere."""
    return {**study.data, "inputs": _located(study)}


def _located(study: Study) -> dict[str, Any]:
    """The inputs with their paths in full, since the edited study lies elsewhere."""
    inputs = {}
    for name, item in (study.data.get("inputs") or {}).items():
        own = study.inputs.get(name)
        is_path = own is not None and own.origin == "path"
        inputs[name] = {**item, "path": str((study.folder / str(item["path"])).resolve())} if is_path else dict(item)
    return inputs


def _read(study: Study, name: str) -> Any:
    from tempfile import TemporaryDirectory

    from linkways.studies.inputs import open_header, read_input

    item = study.inputs[name]
    header = open_header(item, study.folder, _kind_of(study, name))
    with TemporaryDirectory() as folder:
        return read_input(item, header, Path(folder))


def _put_file(data: dict[str, Any], study: Study, name: str, folder: Path, ending: str, value: Any) -> None:
    from linkways.spatial import write_raster, write_vectors

    file = folder / "inputs" / f"{name}{ending}"
    file.parent.mkdir(parents=True, exist_ok=True)
    (write_raster if ending == ".tif" else write_vectors)(value, file)
    item = data["inputs"][name]
    how = {key: item[key] for key in ("kind", "classes", "align", "rule", "simulated", "licence") if key in item}
    source = study.inputs[name].source or study.inputs[name].value
    told = source if isinstance(source, str) else name
    data["inputs"] = {**data["inputs"], name: {"path": str(file), **how, "source": f"{told}, changed by this scenario"}}


def _restored(study: Study, name: str, edits: Sequence[Edit]) -> xr.DataArray:
    """The raster with the cells whose centre lies in what was drawn (at least the cell under it) set anew."""
    from linkways.spatial import rasterize

    raster = _read(study, name)
    classes = bool(raster.attrs.get("classes") or study.inputs[name].classes)
    values = raster.values.astype("float64").copy()
    for edit in edits:
        frame = _frame([edit]).to_crs(raster.rio.crs)
        inside = rasterize(frame, raster, all_touched=False).values > 0
        if not inside.any():
            inside = rasterize(frame, raster, all_touched=True).values > 0
        if not inside.any():
            raise LinkwaysError(f"what was drawn to restore lies outside the input {name}; draw it inside the map")
        values[inside] = edit.value
    out: xr.DataArray = raster.copy(data=values)
    out.attrs = {**raster.attrs, **({"classes": True} if classes else {})}
    return out


def _without(frame: gpd.GeoDataFrame, edits: Sequence[Edit], name: str) -> gpd.GeoDataFrame:
    rows = sorted({row for edit in edits for row in edit.rows})
    if rows and rows[-1] >= len(frame):
        raise LinkwaysError(f"the input {name} has {len(frame)} features, none with the number {rows[-1]}")
    if rows and len(rows) == len(frame):
        raise LinkwaysError(f"all features of {name} would be removed; leave at least one")
    return frame.drop(frame.index[rows]).reset_index(drop=True) if rows else frame


def _with_areas(frame: gpd.GeoDataFrame, edits: Sequence[Edit]) -> gpd.GeoDataFrame:
    """The layer with areas added; what a new area's other fields say is what most areas of the layer say."""
    if not edits:
        return frame
    import geopandas as gpd
    import pandas as pd

    usual = {
        name: frame[name].mode().iloc[0] for name in frame.columns.drop(frame.geometry.name) if frame[name].count()
    }
    shapes = _frame(edits).to_crs(frame.crs).geometry
    rows = [{**usual, **{n: "drawn in this scenario" for n in ("name", "NAME") if n in usual}} for _ in edits]
    added = gpd.GeoDataFrame(rows, geometry=list(shapes), crs=frame.crs)
    if frame.geometry.name != "geometry":
        added = added.rename_geometry(frame.geometry.name)
    out = pd.concat([frame, added], ignore_index=True)
    return gpd.GeoDataFrame(out, geometry=frame.geometry.name, crs=frame.crs)


def _burn(data: dict[str, Any], target: str, edits: Sequence[Edit], rule: str, folder: Path) -> str:
    """Put a step after the resistance that burns the lines in and let all use it instead; return the id of the step."""
    from linkways.spatial import write_vectors

    name = "scenario_barriers" if rule == "max" else "scenario_crossings"
    taken = {*data["inputs"], *(step.get("id") for step in data["steps"])}
    id = next(one for one in (name, *(f"{name}_{n}" for n in range(2, 100))) if one not in taken)
    features = f"{id}_lines"
    frame = _frame(edits).assign(resistance=[math.nan if e.value is None else e.value for e in edits])
    file = folder / "inputs" / f"{features}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_vectors(frame, file)
    drawn = {"path": str(file), "source": "Drawn for this scenario", "licence": "CC0-1.0"}
    data["inputs"] = {**data["inputs"], features: drawn}
    step = {
        "id": id,
        "method": "corridors.resistance",
        "inputs": {"layers": [target], "overlays": [features]},
        "parameters": {"overlay_rule": rule},
    }
    names = (target, f"{target}.resistance")
    steps = [{**one, "inputs": _rewired(one.get("inputs") or {}, names, id)} for one in data["steps"]]
    after = next((n for n, one in enumerate(steps) if one["id"] == target), -1)
    data["steps"] = [*steps[: after + 1], step, *steps[after + 1 :]]
    return id


def _rewired(inputs: Mapping[str, Any], names: Sequence[str], to: str) -> dict[str, Any]:
    def wired(value: Any) -> Any:
        if isinstance(value, list):
            return [wired(one) for one in value]
        return to if value in names else value

    return {own: wired(value) for own, value in inputs.items()}


def _frame(edits: Sequence[Edit]) -> gpd.GeoDataFrame:
    import geopandas as gpd

    return gpd.GeoDataFrame({"kind": [e.kind for e in edits]}, geometry=[e.geometry for e in edits], crs="EPSG:4326")


def _plain(code: Any) -> float | int:
    value = float(code)
    return int(value) if value.is_integer() else value
