"""Comparing two runs: difference maps, and a table of what changed."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from linkways.web.comparison import compare, difference_at, difference_tile, shared_features, shared_layer
from linkways.web.feature_changes import changes_geojson
from linkways.web.pages import PageData, page
from linkways.web.site import Site, TheSite
from linkways.web.tiles import bounds_in_degrees

router = APIRouter(tags=["compare"])


@page(router, "/compare", "compare.html")
def compare_page(
    site: TheSite,
    before: Annotated[str, Query(max_length=100)] = "",
    after: Annotated[str, Query(max_length=100)] = "",
) -> PageData:
    """Two finished runs: change of every indicator, difference maps, and what was set otherwise."""
    runs = [one.data() for one in site.shelf.entries() if one.state == "finished"]
    data: PageData = {"runs": runs, "before": None, "after": None, "found": None}
    if before and after:
        old, new = site.shelf.run(before), site.shelf.run(after)
        found = compare(old, new)
        for row in found["layers"]:
            if row["subtractable"]:
                row |= _addresses(site, before, after, row["name"])
            if row["countable"]:
                pair = shared_features(old, new, row["name"])
                row["features"] = (
                    f"/compare/{before}/{after}/{row['name']}.geojson?v={pair[0].changed}-{pair[1].changed}"
                )
                row["bounds"] = bounds_in_degrees(pair[1]) or bounds_in_degrees(pair[0])
        data |= {
            "before": {**site.shelf.entry(before).data(), "seconds": old.record["seconds"]},
            "after": {**site.shelf.entry(after).data(), "seconds": new.record["seconds"]},
            "found": found,
        }
    return data


def _addresses(site: Site, before: str, after: str, name: str) -> dict[str, Any]:
    one, other = shared_layer(site.shelf.run(before), site.shelf.run(after), name)
    base = f"/compare/{before}/{after}/{name}"
    return {
        "tiles": f"{base}/{{z}}/{{x}}/{{y}}.png?v={one.changed}-{other.changed}",
        "value": f"{base}/value",
        "bounds": bounds_in_degrees(one),
    }


@router.get("/compare/{before}/{after}/{name}.geojson", response_class=Response)
def feature_differences(before: str, after: str, name: str, site: TheSite) -> Response:
    """The features that were added, removed or changed, as GeoJSON in degrees."""
    layers = shared_features(site.shelf.run(before), site.shelf.run(after), name)
    headers = {"cache-control": "private, max-age=86400"}
    return Response(changes_geojson(*layers), media_type="application/geo+json", headers=headers)


@router.get("/compare/{before}/{after}/{name}/value")
def value(
    before: str,
    after: str,
    name: str,
    site: TheSite,
    lon: Annotated[float, Query(ge=-540, le=540)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> dict[str, Any]:
    """Both values at a place, and the change."""
    layers = shared_layer(site.shelf.run(before), site.shelf.run(after), name)
    return difference_at(*layers, (lon + 180) % 360 - 180, lat)


@router.get("/compare/{before}/{after}/{name}/{z}/{x}/{y}.png", response_class=Response)
def tile(before: str, after: str, name: str, z: int, x: int, y: int, site: TheSite) -> Response:
    """A tile of the difference map, after minus before."""
    layers = shared_layer(site.shelf.run(before), site.shelf.run(after), name)
    headers = {"cache-control": "private, max-age=86400"}
    return Response(difference_tile(*layers, z, x, y), media_type="image/png", headers=headers)
