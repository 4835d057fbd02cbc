"""The layers of a run as a static STAC: a collection with one item for each layer."""

from typing import Any

from fastapi import APIRouter

from linkways.web.layers import RunLayer, layer_of, layers_of
from linkways.web.pages import PageData
from linkways.web.problems import NotThere
from linkways.web.site import TheSite
from linkways.web.tiles import bounds_in_degrees

router = APIRouter(tags=["STAC"])

_VERSION = "1.1.0"
_MEDIA = {
    "raster": "image/tiff; application=geotiff; profile=cloud-optimized",
    "vector": "application/vnd.apache.parquet",
}


@router.get("/stac/{id}/collection.json")
def stac_collection(id: str, site: TheSite) -> PageData:
    """A run as a STAC collection."""
    run = site.shelf.run(id)
    placed = [(layer, bounds_in_degrees(layer)) for layer in layers_of(run)]
    boxes = [box for _, box in placed if box is not None]
    if not boxes:
        raise NotThere(f"the run {id} has no layers on the map")
    whole = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    licences = sorted({str(item["licence"]) for item in run.record["inputs"] if item.get("licence")})
    return {
        "type": "Collection",
        "stac_version": _VERSION,
        "id": f"run-{id}",
        "title": run.record["title"],
        "description": run.record["description"] or run.record["title"],
        "license": "other",
        "extent": {
            "spatial": {"bbox": [whole, *[list(box) for box in boxes]] if len(boxes) > 1 else [whole]},
            "temporal": {"interval": [[run.record["started"], run.record["finished"]]]},
        },
        "summaries": {"linkways:input_licences": licences} if licences else {},
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            *(
                {"rel": "item", "href": f"./{layer.name}.json", "type": "application/geo+json", "title": layer.title}
                for layer, box in placed
                if box is not None
            ),
        ],
    }


@router.get("/stac/{id}/{name}.json")
def stac_item(id: str, name: str, site: TheSite) -> PageData:
    """A layer of a run as a STAC item."""
    run = site.shelf.run(id)
    layer = layer_of(run, name)
    box = bounds_in_degrees(layer)
    if box is None:
        raise NotThere(f"the layer {name} is empty")
    return _item(id, run.record, layer, box)


def _item(id: str, record: dict[str, Any], layer: RunLayer, box: tuple[float, float, float, float]) -> PageData:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": _VERSION,
        "id": f"{id}-{layer.name}",
        "collection": f"run-{id}",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": list(box),
        "properties": {
            "datetime": record["finished"],
            "title": layer.title,
            "description": layer.doc or layer.title,
            "linkways:unit": layer.unit,
            "linkways:simulated": layer.simulated,
        },
        "links": [
            {"rel": "root", "href": "./collection.json", "type": "application/json"},
            {"rel": "parent", "href": "./collection.json", "type": "application/json"},
            {"rel": "collection", "href": "./collection.json", "type": "application/json"},
        ],
        "assets": {
            "data": {
                "href": f"/runs/{id}/files/{layer.href}",
                "type": _MEDIA[layer.kind],
                "title": layer.title,
                "roles": ["data"],
            }
        },
    }
