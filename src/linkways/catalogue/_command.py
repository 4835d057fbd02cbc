"""``linkways solutions``: list, show, search, export and import documented solutions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from linkways.catalogue._record import Solution
    from linkways.catalogue._search import Found
    from linkways.catalogue._store import Store

__all__ = ["solutions"]

_EXPORTS = ("json", "geojson", "csv", "yaml", "xlsx", "site", "crate")


@click.group()
def solutions() -> None:
    """List, show, search, export and import documented solutions.

    The built-in solutions are always there; imported ones are kept in a catalogue of your own (a file below your data
    folder, or what --store names).
    """


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    store = click.option(
        "--store", metavar="FILE|URL", help="Catalogue: a SQLite file or postgresql://...; default: your own."
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
    return store(as_json(command))


@contextmanager
def _opened(store: str | None, *, writing: bool = False) -> Iterator[Store]:
    """The catalogue with the built-in solutions in it; nothing is written to disk only to read them."""
    from linkways.catalogue import builtin_records, default_store, open_store

    own = default_store()
    address = store or (own if writing or own.is_file() else "sqlite://")
    with open_store(address) as opened:
        # a solution of the same id that someone put in stays theirs
        author = "Linkways"
        known = set(opened.ids())
        new = [r for id, r in builtin_records().items() if id not in known or opened.history(id)[-1].author == author]
        opened.put_all(new, author=author, note="built-in")
        yield opened


def _print(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


@solutions.command("list")
@_common
def list_solutions(store: str | None, as_json: bool) -> None:
    """List all solutions."""
    with _opened(store) as catalogue:
        records = [catalogue.get(id) for id in catalogue.ids()]
    if as_json:
        _print([_short(record) for record in records])
        return
    width = max(len(record.id) for record in records)
    for record in records:
        click.echo(f"{record.id:<{width}}  {record.title}{'' if record.study else '  (no study yet)'}")


def _short(record: Solution) -> dict[str, Any]:
    return {
        "id": record.id,
        "title": record.title,
        "place": record.place.name,
        "species": [one.scientific_name for one in record.species],
        "form": record.form,
        "study": record.study is not None,
        "waits_for": [one.method for one in record.waits_for],
    }


@solutions.command("show")
@click.argument("source")
@click.option("--revision", type=click.IntRange(min=1), help="As it was in this revision.")
@click.option("--history", is_flag=True, help="All revisions with author, time and changed fields.")
@click.option("--language", metavar="CODE", help="In this language, as far as it is translated.")
@_common
def show(
    source: str, revision: int | None, history: bool, language: str | None, store: str | None, as_json: bool
) -> None:
    """Show a solution by its id, or the record in a file."""
    from linkways.catalogue import in_language, read_record

    if Path(source).exists():
        if history or revision is not None:
            raise LinkwaysError(f"{source} is a file and has no revisions; give the id of a solution in the catalogue")
        record = read_record(source)
    else:
        with _opened(store) as catalogue:
            if history:
                _show_history(catalogue, source, as_json)
                return
            record = catalogue.get(source, revision)
    if language is not None:
        record = in_language(record, language)
    _print(record.to_data()) if as_json else click.echo(_text(record))


def _show_history(catalogue: Store, id: str, as_json: bool) -> None:
    from dataclasses import asdict

    revisions = catalogue.history(id)
    if as_json:
        _print([asdict(one) for one in revisions])
        return
    for one in revisions:
        click.echo(f"{one.number}  {one.time}  {one.author}  {one.status}{f'  {one.note}' if one.note else ''}")
        for change in one.changes:
            click.echo(f"   {change.place}: {_cut(change.before)} -> {_cut(change.after)}")


def _cut(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 70 else f"{text[:67]}..."


def _text(record: Solution) -> str:
    from linkways.catalogue._store import figure_words

    lines = [record.title, f"{record.place.name}", "", record.summary]
    if record.species:
        lines += ["", "Species: " + ", ".join(f"{one.name} ({one.scientific_name})" for one in record.species)]
    if record.challenges:
        lines += ["", "Challenges", *(f"  {one.text}" for one in record.challenges)]
    if record.building_blocks:
        lines += ["", "Building blocks"]
        for block in record.building_blocks:
            lines += [f"  {block.title}", f"    {block.description}"]
            lines += [f"    learnt: {lesson}" for lesson in getattr(block, "lessons_learned", ())]
    if record.impacts:
        lines += ["", "Impacts"]
        for impact in record.impacts:
            lines.append(f"  {impact.fact}")
            lines += [f"    {figure_words(figure)}" for figure in impact.figures]
    told = {scheme: ", ".join(one.code for one in codes) for scheme, codes in record.classifications.root.items()}
    lines += ["", "Codes", *(f"  {scheme}: {codes}" for scheme, codes in told.items())] if told else []
    if record.study:
        lines += ["", f"Study: linkways study run {record.id} --out {record.id}"]
    elif record.waits_for:
        lines += ["", "Its study waits for", *(f"  {one.method}: {one.purpose}" for one in record.waits_for)]
    return "\n".join([*lines, "", "Sources", *(f"  {source}" for source in record.sources.values())])


@solutions.command("search")
@click.argument("words", nargs=-1)
@click.option("--facet", "facets", multiple=True, metavar="NAME=CODE", help="May be given several times.")
@click.option("--species", default="", metavar="NAME", help="Scientific name, of a species or a wider taxon.")
@click.option("--bounds", type=float, nargs=4, metavar="W S E N", help="Places that meet this box, in degrees.")
@click.option(
    "--within", type=click.Path(path_type=Path), metavar="FILE", help="Places that meet this GeoJSON geometry."
)
@click.option("--order", default="relevance", help="relevance, title or newest; default relevance.")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True)
@click.option("--offset", type=click.IntRange(min=0), default=0)
@_common
def search(
    words: tuple[str, ...],
    facets: tuple[str, ...],
    species: str,
    bounds: tuple[float, float, float, float] | None,
    within: Path | None,
    order: Any,
    limit: int,
    offset: int,
    store: str | None,
    as_json: bool,
) -> None:
    """Find solutions by words, numbers ("corridor narrower than 500 m"), facets, species and place."""
    if bounds is not None and within is not None:
        raise LinkwaysError("--bounds and --within both say where; give one of them")
    area: Any = bounds if bounds is not None else _geometry(within) if within is not None else None
    with _opened(store) as catalogue:
        found = catalogue.search(
            " ".join(words), facets=_pairs(facets), species=species, area=area, order=order, limit=limit, offset=offset
        )
    _print(_found_data(found)) if as_json else click.echo(_found_text(found))


def _pairs(texts: tuple[str, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for text in texts:
        name, sign, code = text.partition("=")
        if not sign or not code:
            raise LinkwaysError(f"--facet {text} must read NAME=CODE")
        found.setdefault(name, []).append(code)
    return found


def _geometry(file: Path) -> Any:
    try:
        data = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise LinkwaysError(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise LinkwaysError(f"{file} is not valid JSON ({error})") from None
    if isinstance(data, dict) and data.get("type") == "FeatureCollection" and len(data.get("features") or []) == 1:
        data = data["features"][0]
    if isinstance(data, dict) and data.get("type") == "Feature":
        data = data.get("geometry")
    if not isinstance(data, dict):
        raise LinkwaysError(f"{file} holds no GeoJSON geometry; give one geometry or one feature")
    return data


def _found_data(found: Found) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "total": found.total,
        "words": found.words,
        "numbers": [asdict(one) for one in found.numbers],
        "hits": [asdict(hit) for hit in found.hits],
        "facets": {facet: [asdict(one) for one in counts] for facet, counts in found.facets.items()},
    }


def _found_text(found: Found) -> str:
    lines = [f"{found.total} {'solution' if found.total == 1 else 'solutions'}"]
    for hit in found.hits:
        lines.append(f"  {hit.id}: {hit.title}")
        lines += [f"    {answer}" for answer in hit.answers]
    for facet in ("realm", "country", "species", "gbf"):
        counts = found.facets.get(facet, ())[:6]
        if counts:
            lines.append(f"{facet}: " + ", ".join(f"{one.label} ({one.code}) {one.count}" for one in counts))
    return "\n".join(lines)


@solutions.command("export")
@click.argument("ids", nargs=-1)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File or folder to write.")
@click.option("--as", "form", metavar="FORM", help=f"One of {', '.join(_EXPORTS)}; told from the ending of --out.")
@click.option("--run", "runs", multiple=True, type=click.Path(path_type=Path), help="Run to put into the crate.")
@_common
def export(
    ids: tuple[str, ...], out: Path, form: str | None, runs: tuple[Path, ...], store: str | None, as_json: bool
) -> None:
    """Write solutions (all, or those named) to a file or folder.

    json, geojson and csv hold many solutions; yaml, xlsx (the sheet for workshops) and crate hold one; site is a folder
    of pages. Without a solution, xlsx is the empty template.
    """
    form = form or {".yml": "yaml"}.get(out.suffix.lower(), out.suffix.lower().lstrip(".") or "site")
    if form not in _EXPORTS:
        raise LinkwaysError(f"there is no form '{form}'{nearest(form, _EXPORTS)}; name it with --as")
    if runs and form != "crate":
        raise LinkwaysError(f"--run goes into a crate, not into {form}; add --as crate")
    with _opened(store) as catalogue:
        records = [catalogue.get(id) for id in (ids or catalogue.ids())]
    if form in ("yaml", "crate") and len(records) != 1:
        raise LinkwaysError(f"{form} holds one solution and {len(records)} are asked for; name one")
    written = _write(form, records if ids or form != "xlsx" else [], out, runs)
    _print({"written": str(written), "solutions": [record.id for record in records]}) if as_json else click.echo(
        written
    )


def _write(form: str, records: list[Solution], out: Path, runs: tuple[Path, ...]) -> Path:
    from linkways import catalogue

    if form == "site":
        return catalogue.write_site(records, out)
    if form == "crate":
        return catalogue.write_solution_crate(records[0], out, runs=runs)
    if form == "xlsx":
        if len(records) > 1:
            raise LinkwaysError(f"a sheet holds one solution and {len(records)} are asked for; name one")
        return catalogue.write_workshop_sheet(out, records[0] if records else None)
    if form == "yaml":
        return catalogue.write_record(records[0], out)
    return catalogue.export_catalogue(records, out)


@solutions.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--author", default="", help="Who makes the change; default: your user name.")
@click.option("--note", default="", help="Why.")
@click.option("--status", default="draft", show_default=True, help="State of the records from now on.")
@click.option("--check", is_flag=True, help="Only tell mistakes; put nothing in.")
@_common
def import_solutions(
    files: tuple[Path, ...], author: str, note: str, status: str, check: bool, store: str | None, as_json: bool
) -> None:
    """Put records in: YAML or JSON, a filled workshop sheet (.xlsx), an exported catalogue, or PANORAMA's JSON."""
    records: list[Solution] = []
    notes: list[str] = []
    for file in files:
        found, told = _read(file)
        records += found
        notes += told
    for sentence in notes:
        click.echo(f"Note: {sentence}", err=True)
    new = 0
    if not check:
        with _opened(store, writing=True) as catalogue:
            new = catalogue.put_all(records, author=author or _user(), note=note, status=status)
    told_as = {"read": [record.id for record in records], "new_revisions": new, "notes": notes}
    if as_json:
        _print(told_as)
    else:
        click.echo(f"{len(records)} read, no mistakes" if check else f"{len(records)} read, {new} new revisions")


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise LinkwaysError("a change needs an author; give --author NAME") from None


def _read(file: Path) -> tuple[list[Solution], list[str]]:
    """The records of a file of any of the forms, told apart by what they hold."""
    from linkways import catalogue
    from linkways.catalogue._files import read_json

    if not file.is_file():
        raise LinkwaysError(f"there is no file {file}; check the path")
    if file.suffix.lower() == ".xlsx":
        return [catalogue.read_workshop_sheet(file)], []
    if file.suffix.lower() == ".json":
        data = read_json(file)
        if isinstance(data, dict) and "catalogue" in data:
            return list(catalogue.import_catalogue(file)), []
        if isinstance(data, dict) and isinstance(data.get("solutions"), list):
            found = catalogue.import_panorama(file)
            return list(found.records), list(found.notes)
    return [catalogue.read_record(file)], []
