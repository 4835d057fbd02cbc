"""The pages of methods, made from their declarations."""

from typing import Any

from fastapi import APIRouter

from linkways.web.pages import PageData, page
from linkways.web.problems import NotThere
from linkways.web.site import Site, TheSite

router = APIRouter(tags=["methods"])


@page(router, "/methods", "methods.html")
def method_list() -> PageData:
    """All methods by room."""
    from linkways.method import ROOMS, methods

    known = methods().values()
    rooms = [
        {"room": room, "methods": [{"id": m.id, "summary": m.summary} for m in known if m.room == room]}
        for room in ROOMS
    ]
    return {"rooms": [one for one in rooms if one["methods"]], "total": len(known)}


@page(router, "/methods/{id}", "method.html")
def method_page(id: str, site: TheSite) -> PageData:
    """One method: what it gives, inputs, parameters with units and bounds, outputs, sources, an example."""
    from linkways.errors import LinkwaysError
    from linkways.method import find_method

    try:
        method = find_method(id)
    except LinkwaysError as error:
        raise NotThere(str(error)) from None
    parameters = [
        {
            "name": p.name,
            "type": p.type_name,
            "unit": p.spec.unit,
            "bounds": p.bounds,
            "doc": p.spec.doc,
            "source": p.spec.source,
            "required": p.required,
            "default": None if p.required else p.schema().get("default"),
        }
        for p in method.parameters
    ]
    return {"method": method.schema(), "parameters": parameters, "used_by": _used_by(site, id)}


def _used_by(site: Site, id: str) -> list[dict[str, Any]]:
    """Published solutions whose study takes this method."""
    found = []
    for hit in site.store.search("", statuses=["published"], limit=1000).hits:
        steps = (site.records.get(hit.id).study or {}).get("steps") or []
        names = [str(step.get("id")) for step in steps if isinstance(step, dict) and step.get("method") == id]
        if names:
            found.append({"id": hit.id, "title": hit.title, "steps": names})
    return found
