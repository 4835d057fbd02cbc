"""The page of a solution, and its record as YAML."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response

from linkways.errors import LinkwaysError
from linkways.web.languages import LANGUAGES, spoken
from linkways.web.layers import maps_of
from linkways.web.pages import PageData, page
from linkways.web.problems import NotThere
from linkways.web.routes.start import place_features, simulated_inputs
from linkways.web.settings import User
from linkways.web.site import CurrentUser, Site, TheSite

router = APIRouter(tags=["solutions"])


def visible_record(site: Site, user: User, id: str) -> Any:
    """A record that this user may read: a published one, one the user wrote in, and for reviewers those at the desk.

    Raises:
        NotThere: there is none that the user may read.
    """
    record = site.records.get(id)
    if not site.may_read(user, id):
        raise NotThere(f"there is no solution '{id}'")
    return record


@router.get("/solutions/{id}.yaml", response_class=Response)
def record_yaml(id: str, site: TheSite, user: CurrentUser) -> Response:
    """The record of a solution as YAML, as `linkways solutions import` reads it."""
    from linkways.catalogue import record_text

    text = record_text(visible_record(site, user, id))
    return Response(text, media_type="application/yaml")


@router.get("/solutions/{id}.geojson")
def solution_place(id: str, site: TheSite, user: CurrentUser) -> dict[str, Any]:
    """Where a solution is, as GeoJSON."""
    visible_record(site, user, id)
    return {"type": "FeatureCollection", "features": place_features(site, id)}


@page(router, "/solutions/{id}", "solution.html")
def solution(
    id: str,
    site: TheSite,
    user: CurrentUser,
    lang: Annotated[str, Query(max_length=20)] = "",
) -> PageData:
    """One solution: its story, building blocks, impacts, study and results, and how to cite it."""
    from linkways.catalogue import in_language

    record = visible_record(site, user, id)
    # a language that only the interface speaks leaves the record in its own
    wish = lang if lang and lang not in LANGUAGES else spoken()
    known = wish in record.translations or wish not in LANGUAGES
    shown = in_language(record, wish) if known else record
    runs = site.shelf.of_solution(id)
    revision = site.store.history(id)[-1]
    return {
        "record": shown.model_dump(mode="json"),
        "labels": _labels(record),
        "languages": [record.language, *record.translations],
        "revision": {"number": revision.number, "time": revision.time, "status": revision.status},
        "study": _study(record),
        "runs": [one.data() for one in runs],
        "results": _results(site, runs[0].id) if runs else None,
        "replications": [
            one.data() for one in site.shelf.entries() if one.solution == id and one.kind == "replication"
        ],
        "cite": cite(record, revision),
        "at_desk": user.at_least("reviewer") or (user.role != "reader" and user.id in site.desk.authors(id)),
        "remarks": len([one for one in site.desk.comments(id) if not one.settled]),
        "has_place": record.place.geometry is not None or record.place.bounds is not None,
    }


def _labels(record: Any) -> dict[str, Any]:
    """What codes mean, for the page."""
    from linkways.catalogue import FACETS, vocabulary

    countries, regions = vocabulary("iso-countries"), vocabulary("m49-regions")
    classified = [
        {"title": FACETS.get(scheme, scheme), "codes": [{"code": one.code, "label": one.label} for one in codes]}
        for scheme, codes in record.classifications.root.items()
    ]
    return {
        "countries": [countries.labels[code] for code in record.place.countries],
        "regions": [regions.labels[code] for code in record.place.regions],
        "classifications": classified,
        "category": vocabulary("block-category").labels,
        "phase": vocabulary("block-phase").labels,
        "scale": vocabulary("scale").labels,
        "actions": vocabulary("cmp-actions").labels,
        "threats": vocabulary("iucn-threats").labels,
    }


def _study(record: Any) -> dict[str, Any] | None:
    """The study in short: inputs with source and licence, steps with their methods."""
    from linkways.method import methods

    if not record.study:
        return None
    known = methods()
    inputs = []
    for name, item in (record.study.get("inputs") or {}).items():
        builtin = item.get("builtin") if isinstance(item, dict) else None
        source, licence = _source(builtin) if builtin else (item.get("source", ""), item.get("licence", ""))
        inputs.append({"name": name, "source": source, "licence": licence, "simulated": bool(item.get("simulated"))})
    steps = [
        {
            "id": step.get("id"),
            "method": step.get("method"),
            "summary": known[step["method"]].summary if step.get("method") in known else "",
            "known": step.get("method") in known,
        }
        for step in record.study.get("steps") or []
    ]
    return {
        "title": record.study.get("title", ""),
        "description": record.study.get("description", ""),
        "inputs": inputs,
        "steps": steps,
        "simulated": simulated_inputs(record.study),
    }


def _source(name: str) -> tuple[str, str]:
    from linkways.spatial import builtin_sources

    found = next((one for one in builtin_sources() if one.name == name), None)
    return (found.source, found.licence) if found else (name, "")


def _results(site: Site, id: str) -> dict[str, Any] | None:
    """Key figures and maps of a finished run."""
    try:
        run = site.shelf.run(id)
    except LinkwaysError:
        return None
    asked = (run.record.get("report") or {}).get("indicators") or []
    indicators = []
    for reference in asked:
        try:
            output = run.output(str(reference))
        except LinkwaysError:
            continue
        kept = {key: output[key] for key in ("doc", "value", "unit")}
        indicators.append({"id": str(reference), **kept, "told": output.get("told", "")})
    comparisons = [one for one in (run.record.get("report") or {}).get("comparisons") or [] if isinstance(one, dict)]
    for one in comparisons:
        if one.get("computed"):
            try:
                output = run.output(str(one["computed"]))
                one = one | {"value": output["value"], "unit": output["unit"]}
            except LinkwaysError:
                pass
    return {
        "run": id,
        "finished": run.record["finished"],
        "indicators": indicators,
        "maps": maps_of(run),
        "simulated": [item["name"] for item in run.record["inputs"] if item.get("simulated")],
    }


def cite(record: Any, revision: Any) -> str:
    """How to cite the record: who, when, what, where it is kept, and which revision."""
    who = "; ".join(one.name for one in record.contributors) or "The Linkways developers"
    year = (record.published.isoformat() if record.published else revision.time)[:4]
    source = record.sources.get("panorama", "")
    first = f" First published at {source}." if source else ""
    return (
        f"{who} ({year}). {record.title}. Linkways solution {record.id}, revision {revision.number} "
        f"of {revision.time[:10]}.{first}"
    )
