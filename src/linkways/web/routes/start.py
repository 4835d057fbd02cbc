"""The start page (map, search and facets), my work, and about the data."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse

from linkways.errors import LinkwaysError
from linkways.web.accounts import refuse_anyone
from linkways.web.languages import LANGUAGES, N_, script_words, spoken
from linkways.web.pages import ASSETS, PageData, page
from linkways.web.places import places_of
from linkways.web.problems import NotThere
from linkways.web.replication import read_box
from linkways.web.site import CurrentUser, Site, TheSite

router = APIRouter(tags=["pages"])

PER_PAGE = 20
MOST_OUTLINES = 500
"""Outlines of more solutions than this would cover each other on the map; their points are all there."""
_AT_ONCE = 1000
"""Hits of one search, the most that the catalogue gives."""
_SHOWN_FACETS = (
    *("realm", "study", "region", "species", "cmp-actions", "iucn-habitats", "iucn-threats"),
    *("gbf", "cms-goals", "scale", "block-category", "country", "keyword"),
)


def asked_facets(request: Request) -> dict[str, list[str]]:
    """The codes that are asked for, by facet, from ``facet.NAME=CODE``."""
    chosen: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        if key.startswith("facet.") and value:
            chosen.setdefault(key.removeprefix("facet."), []).append(value)
    return chosen


@page(router, "/", "start.html")
def start(
    request: Request,
    site: TheSite,
    q: Annotated[str, Query(max_length=300, description="words and questions about numbers")] = "",
    bbox: Annotated[str, Query(max_length=100, description="west,south,east,north in degrees")] = "",
    order: Annotated[str, Query(max_length=20)] = "relevance",
    at: Annotated[int, Query(ge=1, le=10_000, alias="page")] = 1,
) -> PageData:
    """Find solutions: words, numbers, facets with counts, and a box on the map."""
    from linkways.catalogue import FACETS

    asked = asked_facets(request)
    found = site.store.search(
        q,
        facets=asked,
        area=read_box(bbox) if bbox else None,
        statuses=["published"],
        order=order,  # type: ignore[arg-type]
        offset=(at - 1) * PER_PAGE,
        limit=PER_PAGE,
    )
    facets = [
        {
            "name": name,
            "title": FACETS[name],
            "open": name in asked or name in ("realm", "study"),
            "codes": [vars(one) for one in found.facets[name][:12]],
        }
        for name in _SHOWN_FACETS
        if name in found.facets
    ]
    return {
        "q": q,
        "bbox": bbox,
        "order": order,
        "page": at,
        "pages": max(1, -(-found.total // PER_PAGE)),
        "total": found.total,
        "numbers": [str(one) for one in found.numbers],
        "hits": [{**vars(hit), "answers": list(hit.answers), **_short(site, hit.id)} for hit in found.hits],
        "facets": facets,
        "chosen": asked,
    }


def _short(site: Site, id: str) -> dict[str, Any]:
    record = site.records.get(id)
    if spoken() in record.translations:
        from linkways.catalogue import in_language

        record = in_language(record, spoken())
    return {
        "title": record.title,
        "summary": record.summary,
        "place": record.place.name,
        "language": record.language,
        "species": [one.name or one.scientific_name for one in record.species],
        "realms": [one.label for one in record.classifications.root.get("realm", ())],
        "runs": bool(record.study),
        "simulated": simulated_inputs(record.study),
    }


def simulated_inputs(study: dict[str, Any] | None) -> list[str]:
    """The inputs of a study that are simulated."""
    inputs = (study or {}).get("inputs") or {}
    return [name for name, item in inputs.items() if isinstance(item, dict) and item.get("simulated")]


@router.get("/places.geojson")
def places(
    request: Request,
    site: TheSite,
    q: Annotated[str, Query(max_length=300)] = "",
    bbox: Annotated[str, Query(max_length=100)] = "",
) -> dict[str, Any]:
    """Where all solutions are that a search finds: GeoJSON points, and the outlines too when they are few."""
    ids: list[str] = []
    while True:
        found = site.store.search(
            q,
            facets=asked_facets(request),
            area=read_box(bbox) if bbox else None,
            statuses=["published"],
            order="title",
            offset=len(ids),
            limit=_AT_ONCE,
        )
        ids += [hit.id for hit in found.hits]
        if len(ids) >= found.total or not found.hits:
            break
    return {
        "type": "FeatureCollection",
        "features": places_of(site.store, ids, outlines=found.total <= MOST_OUTLINES),
        "numberMatched": found.total,
    }


def place_features(site: Site, id: str) -> list[dict[str, Any]]:
    """The outline of a solution's place and a point in it."""
    shape = place_shape(site, id)
    if shape is None:
        return []
    import shapely

    record = site.records.get(id)
    point = shapely.get_coordinates(shape.representative_point())[0]
    about = {"id": id, "title": record.title, "place": record.place.name}
    return [
        {"type": "Feature", "properties": {**about, "part": "outline"}, "geometry": shapely.geometry.mapping(shape)},
        {
            "type": "Feature",
            "properties": {**about, "part": "point"},
            "geometry": {"type": "Point", "coordinates": [round(float(c), 4) for c in point]},
        },
    ]


def place_shape(site: Site, id: str) -> Any:
    """The geometry of a solution's place; None when it tells none."""
    import shapely

    place = site.records.get(id).place
    if place.geometry is not None:
        return shapely.geometry.shape(place.geometry)
    if place.bounds is None:
        return None
    west, south, east, north = place.bounds
    return shapely.box(west, south, east if east > west else east + 360.0, north)


@page(router, "/my", "my.html")
def my_work(site: TheSite, user: CurrentUser) -> PageData:
    """My runs, the solutions that I write, and what I am told of them."""
    refuse_anyone(user)
    names = site.names()
    written = site.desk.records_of(user.id)
    titles = {id: title for id, title, _ in written}
    return {
        "user": user.name,
        "runs": [one.data() for one in site.shelf.entries() if one.owner == user.id],
        "drafts": [
            {"id": id, "title": title, "status": status, "may_edit": site.may_edit(user, id)}
            for id, title, status in written
        ],
        "notices": [
            {
                **vars(one),
                "title": titles.get(one.solution, one.solution),
                "body": re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], found[1]), one.body),
            }
            for one in site.desk.notices(user.id)
        ],
    }


@page(router, "/about", "about.html")
def about(site: TheSite) -> PageData:
    """About the data: built-in layers, vocabularies and the base map, each with source and licence."""
    from linkways.catalogue import vocabularies
    from linkways.spatial import builtin_sources

    sources = []
    for source in builtin_sources():
        try:
            source.path()
            there = True
        except LinkwaysError:
            there = False
        kept = ("name", "title", "kind", "licence", "source", "citation", "package")
        sources.append({**{key: getattr(source, key) for key in kept}, "installed": there})
    schemes = [
        {"id": one.id, "title": one.title, "version": one.version, "publisher": one.publisher, "source": one.source,
         "licence": one.licence, "codes": len(one.labels)}
        for one in vocabularies().values()
    ]  # fmt: skip
    solutions = site.store.search("", statuses=["published"], limit=1000).hits
    simulated = [
        {"id": hit.id, "title": hit.title, "inputs": names}
        for hit in solutions
        if (names := simulated_inputs(site.records.get(hit.id).study))
    ]
    base = {"there": (ASSETS / "basemap" / "land.json").is_file(), "source": N_("Natural Earth, public domain")}
    return {"sources": sources, "vocabularies": schemes, "simulated": simulated, "basemap": base}


@router.get("/words/{language}.json", include_in_schema=False)
def words(language: str) -> JSONResponse:
    """What the scripts of pages say, in a language of the interface."""
    if language not in LANGUAGES:
        raise NotThere(f"the interface does not speak '{language[:20]}'")
    return JSONResponse(script_words(language), headers={"cache-control": "public, max-age=86400"})


@page(router, "/api", "api.html")
def api() -> PageData:
    """What programs can ask of this server."""
    return {
        "links": [
            {"href": "/openapi.json", "title": N_("OpenAPI description of every address")},
            {"href": "/ogc", "title": N_("OGC API: solutions and run layers as features, methods as processes")},
            {"href": "/ogc/processes", "title": N_("OGC API Processes: every method by its declaration")},
            {"href": "/ogc/collections", "title": N_("OGC API Features: the solutions, and the layers of runs")},
            {"href": "/index.json", "title": N_("Search of solutions as JSON; every other page likewise")},
        ]
    }
