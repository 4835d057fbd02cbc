"""The layers of a run for maps: what there is, tiles, features, values."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response

from linkways.web.layers import RunLayer, features, layer_of, layers_of, look_of, maps_of, value_at
from linkways.web.problems import NotThere
from linkways.web.site import Site, TheSite
from linkways.web.tiles import bounds_in_degrees, raster_tile
from linkways.web.vector_tiles import attributes_of, is_large, pmtiles_of

router = APIRouter(tags=["layers"])

_KEPT = {"cache-control": "private, max-age=86400"}
"""Addresses of tiles and features carry the moment their file was written."""


@router.get("/runs/{id}/layers.json")
def layers(id: str, site: TheSite) -> dict[str, Any]:
    """The layers of a run, each with legend, bounds and where its tiles or features are, and the maps of the report."""
    run = site.shelf.run(id)
    return {"run": id, "maps": maps_of(run), "layers": [layer_data(id, one) for one in layers_of(run)]}


def layer_data(run: str, layer: RunLayer) -> dict[str, Any]:
    """One layer as the page's map takes it."""
    look = look_of(layer)
    base = f"/runs/{run}/layers/{layer.name}"
    data = {
        "name": layer.name,
        "title": layer.title,
        "doc": layer.doc,
        "unit": layer.unit,
        "kind": layer.kind,
        "computed": layer.computed,
        "simulated": layer.simulated,
        "bounds": bounds_in_degrees(layer),
        "legend": look.legend,
        "column": look.column,
        "label": layer.wishes.get("label"),
        "download": f"/runs/{run}/files/{layer.href}",
    }
    if layer.kind == "raster":
        data["tiles"] = f"{base}/{{z}}/{{x}}/{{y}}.png?v={layer.changed}"
        data["value"] = f"{base}/value"
    else:
        data["features"] = f"{base}.geojson?v={layer.changed}"
        if is_large(layer):
            data["pmtiles"] = f"{base}.pmtiles?v={layer.changed}"
            data["feature"] = f"{base}/features"
    return data


@router.get("/runs/{id}/layers/{name}.geojson", response_class=Response)
def layer_features(id: str, name: str, site: TheSite) -> Response:
    """A layer of features as GeoJSON in degrees."""
    layer = _features_of(site, id, name)
    return Response(features(layer), media_type="application/geo+json", headers=_KEPT)


@router.get("/runs/{id}/layers/{name}.pmtiles", response_class=Response)
def layer_archive(id: str, name: str, site: TheSite) -> Response:
    """A large layer of features as vector tiles in one PMTiles archive, of which ranges of bytes may be asked for."""
    layer = _features_of(site, id, name)
    file = pmtiles_of(layer, site.settings.tiles_folder(id))
    # ranges count bytes of the file as it is: nothing may pack it on its way
    headers = {**_KEPT, "content-encoding": "identity"}
    return FileResponse(file, media_type="application/vnd.pmtiles", headers=headers)


@router.get("/runs/{id}/layers/{name}/features/{row}")
def layer_feature(id: str, name: str, row: int, site: TheSite) -> dict[str, Any]:
    """All columns of one feature, by its row in the layer (``_row``)."""
    layer = _features_of(site, id, name)
    return {"layer": name, "row": row, "properties": attributes_of(layer, row)}


def _features_of(site: Site, id: str, name: str) -> RunLayer:
    layer = layer_of(site.shelf.run(id), name)
    if layer.kind != "vector":
        raise NotThere(f"{name} is a raster; ask for its tiles")
    return layer


@router.get("/runs/{id}/layers/{name}/value")
def layer_value(
    id: str,
    name: str,
    site: TheSite,
    lon: Annotated[float, Query(ge=-540, le=540)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> dict[str, Any]:
    """The value of a raster layer at a place."""
    layer = layer_of(site.shelf.run(id), name)
    return {"layer": name, "lon": lon, "lat": lat, **value_at(layer, (lon + 180) % 360 - 180, lat)}


@router.get("/runs/{id}/layers/{name}/{z}/{x}/{y}.png", response_class=Response)
def layer_tile(id: str, name: str, z: int, x: int, y: int, site: TheSite) -> Response:
    """A tile of a raster layer, Web Mercator, 256 by 256."""
    layer = layer_of(site.shelf.run(id), name)
    if layer.kind != "raster":
        raise NotThere(f"{name} holds features; ask for its GeoJSON")
    return Response(raster_tile(layer, z, x, y), media_type="image/png", headers=_KEPT)
