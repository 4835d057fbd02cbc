"""OGC API: methods as processes (Part 1: Core), solutions and layers of runs as features (Part 1: Core, GeoJSON)."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request
from fastapi.responses import JSONResponse

from linkways.errors import LinkwaysError, nearest
from linkways.web.jobs import Job
from linkways.web.layers import features, layer_of, layers_of
from linkways.web.pages import PageData
from linkways.web.problems import Conflict, NotThere
from linkways.web.processes import process_description, process_study, process_summary
from linkways.web.replication import add_job, read_box, verdict, write_job_study
from linkways.web.routes.start import place_shape
from linkways.web.shelf import _iso
from linkways.web.site import CurrentUser, Site, TheSite, own_job


def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that an address does not have, as OGC API asks for (/req/core/query-param-unknown).

    Raises:
        LinkwaysError: there is one.
    """
    known = [one.alias for one in request.scope["route"].dependant.query_params]
    for name in request.query_params:
        if name not in known:
            raise LinkwaysError(f"there is no parameter '{name[:40]}' here{nearest(name, known)}")


router = APIRouter(prefix="/ogc", tags=["OGC API"], dependencies=[Depends(refuse_unknown_parameters)])

_CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
_CONFORMS = [
    "http://www.opengis.net/spec/ogcapi-common-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-common-2/1.0/conf/collections",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/ogc-process-description",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/json",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/job-list",
    "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/dismiss",
]
_MOST_ITEMS = 10_000
_RUNS_LISTED = 50
_MOMENT = r"\d{4}-\d\d-\d\d([Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d))?"
_MOMENTS = rf"^({_MOMENT}|(\.\.|{_MOMENT})?/(\.\.|{_MOMENT})?)?$"
"""A moment or an interval, open ends as .. or nothing (RFC 3339)."""


def _link(request: Request, path: str, rel: str, kind: str = "application/json", title: str = "") -> dict[str, str]:
    out = {"href": str(request.base_url).rstrip("/") + path, "rel": rel, "type": kind}
    return {**out, "title": title} if title else out


@router.get("")
def landing(request: Request) -> PageData:
    """The landing page of the OGC API."""
    return {
        "title": "Linkways",
        "description": "Solutions for ecological connectivity, their runs, and the methods behind them",
        "links": [
            _link(request, "/ogc", "self"),
            _link(request, "/openapi.json", "service-desc", "application/vnd.oai.openapi+json;version=3.1"),
            _link(request, "/api", "service-doc", "text/html"),
            _link(request, "/ogc/conformance", "conformance"),
            _link(request, "/ogc/collections", "data"),
            _link(request, "/ogc/processes", "http://www.opengis.net/def/rel/ogc/1.0/processes"),
            _link(request, "/ogc/jobs", "http://www.opengis.net/def/rel/ogc/1.0/job-list"),
        ],
    }


@router.get("/conformance")
def conformance() -> PageData:
    """The parts of the standards that are met."""
    return {"conformsTo": _CONFORMS}


# --- features ------------------------------------------------------------------------


@router.get("/collections")
def collections(request: Request, site: TheSite) -> PageData:
    """The collections: the solutions, and the layers of features of the newest runs."""
    found = [_collection(request, "solutions", "Solutions", "Published solutions", None)]
    finished = [one for one in site.shelf.entries() if one.state == "finished"][:_RUNS_LISTED]
    for entry in finished:
        try:
            layers = layers_of(site.shelf.run(entry.id))
        except LinkwaysError:
            continue
        found += [
            _collection(request, f"{entry.id}:{layer.name}", f"{entry.title}: {layer.title}", layer.doc, None)
            for layer in layers
            if layer.kind == "vector"
        ]
    return {"collections": found, "links": [_link(request, "/ogc/collections", "self")]}


@router.get("/collections/{id}")
def collection(request: Request, id: str, site: TheSite) -> PageData:
    """One collection."""
    from linkways.web.tiles import bounds_in_degrees

    if id == "solutions":
        return _collection(request, id, "Solutions", "Published solutions", None)
    run, layer = _of_run(site, id)
    entry = site.shelf.entry(run)
    return _collection(request, id, f"{entry.title}: {layer.title}", layer.doc, bounds_in_degrees(layer))


def _collection(request: Request, id: str, title: str, doc: str, bounds: Any) -> PageData:
    box = list(bounds) if bounds else [-180.0, -90.0, 180.0, 90.0]
    return {
        "id": id,
        "title": title,
        "description": doc,
        "itemType": "feature",
        "crs": [_CRS84],
        "extent": {"spatial": {"bbox": [box], "crs": _CRS84}},
        "links": [
            _link(request, f"/ogc/collections/{id}", "self"),
            _link(request, f"/ogc/collections/{id}/items", "items", "application/geo+json"),
        ],
    }


@router.get("/collections/{id}/items")
def items(
    request: Request,
    id: str,
    site: TheSite,
    bbox: Annotated[str, Query(max_length=200)] = "",
    datetime: Annotated[
        str, Query(max_length=100, pattern=_MOMENTS, description="matches all: none tells a time")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=_MOST_ITEMS)] = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> JSONResponse:
    """The features of a collection, within a box in degrees when one is given."""
    del datetime  # features without a time match every interval (OGC 17-069r4, 7.15.4)
    import shapely

    found = _features(site, id)
    if bbox:
        west, south, east, north = read_box(bbox)
        sides = [(west, east)] if west < east else [(west, 180.0), (-180.0, east)]
        area = shapely.union_all([shapely.box(a, south, b, north) for a, b in sides])
        found = [one for one in found if _meets(one, area)]
    chosen = found[offset : offset + limit]
    here = f"/ogc/collections/{id}/items"
    links = [
        _link(request, here, "self", "application/geo+json"),
        _link(request, f"/ogc/collections/{id}", "collection"),
    ]
    if offset + limit < len(found):
        following = f"{here}?limit={limit}&offset={offset + limit}" + (f"&bbox={bbox}" if bbox else "")
        links.append(_link(request, following, "next", "application/geo+json"))
    data = {
        "type": "FeatureCollection",
        "features": chosen,
        "numberMatched": len(found),
        "numberReturned": len(chosen),
        "links": links,
    }
    return JSONResponse(data, media_type="application/geo+json")


@router.get("/collections/{id}/items/{feature}")
def item(request: Request, id: str, feature: str, site: TheSite) -> JSONResponse:
    """One feature."""
    for one in _features(site, id):
        if str(one["id"]) == feature:
            links = [_link(request, f"/ogc/collections/{id}/items/{feature}", "self", "application/geo+json")]
            return JSONResponse({**one, "links": links}, media_type="application/geo+json")
    raise NotThere(f"the collection {id[:80]} has no feature '{feature[:80]}'")


def _features(site: Site, id: str) -> list[dict[str, Any]]:
    if id == "solutions":
        return _solutions(site)
    _, layer = _of_run(site, id)
    collected = json.loads(features(layer))["features"]
    return [{**one, "id": number} for number, one in enumerate(collected)]


def _solutions(site: Site) -> list[dict[str, Any]]:
    import shapely

    found = []
    for hit in site.store.search("", statuses=["published"], limit=1000).hits:
        record, shape = site.records.get(hit.id), place_shape(site, hit.id)
        properties = {
            "title": record.title,
            "summary": record.summary,
            "place": record.place.name,
            "species": ", ".join(one.scientific_name for one in record.species),
            "countries": ", ".join(record.place.countries),
            "runs": bool(record.study),
            "page": f"/solutions/{hit.id}",
        }
        geometry = None if shape is None else shapely.geometry.mapping(shape)
        found.append({"type": "Feature", "id": hit.id, "properties": properties, "geometry": geometry})
    return found


def _of_run(site: Site, id: str) -> tuple[str, Any]:
    run, sign, name = id.partition(":")
    if not sign:
        raise NotThere(f"there is no collection '{id[:80]}'")
    layer = layer_of(site.shelf.run(run), name)
    if layer.kind != "vector":
        raise NotThere(f"{name} is a raster and no collection of features")
    return run, layer


def _meets(feature: dict[str, Any], area: Any) -> bool:
    import shapely

    return feature["geometry"] is not None and bool(
        shapely.intersects(shapely.geometry.shape(feature["geometry"]), area)
    )


# --- processes -----------------------------------------------------------------------


@router.get("/processes")
def processes(request: Request) -> PageData:
    """Every method as a process."""
    from linkways.method import methods

    found = [
        {**process_summary(method), "links": [_link(request, f"/ogc/processes/{method.id}", "self")]}
        for method in methods().values()
    ]
    return {"processes": found, "links": [_link(request, "/ogc/processes", "self")]}


@router.get("/processes/{id}")
def process(request: Request, id: str) -> PageData:
    """One method as a process: its inputs, parameters and outputs with their schemas."""
    links = [
        _link(request, f"/ogc/processes/{id}", "self"),
        _link(request, f"/ogc/processes/{id}/execution", "http://www.opengis.net/def/rel/ogc/1.0/execute"),
    ]
    return {**process_description(_method(id)), "links": links}


def _method(id: str) -> Any:
    from linkways.method import find_method

    try:
        return find_method(id)
    except LinkwaysError as error:
        raise NotThere(str(error)) from None


@router.post("/processes/{id}/execution", status_code=201)
def execute(
    request: Request, id: str, site: TheSite, user: CurrentUser, asked: Annotated[dict[str, Any], Body()]
) -> JSONResponse:
    """Run a method as a job. Inputs are GeoJSON or rows by value, a built-in layer over a box, or a layer of a run."""
    method = _method(id)
    given = asked.get("inputs", {})
    if not isinstance(given, dict):
        raise LinkwaysError("inputs must be an object of names and values")
    job = add_job(site.settings, site.jobs, user, {"linkways": 1, "steps": []}, kind="process", title=f"Process {id}")
    folder = site.settings.job_folder(job.id)
    try:
        study = process_study(method, given, folder, site.shelf)
        write_job_study(folder, {**study, "title": f"Process {id}"})
        problems = verdict(folder).problems
        if problems:
            raise LinkwaysError("; ".join(problems))
        site.jobs.queue(job.id, site.settings.most_waiting)
    except LinkwaysError:
        site.jobs.remove(job.id)
        raise
    headers = {"location": str(request.base_url).rstrip("/") + f"/ogc/jobs/{job.id}"}
    return JSONResponse(_status(request, site.jobs.get(job.id)), 201, headers=headers)


@router.get("/jobs")
def job_list(request: Request, site: TheSite, user: CurrentUser) -> PageData:
    """The jobs of this user."""
    found = [_status(request, job) for job in site.jobs.select(owner=user.id)]
    return {"jobs": found, "links": [_link(request, "/ogc/jobs", "self")]}


@router.get("/jobs/{id}")
def job_status(request: Request, id: str, site: TheSite) -> PageData:
    """How a job stands."""
    return _status(request, _job_seen(site, id))


def _job_seen(site: Site, id: str) -> Job:
    site.shelf.entry(id)
    return site.jobs.get(id)


@router.delete("/jobs/{id}")
def dismiss(request: Request, id: str, site: TheSite, user: CurrentUser) -> PageData:
    """Cancel a job that is waiting or at work."""
    own_job(site, user, id)
    site.jobs.cancel(id)
    return _status(request, site.jobs.get(id))


@router.get("/jobs/{id}/results")
def results(request: Request, id: str, site: TheSite) -> PageData:
    """What a finished job made: numbers by value, everything else by link."""
    job = _job_seen(site, id)
    if job.state != "finished":
        told = job.sentence if job.state == "failed" else f"it is {job.state}"
        raise Conflict(f"the job {id} has no results: {told}")
    out: PageData = {}
    for step in site.shelf.record(id)["steps"]:
        for output in step["outputs"]:
            if output["file"]:
                out[output["name"]] = {
                    **_link(request, f"/runs/{id}/files/{output['file']}", "item", _media(output["file"]))
                }
            else:
                out[output["name"]] = {"value": output["value"], "unit": output["unit"]}
    return out


_STATES = {
    "draft": "accepted",
    "queued": "accepted",
    "running": "running",
    "finished": "successful",
    "failed": "failed",
    "cancelled": "dismissed",
}


def _status(request: Request, job: Job) -> PageData:
    moments = {"created": job.created, "started": job.started, "finished": job.ended}
    links = [_link(request, f"/ogc/jobs/{job.id}", "self"), _link(request, f"/runs/{job.id}", "alternate", "text/html")]
    if job.state == "finished":
        links.append(_link(request, f"/ogc/jobs/{job.id}/results", "http://www.opengis.net/def/rel/ogc/1.0/results"))
    return {
        "jobID": job.id,
        "type": "process",
        "status": _STATES[job.state],
        "message": job.sentence or job.title,
        "progress": 100 if job.state == "finished" else round(100 * float(job.progress.get("done", 0.0))),
        **{name: _iso(moment) for name, moment in moments.items() if moment is not None},
        "links": links,
    }


def _media(file: str) -> str:
    kinds = {
        ".tif": "image/tiff; application=geotiff",
        ".parquet": "application/vnd.apache.parquet",
        ".csv": "text/csv",
    }
    return next((kind for ending, kind in kinds.items() if file.endswith(ending)), "application/octet-stream")
