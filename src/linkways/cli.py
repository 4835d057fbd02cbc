"""The command line: every method by its declaration, and studies."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click

from linkways import __version__
from linkways.catalogue._command import solutions
from linkways.checkpoint import Stopped, keep_in
from linkways.errors import LinkwaysError, nearest
from linkways.method import ROOMS, Input, Method, Parameter, find_method, methods, reporting_progress
from linkways.time_left import TimeLeft, clock_words
from linkways.web._command import serve_command

__all__ = ["main"]

ESTIMATE = "Only tell the seconds and the memory that this would take, from a measured sample of it."


class Linkways(click.Group):
    """The top command: a group for each room that has methods, beside the fixed commands."""

    def list_commands(self, context: click.Context) -> list[str]:
        rooms = {m.room for m in methods().values()}
        return [*(room for room in ROOMS if room in rooms), *super().list_commands(context)]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name in ROOMS:
            return _room(name)
        return super().get_command(context, name)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if self.get_command(context, args[0]) is None:
            raise LinkwaysError(f"there is no command '{args[0]}'{nearest(args[0], self.list_commands(context))}")
        return super().resolve_command(context, args)


@click.group(cls=Linkways, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="linkways")
def cli() -> None:
    """Plan, test and share ecological connectivity.

    Run a study (corridor maps and a report from a recipe): linkways study run jaguar-corridor --out jaguar
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; a user's mistake ends in one sentence and exit code 2."""
    try:
        code = cli.main(args=arguments, prog_name="linkways", standalone_mode=False)
    except Stopped as error:
        click.echo(f"Linkways {error}", err=True)
        sys.exit(130)
    except LinkwaysError as error:
        click.echo(_told(error), err=True)
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Linkways stopped", err=True)
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _told(error: LinkwaysError) -> str:
    return "\n".join(f"Error: {line}" for line in str(error).splitlines())


# --- methods -----------------------------------------------------------------------------------------------------


cli.add_command(serve_command)
cli.add_command(solutions)


@cli.command("methods")
@click.argument("id", required=False)
@click.option("--json", "as_json", is_flag=True, help="Declarations as JSON, parameters as JSON Schema.")
def list_methods(id: str | None, as_json: bool) -> None:
    """List all methods, or show one."""
    known = methods()
    if id is not None and id not in known:
        raise LinkwaysError(f"there is no method '{id}'{nearest(id, known)}")
    chosen = [known[id]] if id else list(known.values())
    if as_json:
        data = [m.schema() for m in chosen]
        click.echo(json.dumps(data[0] if id else data, indent=2, ensure_ascii=False))
    elif id:
        click.echo(f"{id}\n\n{chosen[0].function.__doc__}")
    else:
        width = max(len(m.id) for m in chosen)
        for m in chosen:
            click.echo(f"{m.id:<{width}}  {m.summary}")


class Room(click.Group):
    """The methods of one room; names may be written with hyphens or underscores."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0].replace("_", "-")
        if name not in self.commands:
            raise LinkwaysError(f"{self.name} has no method '{args[0]}'{nearest(name, self.commands)}")
        return super().resolve_command(context, [name, *args[1:]])


def _room(room: str) -> click.Group:
    group = Room(room, help=f"Methods of the room {room}.", no_args_is_help=True)
    for declared in methods().values():
        if declared.room == room:
            group.add_command(_command(declared))
    if room == "corridors":
        group.add_command(circuitscape)
        group.add_command(omniscape)
    if room == "planning":
        group.add_command(marxan)
    if room == "populations":
        group.add_command(camtrapdp)
        group.add_command(wildlife_insights)
    return group


@click.command("circuitscape")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--estimate", is_flag=True, help=ESTIMATE)
def circuitscape(config: Path, estimate: bool) -> None:
    """Run a Circuitscape 4 or 5 INI file unchanged and write the output files it asks for."""
    from linkways.studies.circuitscape_ini import estimate_circuitscape, run_circuitscape

    if estimate:
        click.echo(estimate_circuitscape(config))
        return
    with _resumable(Path(f".{config.name}.partial"), "circuitscape"), _progress_bar("circuitscape"):
        written = run_circuitscape(config)
    for file in written:
        click.echo(file)


@click.command("omniscape")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--estimate", is_flag=True, help=ESTIMATE)
def omniscape(config: Path, estimate: bool) -> None:
    """Run an Omniscape INI file unchanged and write the output files it asks for."""
    from linkways.studies.omniscape_ini import estimate_omniscape, run_omniscape

    if estimate:
        click.echo(estimate_omniscape(config))
        return
    with _resumable(Path(f".{config.name}.partial"), "omniscape"), _progress_bar("omniscape"):
        written = run_omniscape(config)
    for file in written:
        click.echo(file)


@click.command("marxan")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--gap-percent", type=click.FloatRange(min=0), default=0.0, show_default=True, help="Good enough [%].")
@click.option("--time-limit-s", type=click.FloatRange(min=1), default=300.0, show_default=True, help="Time [s].")
@click.option(
    "--solver",
    type=click.Choice(["exact", "annealing"]),
    default="exact",
    show_default=True,
    help="The proven best plan, or annealed as Marxan does; the bound stands beside both.",
)
@click.option("--spf", is_flag=True, help="Targets may be missed at their price (SPF); else they are met.")
def marxan(config: Path, gap_percent: float, time_limit_s: float, solver: str, spf: bool) -> None:
    """Solve a Marxan or Marxan with Zones folder (INPUT.DAT) and write the output files Marxan would."""
    from linkways.planning.marxan import run_marxan

    chosen: Literal["exact", "annealing"] = "annealing" if solver == "annealing" else "exact"
    for file in run_marxan(config, gap_percent=gap_percent, time_limit_s=time_limit_s, solver=chosen, spf=spf):
        click.echo(file)


@click.command("camtrapdp")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the tables and the checks.")
@click.option("--time-zone", help="Zone of times written without one, such as Asia/Ashgabat.")
def camtrapdp(package: Path, out: Path, time_zone: str | None) -> None:
    """Read a whole Camtrap DP package (folder, datapackage.json or zip), check every row, and write its tables."""
    from linkways.populations.import_camtrapdp import read_camtrapdp

    _refuse_unwritable(out.resolve())
    _write(find_method("populations.import_camtrapdp"), read_camtrapdp(package, time_zone=time_zone), out, gpkg=False)


@click.command("wildlife-insights")
@click.argument("package", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the tables and the checks.")
@click.option("--time-zone", required=True, help="Zone of the cameras' clocks, such as Asia/Ashgabat.")
def wildlife_insights(package: Path, out: Path, time_zone: str) -> None:
    """Read a whole export of Wildlife Insights (folder or zip), check every row, and write its tables."""
    from linkways.populations.import_wildlife_insights import read_wildlife_insights

    _refuse_unwritable(out.resolve())
    found = read_wildlife_insights(package, time_zone=time_zone)
    _write(find_method("populations.import_wildlife_insights"), found, out, gpkg=False)


def _command(declared: Method) -> click.Command:
    options: list[click.Parameter] = [_input_option(i) for i in declared.inputs]
    options += [_parameter_option(p) for p in declared.parameters]
    options += [
        click.Option(
            ["--out"],
            required=not declared.has_estimate,
            type=click.Path(path_type=Path),
            help=f"Folder for the results{'; not needed with --estimate' if declared.has_estimate else ''}.",
        ),
        click.Option(
            ["--crs"], multiple=True, metavar="INPUT=CRS", help="CRS of an input that has none or a wrong one."
        ),
        click.Option(["--layer"], multiple=True, metavar="INPUT=NAME", help="Layer of a file that has several."),
        click.Option(["--bounds"], type=float, nargs=4, metavar="W S E N", help="Read only this part of the rasters."),
        click.Option(["--gpkg"], is_flag=True, help="Write features as GeoPackage instead of GeoParquet."),
        click.Option(["--dask"], metavar="ADDRESS", help="Use the Dask cluster whose scheduler answers here."),
    ]
    if declared.has_estimate:
        options.append(click.Option(["--estimate"], is_flag=True, help=ESTIMATE))

    def run(**given: Any) -> None:
        if given.get("estimate"):
            _estimate_method(declared, given)
            return
        if given["out"] is None:
            raise click.MissingParameter(param_type="option", param_hint="'--out'")
        out = given["out"].resolve()
        # removed only when the results are written, so that a full disk there costs no work
        with _resumable(out.with_name(f".{out.name}.partial"), declared.id, declared.version):
            _run_method(declared, given)

    text = f"{declared.summary}\n\n{declared.description}"
    if declared.references:
        text += "\n\nSources:\n\n" + "\n\n".join(declared.references)
    return click.Command(
        declared.name.replace("_", "-"), params=options, callback=run, help=text, short_help=declared.summary
    )


def _option_name(name: str) -> str:
    return "--" + name.replace("_", "-")


def _input_option(item: Input) -> click.Option:
    several = " (may be given several times)" if item.spec.many else ""
    columns = getattr(item.spec, "columns", ())
    needs = f"; columns {', '.join(columns)}" if columns else ""
    return click.Option(
        [_option_name(item.name), f"in_{item.name}"],
        required=item.required,
        multiple=item.spec.many,
        metavar=item.kind.upper(),
        help=f"{item.spec.doc}{needs}{several}",
    )


def _parameter_option(parameter: Parameter) -> click.Option:
    spec = parameter.spec
    allowed = ", ".join(b for b in (spec.unit, parameter.bounds) if b)
    default = "" if parameter.required or parameter.default is None else f"; default {parameter.default}"
    return click.Option(
        [_option_name(parameter.name), f"par_{parameter.name}"],
        required=parameter.required,
        metavar=parameter.type_name.upper() if not parameter.choices else parameter.type_name.replace(" ", ""),
        help=f"{spec.doc}{f' [{allowed}]' if allowed else ''}{default}",
    )


def _run_method(declared: Method, given: Mapping[str, Any]) -> None:
    from linkways.spatial import recording
    from linkways.workers import on_cluster

    parameters = _parameters(declared, given)
    _refuse_unwritable(given["out"])
    with recording() as notes, on_cluster(given["dask"]):
        inputs = _inputs(declared, given)
        with _progress_bar(declared.id):
            result = declared.function(**inputs, **parameters)
    for sentence in notes:
        click.echo(f"Note: {sentence}", err=True)
    _write(declared, result, given["out"], gpkg=given["gpkg"])


def _estimate_method(declared: Method, given: Mapping[str, Any]) -> None:
    from linkways.spatial import recording

    parameters = _parameters(declared, given)
    with recording() as notes:
        found = declared.estimate(**_inputs(declared, given), **parameters)
    for sentence in notes:
        click.echo(f"Note: {sentence}", err=True)
    click.echo(found)


def _parameters(declared: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    return {
        p.name: p.parse(given[f"par_{p.name}"], declared.id)
        for p in declared.parameters
        if given[f"par_{p.name}"] is not None
    }


def _inputs(declared: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    crs, layers = (_pairs(given[key], key, declared) for key in ("crs", "layer"))
    inputs = {}
    for item in declared.inputs:
        paths = given[f"in_{item.name}"]
        if not paths:
            continue
        read = [
            _read(item, path, crs.get(item.name), layers.get(item.name), given["bounds"])
            for path in (paths if item.spec.many else [paths])
        ]
        inputs[item.name] = read if item.spec.many else read[0]
    return inputs


def _pairs(texts: tuple[str, ...], option: str, declared: Method) -> dict[str, str]:
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise LinkwaysError(f"--{option} {text} must read INPUT=VALUE")
        names = [i.name for i in declared.inputs]
        if name not in names:
            raise LinkwaysError(f"--{option} {text}: {declared.id} has no input '{name}'{nearest(name, names)}")
        found[name] = value
    return found


def _read(
    item: Input, path: str, crs: str | None, layer: str | None, bounds: tuple[float, float, float, float] | None
) -> Any:
    from linkways import spatial

    if item.kind == "raster":
        classes = bool(getattr(item.spec, "classes", False))
        return spatial.read_raster(path, crs=crs, bounds=bounds, classes=classes)
    if item.kind == "field":
        return spatial.read_field(path)
    # the rows of a layer are a table with geometry
    if item.kind == "vector" or layer is not None or spatial.holds_features(path):
        return spatial.read_vectors(path, crs=crs, layer=layer)
    return spatial.read_table(path)


def _refuse_unwritable(out: Path) -> None:
    import os

    parent = out
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise LinkwaysError(
            f"the output folder {out} cannot be written: {parent} is not a writable folder; choose another"
        )


def _write(declared: Method, result: Any, out: Path, *, gpkg: bool) -> None:
    """Write all parts aside, then move them into place together."""
    import shutil
    import tempfile

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".linkways-") as aside:
            _write_parts(declared, result, Path(aside), gpkg=gpkg)
            out.mkdir(exist_ok=True)
            for file in sorted(Path(aside).iterdir()):
                shutil.move(file, out / file.name)
                click.echo(out / file.name)
    except OSError as error:
        raise LinkwaysError(
            f"the results could not be written to {out} ({error.strerror or error}) and nothing was left there; make "
            "room on the disk or choose another folder"
        ) from error


def _write_parts(declared: Method, result: Any, folder: Path, *, gpkg: bool) -> None:
    from linkways import spatial

    indicators: dict[str, Any] = {}
    for output in declared.outputs:
        part = declared.parts(result)[output.name]
        stem = folder / f"{declared.name}.{output.name}"
        kind = type(part).__name__
        if part is None:
            continue
        if kind == "DataArray" and part.ndim == 3:
            for name in part[part.dims[0]].values:
                spatial.write_raster(part.sel({part.dims[0]: name}), f"{stem}.{name}.tif")
        elif kind == "DataArray":
            spatial.write_raster(part, f"{stem}.tif")
        elif kind == "GeoDataFrame":
            spatial.write_vectors(part, f"{stem}.{'gpkg' if gpkg else 'parquet'}")
        elif kind == "DataFrame":
            spatial.write_table(part, f"{stem}.csv")
        elif kind == "Dataset":
            spatial.write_field(part, f"{stem}.nc")
        elif kind == "Figure":
            part.savefig(f"{stem}.png", dpi=150)
        elif kind == "str":
            Path(f"{stem}{output.suffix}").write_text(part, encoding="utf-8")
        else:
            indicators[output.name] = {"value": part, "unit": output.unit, "doc": output.doc}
    if indicators:
        file = folder / f"{declared.name}.indicators.json"
        file.write_text(json.dumps(indicators, indent=2, ensure_ascii=False), encoding="utf-8")
    for found in indicators.values():
        click.echo(f"{found['doc']}: {found['value']:,.6g} {found['unit']}".rstrip())


@contextmanager
def _resumable(folder: Path, *owner: str | int) -> Iterator[None]:
    """Keep finished parts of what is done inside in a folder until it is done; Ctrl-C tells what is kept."""
    keeper = None
    try:
        with keep_in(folder, *owner) as keeper:
            yield
    except KeyboardInterrupt:
        if keeper is None or not keeper.holds:
            raise Stopped("stopped before anything was kept; run the same command again to start anew") from None
        raise Stopped(
            f"stopped; what was finished is kept in {folder}: run the same command again to go on from there"
        ) from None


@contextmanager
def _progress_bar(title: str) -> Iterator[None]:
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), _left_column()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        left = TimeLeft()
        task = bar.add_task(title, total=1.0, left=left.seconds)

        def follow(done: float, what: str) -> None:
            bar.update(task, completed=done, description=f"{title}: {what}" if what else title)

        with reporting_progress(follow, left):
            yield


def _left_column() -> Any:
    """The time left of a bar, from its field ``left`` (asked as it runs down); once it is full what it took."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class LeftColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            if task.finished:
                return Text(clock_words(task.finished_time), style="progress.elapsed")
            return Text(f"{clock_words(task.fields['left']())} left", style="progress.remaining")

    return LeftColumn()


# --- studies -----------------------------------------------------------------------------------------------------


@cli.group()
def study() -> None:
    """Check, run and show studies: a study.yaml, a solution.yaml, or the id of a built-in solution."""


def _study_options(command: Any) -> Any:
    for option in reversed(
        (
            click.argument("source"),
            click.option("--input", "inputs", multiple=True, metavar="NAME=PATH", help="Use this file for an input."),
            click.option("--set", "settings", multiple=True, metavar="STEP.PARAM=VALUE", help="Set a parameter."),
        )
    ):
        command = option(command)
    return command


def _load(source: str, inputs: tuple[str, ...], settings: tuple[str, ...]) -> Any:
    from linkways.studies import load_study

    return load_study(source, inputs=_split(inputs, "input"), settings=_split(settings, "set"))


def _split(texts: tuple[str, ...], option: str) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise LinkwaysError(f"--{option} {text} must read NAME=VALUE")
    return dict(text.split("=", 1) for text in texts)


@study.command("check")
@_study_options
def check(source: str, inputs: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Tell every mistake of a study before any work starts."""
    from linkways.studies import check_study, study_warnings

    loaded = _load(source, inputs, settings)
    problems = check_study(loaded)
    for sentence in study_warnings(loaded):
        click.echo(f"Note: {sentence}", err=True)
    if problems:
        from linkways.errors import StudyError

        raise StudyError(problems)
    click.echo(f"{loaded.title}: {len(loaded.inputs)} inputs and {len(loaded.steps)} steps, no mistakes found")


@study.command("run")
@_study_options
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the run; resumed when it exists."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Steps that may run side by side; default: one per core.")
@click.option("--fresh", is_flag=True, help="Compute every step again.")
@click.option("--dask", metavar="ADDRESS", help="Use the Dask cluster whose scheduler answers here.")
@click.option("--pdf", is_flag=True, help="Also print the report to report.pdf.")
def run(
    source: str,
    inputs: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path,
    jobs: int | None,
    fresh: bool,
    dask: str | None,
    pdf: bool,
) -> None:
    """Run a study into a folder with layers, tables, indicators, provenance and a report."""
    from linkways.studies import run_study
    from linkways.workers import on_cluster

    loaded = _load(source, inputs, settings)
    if pdf:
        _printer()
    with on_cluster(dask), _run_display() as on_event:
        finished = run_study(loaded, out, jobs=jobs, fresh=fresh, on_event=on_event)
    for step in finished.record["steps"]:
        for output in step["outputs"]:
            if output["value"] is not None:
                click.echo(f"{output['doc']}: {output['value']:,.6g} {output['unit'] or ''}".rstrip())
    if pdf:
        _print_report(finished.report)
    click.echo(f"Report: {finished.report}")


def _printer() -> Any:
    from linkways.errors import MissingExtra

    try:
        from weasyprint import HTML
    except (ImportError, OSError):
        raise MissingExtra("weasyprint", "pdf", "printing the report to PDF") from None
    return HTML


def _print_report(report: Path) -> None:
    target = report.with_suffix(".pdf")
    aside = target.with_name(f".{target.name}.aside")
    _printer()(filename=str(report)).write_pdf(str(aside))
    aside.replace(target)
    click.echo(f"PDF: {target}")


@study.command("show")
@click.argument("source")
@click.option("--json", "as_json", is_flag=True, help="The run's record, or the study as read, as JSON.")
def show(source: str, as_json: bool) -> None:
    """Show a finished run (its folder) or a study (its file, or the id of a built-in solution)."""
    from linkways.studies import load_study, read_run

    if (Path(source) / "run.json").is_file():
        record = read_run(source).record
        click.echo(json.dumps(record, indent=2, ensure_ascii=False) if as_json else _run_text(record))
        return
    loaded = load_study(source)
    if as_json:
        click.echo(json.dumps(loaded.data, indent=2, ensure_ascii=False))
        return
    click.echo(f"{loaded.title}\n\n{loaded.description}\n\nInputs")
    for item in loaded.inputs.values():
        click.echo(f"  {item.name}: {item.value if item.origin != 'rows' else 'a table in the study'}")
    click.echo("Steps")
    for step in loaded.steps:
        click.echo(f"  {step.id}: {step.method}")


def _run_text(record: Mapping[str, Any]) -> str:
    lines = [f"{record['title']} (run {record['id'][:12]}, Linkways {record['linkways']}, {record['seconds']:.1f} s)"]
    for step in record["steps"]:
        lines.append(
            f"  {step['id']}: {step['method']}, {'reused' if step['reused'] else format(step['seconds'], '.1f') + ' s'}"
        )
        for output in step["outputs"]:
            shown = (
                "not asked for"
                if output["value"] is None
                else f"{output['value']:,.6g} {output['unit'] or ''}".rstrip()
            )
            lines.append(f"    {output['name']}: {output['file'] or shown}")
    return "\n".join(lines)


@contextmanager
def _run_display() -> Iterator[Any]:
    """Follow a run: a live bar for each step in a terminal, a line for each finished step elsewhere."""
    if not sys.stderr.isatty():
        yield _tell_event
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        _left_column(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def follow(event: Any) -> None:
            if event.kind in ("stopping", "report"):
                bar.console.print("stopping ..." if event.kind == "stopping" else "writing the report ...")
                return
            if event.step not in tasks:
                tasks[event.step] = bar.add_task(event.step, total=1.0, left=lambda: None)
            ended = event.kind in ("finished", "reused")
            words = {"reused": "kept from before", "failed": "failed"}.get(event.kind, event.what)
            bar.update(
                tasks[event.step],
                completed=1.0 if ended else event.done,
                description=f"{event.step}: {words}" if words else event.step,
                left=_running_down(event.seconds_left),
            )

        yield follow


def _running_down(seconds: float | None) -> Callable[[], float | None]:
    """The seconds that are left of so many now, whenever it is asked."""
    end = time.monotonic() + (seconds or 0.0)
    return lambda: None if seconds is None else max(0.0, end - time.monotonic())


def _tell_event(event: Any) -> None:
    if event.kind == "finished":
        click.echo(f"[{event.finished}/{event.steps}] {event.step} ({event.seconds:.1f} s)", err=True)
    elif event.kind == "reused":
        click.echo(f"[{event.finished}/{event.steps}] {event.step} (kept from before)", err=True)
    elif event.kind == "report":
        click.echo("writing the report", err=True)
