"""The whole catalogue as a static site: a folder of plain pages that works from a disk, without script or network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from linkways.catalogue._exports import catalogue_text
from linkways.catalogue._facets import FACETS, facet_label, facets_of
from linkways.catalogue._files import record_text
from linkways.catalogue._geometry import geometry_of_place
from linkways.catalogue._record import BlockReference, BuildingBlock, Solution
from linkways.catalogue._store import figure_words
from linkways.catalogue._vocabulary import vocabularies
from linkways.errors import LinkwaysError

__all__ = ["write_site"]

_BROWSED = ("realm", "region", "country", "species", "iucn-habitats", "iucn-threats", "gbf", "block-category", "study")
MARK = ".linkways-site"


def write_site(records: Iterable[Solution], folder: str | Path, *, title: str = "Solutions for connectivity") -> Path:
    """Write the catalogue as a static site and return its first page.

    Every solution has a page with its JSON and YAML beside it, every building block a place on one page, and pages list
    the solutions by realm, region, country, species, habitat, threat, target, block and study. The whole catalogue lies
    there as JSON, GeoJSON and CSV. A site that was written before is replaced as a whole.

    Raises:
        LinkwaysError: the folder holds something else, or cannot be written to.
    """
    target = Path(folder)
    if target.exists() and not (target / MARK).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise LinkwaysError(f"{target} holds something else than a site of Linkways; give a new folder")
    listed = sorted(records, key=lambda record: record.title.casefold())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".linkways-") as aside:
            made = Path(aside) / "site"
            _write(listed, made, title)
            if target.exists():
                shutil.move(target, Path(aside) / "before")
            shutil.move(made, target)
    except OSError as error:
        raise LinkwaysError(f"the site cannot be written to {target} ({error.strerror or error})") from None
    return target / "index.html"


def _write(records: list[Solution], folder: Path, title: str) -> None:
    (folder / "solutions").mkdir(parents=True)
    (folder / "by").mkdir()
    pages = _environment(title)
    browsed = _browsed(records)
    _page(
        folder / "index.html", pages, "index.html", root="", records=records, browsed=browsed, shapes=_shapes(records)
    )
    for facet, codes in browsed.items():
        given: dict[str, Any] = {"facet": FACETS[facet], "codes": codes, "records": {one.id: one for one in records}}
        _page(folder / "by" / f"{facet}.html", pages, "facet.html", root="../", **given)
    for record in records:
        given = {
            "record": record,
            "codes": _codes(record),
            "blocks": [_block(b) for b in record.building_blocks],
        }
        shapes = _shapes([record])
        _page(folder / "solutions" / f"{record.id}.html", pages, "solution.html", root="../", shapes=shapes, **given)
        (folder / "solutions" / f"{record.id}.json").write_text(record_text(record, "json"), encoding="utf-8")
        (folder / "solutions" / f"{record.id}.yaml").write_text(record_text(record, "yaml"), encoding="utf-8")
    blocks = [(record, block) for record in records for block in record.blocks()]
    users = _users(records)
    _page(folder / "blocks.html", pages, "blocks.html", root="", blocks=blocks, users=users)
    for form in ("json", "geojson", "csv"):
        (folder / f"catalogue.{form}").write_text(catalogue_text(records, form), encoding="utf-8", newline="")
    (folder / "style.css").write_text(_template_text("site.css"), encoding="utf-8")
    (folder / MARK).write_text("A site that Linkways wrote; it may replace it.\n", encoding="utf-8")


def _environment(title: str) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    pages = Environment(
        loader=PackageLoader("linkways.catalogue", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.globals.update(site=title, facets=FACETS, outlines=len(_land()) > 0)
    pages.filters.update(paragraphs=_paragraphs, figure=figure_words)
    return pages


def _template_text(name: str) -> str:
    from importlib.resources import files

    return files("linkways.catalogue").joinpath(f"templates/{name}").read_text(encoding="utf-8")


def _page(path: Path, pages: Any, template: str, /, **given: Any) -> None:
    path.write_text(pages.get_template(template).render(**given), encoding="utf-8")


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in text.split("\n") if part.strip()]


def _browsed(records: list[Solution]) -> dict[str, list[tuple[str, str, list[str]]]]:
    """For each facet that is browsed: the codes in use with labels and the solutions that have them."""
    found: dict[str, dict[str, list[str]]] = {facet: {} for facet in _BROWSED}
    for record in records:
        for facet, code in facets_of(record):
            if facet in found:
                found[facet].setdefault(code, []).append(record.id)
    return {
        facet: sorted(((code, facet_label(facet, code), ids) for code, ids in codes.items()), key=lambda one: one[1])
        for facet, codes in found.items()
        if codes
    }


def _codes(record: Solution) -> list[tuple[str, str, list[tuple[str, str]]]]:
    known = vocabularies()
    return [
        (known[scheme].title, known[scheme].version, [(code.code, code.label) for code in codes])
        for scheme, codes in record.classifications.root.items()
    ]


def _block(block: BuildingBlock | BlockReference) -> dict[str, Any]:
    known = vocabularies()
    if isinstance(block, BlockReference):
        owner, _, id = block.block.partition("/")
        return {"block": block, "id": id, "taken_from": owner, "details": []}
    details = [
        ("Category", known["block-category"].labels.get(block.category or "", "")),
        ("Phase", known["block-phase"].labels.get(block.phase or "", "")),
        ("Scale", known["scale"].labels.get(block.scale or "", "")),
        ("Actions", "; ".join(f"{code} {known['cmp-actions'].labels[code]}" for code in block.actions)),
        ("Steps of the study", ", ".join(block.steps)),
    ]
    return {"block": block, "id": block.id, "taken_from": "", "details": [one for one in details if one[1]]}


def _users(records: list[Solution]) -> Mapping[str, list[Solution]]:
    found: dict[str, list[Solution]] = {}
    for record in records:
        for block in record.building_blocks:
            if isinstance(block, BlockReference):
                found.setdefault(block.block, []).append(record)
    return found


def _shapes(records: list[Solution]) -> dict[str, Any]:
    """A small map as SVG: countries, and where the solutions are, in degrees with north up."""
    import shapely

    placed = [(record, geometry_of_place(record.place.geometry, record.place.bounds)) for record in records]
    shapes = [(record, shape) for record, shape in placed if shape is not None]
    if not shapes:
        return {}
    view = (-180.0, -60.0, 180.0, 84.0) if len(records) > 1 else _around(shapely.total_bounds([s for _, s in shapes]))
    west, south, east, north = view
    tolerance = (east - west) / 700
    land = shapely.simplify(shapely.clip_by_rect(_land(), west, south, east, north), tolerance)
    return {
        "view": f"{west:.3f} {-north:.3f} {east - west:.3f} {north - south:.3f}",
        "stroke": (east - west) / 500,
        "land": "".join(_path(country) for country in land),
        "places": [
            (record, _path(shape.buffer(0) if shape.area else shape.buffer(tolerance * 3))) for record, shape in shapes
        ],
        "points": [(record, shape.centroid.x, -shape.centroid.y) for record, shape in shapes],
    }


def _around(bounds: Any) -> tuple[float, float, float, float]:
    """Bounds with room around, twice as wide as high, within the globe."""
    west, south, east, north = (float(side) for side in bounds)
    half = max((east - west) / 2, north - south, 1.0) * 1.6
    x, y = (west + east) / 2, (south + north) / 2
    return max(x - half, -180.0), max(y - half / 2, -90.0), min(x + half, 180.0), min(y + half / 2, 90.0)


@cache
def _land() -> Any:
    """The outlines of countries as an array of shapes, where that data is installed; else none."""
    import numpy as np

    from linkways.spatial import builtin_sources, read_vectors

    for source in builtin_sources():
        if source.name == "natural-earth-countries":
            try:
                return read_vectors(source.path()).geometry.to_numpy()
            except (LinkwaysError, OSError):
                break
    return np.array([], dtype=object)


def _path(shape: Any) -> str:
    polygons = [part for part in getattr(shape, "geoms", (shape,)) if part.geom_type == "Polygon" and not part.is_empty]
    rings = [ring for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
    return "".join("M" + "L".join(f"{x:.2f} {-y:.2f}" for x, y in list(ring.coords)[:-1]) + "Z" for ring in rings)
