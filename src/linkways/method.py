"""How a method declares itself, and the registry of all methods.

A method is a typed Python function. Its annotations carry the declaration: inputs are annotated with `Raster`,
`Vector`, `Table` or `Field`, parameters with `Param`, the parts of the result with `Layer`, `TableOf`, `FieldOf`,
`Indicator`, `Figure` or `Document`. From this one declaration come the checked function, the command line, the study
step, the JSON Schema and the reference page.

Methods are written without ``from __future__ import annotations``: the declaration reads the annotations as they
are, and quoted names inside ``Annotated`` keep heavy packages out of the import.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, ParamSpec, TypeVar, get_args, get_origin

from linkways.errors import LinkwaysError, nearest
from linkways.parameters import Param, Parameter
from linkways.time_left import TimeLeft

if TYPE_CHECKING:
    from linkways.estimates import Estimate

__all__ = [
    "Document",
    "Field",
    "FieldOf",
    "Figure",
    "Indicator",
    "Input",
    "Layer",
    "Method",
    "Output",
    "Param",
    "Parameter",
    "Raster",
    "Table",
    "TableOf",
    "Vector",
    "estimate_of",
    "find_method",
    "mark_taken_over",
    "method",
    "methods",
    "progress",
    "progress_between",
    "reporting_progress",
]

ROOMS = (
    "corridors",
    "networks",
    "movement",
    "rivers",
    "seas",
    "populations",
    "planning",
    "policy",
)

P = ParamSpec("P")
R = TypeVar("R")
EstimateFunction = Callable[[dict[str, Any]], "Estimate"]


# --- what an author writes -----------------------------------------------------------


@dataclass(frozen=True)
class Raster:
    """An input raster: an `xarray.DataArray` with dims (y, x) and a CRS; nodata is NaN."""

    doc: str
    unit: str = ""
    positive: bool = False
    """Values must be finite and above 0 (NaN is allowed and cannot be entered)."""
    classes: bool = False
    """Values are class codes, not quantities."""
    many: bool = False
    """A sequence of rasters."""
    own_grid: bool = False
    """The raster need not lie on the grid of the method's other rasters."""


@dataclass(frozen=True)
class Vector:
    """An input layer of features: a `geopandas.GeoDataFrame` with a CRS."""

    doc: str
    geometry: tuple[str, ...] = ()
    """Allowed geometry types; ``Polygon`` also admits ``MultiPolygon`` and so on. Empty: any."""
    columns: tuple[str, ...] = ()
    """Columns that must be present."""
    many: bool = False


@dataclass(frozen=True)
class Table:
    """An input table: a `pandas.DataFrame`."""

    doc: str
    columns: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True)
class Field:
    """An input field over time (currents, winds): an `xarray.Dataset`, read from NetCDF or Zarr as it is used."""

    doc: str
    variables: tuple[str, ...] = ()
    """Variables that must be present."""
    many: bool = False


@dataclass(frozen=True)
class Layer:
    """A map layer in the result: raster or features."""

    doc: str
    unit: str = ""
    name: str = ""


@dataclass(frozen=True)
class TableOf:
    """A table in the result."""

    doc: str
    name: str = ""


@dataclass(frozen=True)
class FieldOf:
    """A field over time in the result: an `xarray.Dataset`, kept as NetCDF."""

    doc: str
    name: str = ""


@dataclass(frozen=True)
class Indicator:
    """One number in the result."""

    doc: str
    unit: str = ""
    name: str = ""


@dataclass(frozen=True)
class Figure:
    """A chart in the result (a Matplotlib figure)."""

    doc: str
    name: str = ""


@dataclass(frozen=True)
class Document:
    """A text in the result: a self-contained HTML page, or a file that another program reads."""

    doc: str
    name: str = ""
    suffix: str = ".html"
    """What its file's name ends in."""


# --- what is read from it ------------------------------------------------------------


@dataclass(frozen=True)
class Input:
    """One declared input of a method."""

    name: str
    spec: Raster | Vector | Table | Field
    required: bool

    @property
    def kind(self) -> str:
        """``raster``, ``vector``, ``table`` or ``field``."""
        return type(self.spec).__name__.lower()


@dataclass(frozen=True)
class Output:
    """One declared part of a method's result."""

    name: str
    kind: Literal["layer", "table", "field", "indicator", "figure", "document"]
    doc: str
    unit: str = ""
    suffix: str = ""
    """What the name of a document's file ends in."""


@dataclass(frozen=True)
class Method:
    """The declaration of one method, read from its function."""

    id: str
    summary: str
    description: str
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    outputs: tuple[Output, ...]
    references: tuple[str, ...]
    examples: str
    version: int
    function: Callable[..., Any]

    @property
    def room(self) -> str:
        """The room it lives in."""
        return self.id.split(".")[0]

    @property
    def name(self) -> str:
        """Its name within the room."""
        return self.id.split(".")[1]

    def parts(self, result: Any) -> dict[str, Any]:
        """Take a result apart by output name."""
        if len(self.outputs) == 1 and not (is_dataclass(result) and hasattr(result, self.outputs[0].name)):
            return {self.outputs[0].name: result}
        return {out.name: getattr(result, out.name) for out in self.outputs}

    @property
    def has_estimate(self) -> bool:
        """Whether it can tell what a call would take; see `estimate_of`."""
        return self.id in _ESTIMATES

    def estimate(self, *args: Any, **kwargs: Any) -> Estimate:
        """Seconds and memory that a call with the same arguments would take, from a measured sample of it.

        Raises LinkwaysError for arguments that the method itself refuses, and where it has no estimate.
        """
        if not self.has_estimate:
            raise LinkwaysError(
                f"{self.id} cannot tell beforehand what it takes; those that can: {', '.join(sorted(_ESTIMATES))}"
            )
        return _ESTIMATES[self.id](_checked_arguments(self, args, kwargs).arguments)

    def schema(self) -> dict[str, Any]:
        """The whole declaration as plain data; the parameters as JSON Schema."""
        return {
            "id": self.id,
            "version": self.version,
            "estimate": self.has_estimate,
            "summary": self.summary,
            "description": self.description,
            "inputs": {i.name: _input_data(i) for i in self.inputs},
            "parameters": {
                "type": "object",
                "properties": {p.name: p.schema() for p in self.parameters},
                "required": [p.name for p in self.parameters if p.required],
                "additionalProperties": False,
            },
            "outputs": {o.name: {"kind": o.kind, "description": o.doc, "unit": o.unit} for o in self.outputs},
            "references": list(self.references),
            "examples": self.examples,
        }


def method(id: str, *, references: Sequence[str] = (), version: int = 1) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a function as the method ``id`` (``room.name``) and check its arguments on every call.

    ``version`` is raised when the method's numbers change, so that results of earlier runs are computed again.
    """

    def declare(function: Callable[P, R]) -> Callable[P, R]:
        declared = _read_declaration(id, function, tuple(references), version)

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = _checked_arguments(declared, args, kwargs)
            return function(*bound.args, **bound.kwargs)

        checked.__doc__ = _full_docstring(declared)
        _REGISTRY[id] = Method(**{**_shallow(declared), "function": checked})
        checked.declaration = _REGISTRY[id]  # type: ignore[attr-defined]
        return checked

    return declare


def estimate_of(function: Callable[..., Any]) -> Callable[[EstimateFunction], EstimateFunction]:
    """Declare how the time and memory of a method are foreseen: by the decorated function.

    It gets the method's arguments by name, checked, and measures a sample of the work (see `linkways.estimates`). From
    this come ``declaration.estimate(...)``, the option ``--estimate`` and the flag in the schema.
    """
    id: str = function.declaration.id  # type: ignore[attr-defined]

    def declare(estimate: EstimateFunction) -> EstimateFunction:
        _ESTIMATES[id] = estimate
        return estimate

    return declare


def _checked_arguments(declared: Method, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
    """The arguments of a call by name, defaults filled in, checked against the declaration."""
    try:
        bound = inspect.signature(declared.function).bind(*args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{declared.id}: {error}") from None
    bound.apply_defaults()
    from linkways.arguments import check_arguments

    check_arguments(declared, bound.arguments)
    return bound


_REGISTRY: dict[str, Method] = {}
_ESTIMATES: dict[str, EstimateFunction] = {}


def methods() -> dict[str, Method]:
    """All methods by id. Every module of every room is imported, so a method needs no other registration."""
    package = importlib.import_module("linkways")
    for room in ROOMS:
        for found in pkgutil.iter_modules([f"{path}/{room}" for path in package.__path__]):
            if not found.name.startswith("_"):
                importlib.import_module(f"linkways.{room}.{found.name}")
    return dict(sorted(_REGISTRY.items()))


def find_method(id: str) -> Method:
    """The method with this id, or an error that names the nearest one."""
    known = methods()
    if id not in known:
        raise LinkwaysError(f"there is no method '{id}'{nearest(id, known)}; linkways methods lists them all")
    return known[id]


# --- progress ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Watch:
    """Who watches the running method, and which stretch of the whole is told of just now."""

    watcher: Callable[[float, str], None]
    time_left: TimeLeft
    first: float = 0.0
    last: float = 1.0


_PROGRESS: ContextVar[_Watch | None] = ContextVar("linkways_progress", default=None)


def progress(done: float, what: str = "") -> None:
    """Tell whoever watches how much of the running method is done (0 to 1) and what it is doing.

    The watcher may cancel the method by raising from here.
    """
    watch = _PROGRESS.get()
    if watch is not None:
        whole = watch.first + (watch.last - watch.first) * min(max(done, 0.0), 1.0)
        watch.time_left.tell(whole)
        watch.watcher(whole, what)


@contextmanager
def progress_between(first: float, last: float) -> Iterator[None]:
    """What is told as 0 to 1 inside the block is ``first`` to ``last`` of the work around it."""
    watch = _PROGRESS.get()
    if watch is None:
        yield
        return
    start, span = watch.first, watch.last - watch.first
    token = _PROGRESS.set(replace(watch, first=start + first * span, last=start + last * span))
    try:
        yield
    finally:
        _PROGRESS.reset(token)


@contextmanager
def reporting_progress(watcher: Callable[[float, str], None], time_left: TimeLeft | None = None) -> Iterator[None]:
    """Call ``watcher(done, what)`` for every `progress` inside the block; ``time_left`` hears of it before."""
    token = _PROGRESS.set(_Watch(watcher, time_left or TimeLeft()))
    try:
        yield
    finally:
        _PROGRESS.reset(token)


def mark_taken_over(taken_over: bool) -> None:
    """Say whether the progress told from now on was made by an earlier run, so that the time left leaves it out."""
    watch = _PROGRESS.get()
    if watch is not None:
        watch.time_left.taken_over = taken_over


# --- reading a declaration -----------------------------------------------------------


def _read_declaration(id: str, function: Callable[..., Any], references: tuple[str, ...], version: int) -> Method:
    if id.count(".") != 1 or id.split(".")[0] not in ROOMS:
        raise TypeError(f"method id {id!r} must be 'room.name' with room one of {', '.join(ROOMS)}")
    text, _, examples = inspect.cleandoc(function.__doc__ or "").partition("\nExamples\n--------\n")
    summary, _, description = text.partition("\n")
    if not summary.endswith("."):
        raise TypeError(f"{id}: the first line of the docstring must be one sentence that says what you get")
    inputs, parameters = [], []
    for argument in inspect.signature(function).parameters.values():
        kind, meta = _annotated(id, argument.name, argument.annotation)
        required = argument.default is inspect.Parameter.empty
        if isinstance(meta, Param):
            default = None if required else argument.default
            parameters.append(Parameter(argument.name, kind, meta, default, required))
        elif isinstance(meta, (Raster, Vector, Table, Field)):
            inputs.append(Input(argument.name, meta, required))
        else:
            raise TypeError(
                f"{id}: argument {argument.name} needs Raster, Vector, Table, Field or Param in its annotation"
            )
    return Method(
        id=id,
        summary=summary,
        description=description.strip(),
        inputs=tuple(inputs),
        parameters=tuple(parameters),
        outputs=tuple(_read_outputs(id, function)),
        references=references,
        examples=examples.strip(),
        version=version,
        function=function,
    )


def _annotated(id: str, name: str, annotation: Any) -> tuple[Any, Any]:
    if get_origin(annotation) is not Annotated:
        raise TypeError(f"{id}: argument {name} must be annotated as Annotated[type, declaration]")
    kind, meta, *_ = get_args(annotation)
    return kind, meta


_OUTPUT_KINDS: dict[type, Literal["layer", "table", "field", "indicator", "figure", "document"]] = {
    Layer: "layer",
    TableOf: "table",
    FieldOf: "field",
    Indicator: "indicator",
    Figure: "figure",
    Document: "document",
}


def _read_outputs(id: str, function: Callable[..., Any]) -> Iterator[Output]:
    result = inspect.signature(function).return_annotation
    if get_origin(result) is Annotated:
        spec = get_args(result)[1]
        yield _output(spec.name or id.split(".")[1], spec)
    elif is_dataclass(result):
        for part in fields(result):
            if get_origin(part.type) is not Annotated:
                raise TypeError(f"{id}: part {part.name} of the result must be Annotated with what it is")
            yield _output(part.name, get_args(part.type)[1])
    else:
        raise TypeError(f"{id}: the result must be Annotated or a frozen dataclass with annotated parts")


def _output(name: str, spec: Any) -> Output:
    return Output(name, _OUTPUT_KINDS[type(spec)], spec.doc, getattr(spec, "unit", ""), getattr(spec, "suffix", ""))


def _shallow(declared: Method) -> dict[str, Any]:
    return {f.name: getattr(declared, f.name) for f in fields(declared)}


def _input_data(item: Input) -> dict[str, Any]:
    spec = item.spec
    out: dict[str, Any] = {
        "kind": item.kind,
        "description": spec.doc,
        "required": item.required,
        "many": spec.many,
    }
    for extra in ("unit", "geometry", "columns", "variables", "positive", "classes"):
        if getattr(spec, extra, None):
            value = getattr(spec, extra)
            out[extra] = list(value) if isinstance(value, tuple) else value
    return out


def _full_docstring(declared: Method) -> str:
    """What help() shows: the author's words, and the declared parts that need no second description."""
    lines = [declared.summary, "", declared.description, ""]
    if declared.inputs or declared.parameters:
        lines += ["Parameters", "----------"]
        for item in declared.inputs:
            lines += [
                f"{item.name} : {item.kind}{' (several)' if item.spec.many else ''}",
                f"    {item.spec.doc}",
            ]
        for parameter in declared.parameters:
            default = "" if parameter.required else f", default {parameter.default!r}"
            allowed = parameter.allowed()
            lines += [f"{parameter.name} : {allowed}{default}", f"    {parameter.spec.doc}"]
    lines += ["", "Returns", "-------"]
    for output in declared.outputs:
        unit = f" ({output.unit})" if output.unit else ""
        lines += [f"{output.name} : {output.kind}{unit}", f"    {output.doc}"]
    if declared.examples:
        lines += ["", "Examples", "--------", declared.examples]
    if declared.references:
        lines += ["", "References", "----------", *declared.references]
    return "\n".join(lines)
