"""Camtrap DP packages on disk: a folder, its datapackage.json, or a zip file of it, read without the network."""

import csv
import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from linkways.errors import LinkwaysError, nearest
from linkways.populations._camtrap_fields import MISSING

__all__ = ["PackageFiles", "Source", "metadata_problems", "open_source", "read_csv_text", "read_package_files"]

ID = "populations.import_camtrapdp"
_DESIGNS = (
    "simpleRandom",
    "systematicRandom",
    "clusteredRandom",
    "experimental",
    "targeted",
    "opportunistic",
)
_ROLES = ("contact", "principalInvestigator", "rightsHolder", "publisher", "contributor")


@dataclass(frozen=True)
class Source:
    """A folder or a zip file that holds the tables."""

    path: Path
    inside: str = ""
    """Folder within the zip file."""
    names: tuple[str, ...] = ()
    """Files in the folder or zip file."""

    def open(self, name: str) -> Any:
        """One of its files as pyarrow reads it: in pieces where it lies on the disk as it is."""
        import pyarrow as pa

        if self.path.is_dir() and name in self.names and not name.endswith(".gz"):
            return pa.OSFile(str(self.path / name))
        return pa.BufferReader(self.read(name))

    def read(self, name: str) -> bytes:
        """The bytes of one of its files, unpacked where they are compressed."""
        if name not in self.names:
            raise LinkwaysError(f"{ID}: {self.path} holds no file {name}{nearest(name, self.names)}")
        if self.path.is_dir():
            content = (self.path / name).read_bytes()
        else:
            with zipfile.ZipFile(self.path) as packed:
                content = packed.read(self.inside + name)
        if name.endswith(".gz"):
            import gzip

            content = gzip.decompress(content)
        return content


@dataclass(frozen=True)
class PackageFiles:
    """What a package says of itself, and its tables as text."""

    metadata: dict[str, Any]
    version: str
    tables: dict[str, Any]
    """pyarrow tables of text, null for missing values, by the names of Camtrap DP."""


def open_source(path: str | os.PathLike[str], wanted: str, method: str) -> Source:
    """The folder or zip file that holds the file ``wanted``, given itself or by that file.

    Raises LinkwaysError when there is none.
    """
    given = Path(path)
    if not given.exists():
        raise LinkwaysError(
            f"{method}: there is no {given}; give the folder, the zip file or the {wanted} of a package"
        )
    if given.is_file() and given.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(given) as packed:
                names = packed.namelist()
        except (zipfile.BadZipFile, OSError) as error:
            raise LinkwaysError(
                f"{method}: {given.name} cannot be read as a zip file ({error}); download it again"
            ) from None
        holders = sorted((name for name in names if PurePosixPath(name).name == wanted), key=len)
        if not holders:
            raise LinkwaysError(f"{method}: {given.name} holds no {wanted}; give the export as it was downloaded")
        inside = holders[0].removesuffix(wanted)
        return Source(given, inside, tuple(n.removeprefix(inside) for n in names if n.startswith(inside)))
    folder = given if given.is_dir() else given.parent
    if given.is_file() and given.name != wanted:
        raise LinkwaysError(
            f"{method}: {given.name} is not {wanted}; give it, its folder, or the zip file of the package"
        )
    if not (folder / wanted).is_file():
        raise LinkwaysError(f"{method}: the folder {folder} holds no {wanted}; give the folder of a package")
    names = [one.relative_to(folder).as_posix() for one in sorted(folder.rglob("*")) if one.is_file()]
    return Source(folder, "", tuple(names))


def read_package_files(path: str | os.PathLike[str]) -> PackageFiles:
    """The metadata and the tables of a package.

    Raises LinkwaysError for a package that is not there, metadata that are no JSON, another format or version, tables
    that are missing or lie elsewhere (an address, a path out of the package), and rows with too many or few values.
    """
    from linkways.method import progress

    source = open_source(path, "datapackage.json", ID)
    try:
        metadata = json.loads(source.read("datapackage.json").decode("utf-8-sig"))
    except (ValueError, UnicodeDecodeError) as error:
        raise LinkwaysError(f"{ID}: datapackage.json is not JSON in UTF-8 ({error}); check the file") from None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("resources"), list):
        raise LinkwaysError(f"{ID}: datapackage.json lists no resources; it must be that of a data package")
    version = _version(metadata)
    resources = {r.get("name"): r for r in metadata["resources"] if isinstance(r, dict)}
    tables = {}
    for step, name in enumerate(("deployments", "media", "observations")):
        if name not in resources:
            raise LinkwaysError(
                f"{ID}: datapackage.json names no resource '{name}'{nearest(name, map(str, resources))}"
            )
        resource = resources[name]
        file = _path(resource, name)
        if name == "media" and file not in source.names:
            continue
        progress(0.05 * step, f"reading {file}")
        dialect = resource.get("dialect")
        delimiter = str(dialect.get("delimiter", ",")) if isinstance(dialect, dict) else ","
        encoding = str(resource.get("encoding", "utf-8"))
        tables[name] = read_csv_text(source.open(file), file, delimiter=delimiter, encoding=encoding)
    return PackageFiles(metadata, version, tables)


def _version(metadata: dict[str, Any]) -> str:
    """The version that the profile names: 1.0, 1.0.1, ... or 0.1.6."""
    profile = str(metadata.get("profile", ""))
    found = re.search(r"/(\d+\.\d+(?:\.\d+)?(?:-rc\.?\d+)?)/", profile)
    if "camtrap" not in profile or found is None:
        raise LinkwaysError(
            f"{ID}: the profile in datapackage.json is '{profile[:120]}', which is not Camtrap DP; give a package with "
            "the profile of Camtrap DP 1.0, or give its tables one by one"
        )
    version = found.group(1)
    if re.fullmatch(r"1\.0(\.\d+)?", version) or version == "0.1.6":
        return version
    raise LinkwaysError(
        f"{ID}: the package is Camtrap DP {version}; versions 1.0 to 1.0.2 are read, and 0.1.6 is brought to 1.0: "
        "export it again as one of these"
    )


def _path(resource: dict[str, Any], name: str) -> str:
    path = resource.get("path")
    if isinstance(path, list) and len(path) == 1:
        path = path[0]
    if not isinstance(path, str) or not path:
        raise LinkwaysError(f"{ID}: the resource {name} in datapackage.json must name one file in 'path'")
    if "://" in path:
        raise LinkwaysError(f"{ID}: the resource {name} lies at {path[:120]}; download it and put it into the package")
    if path.startswith(("/", "~", "\\")) or ".." in PurePosixPath(path).parts or ":" in path:
        raise LinkwaysError(f"{ID}: the path {path[:120]} of the resource {name} leads out of the package")
    return PurePosixPath(path).as_posix()


def read_csv_text(content: Any, file: str, *, delimiter: str = ",", encoding: str = "utf-8") -> Any:
    """A CSV file (a pyarrow file) as a pyarrow table whose columns are all text, null where there is no value.

    Raises LinkwaysError for a file that is empty, not in its encoding, or has rows of another length than its header.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if encoding.lower() not in ("utf-8", "utf8", "utf-8-sig", "ascii"):
        try:
            content = pa.BufferReader(content.read().decode(encoding).encode())
        except (LookupError, UnicodeDecodeError):
            raise LinkwaysError(f"{ID}: {file} is not in its encoding {encoding}; write it in UTF-8") from None
    header = _header(content.read(1 << 16), file, delimiter)
    content.seek(0)
    wrong: list[Any] = []

    def remember(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        table = arrow_csv.read_csv(
            content,
            read_options=arrow_csv.ReadOptions(block_size=8 << 20),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=remember
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.large_string()),
                null_values=list(MISSING),
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        if wrong:
            row = wrong[0]
            raise LinkwaysError(
                f"{ID}: {file} has a row with {row.actual_columns} values where its header has {row.expected_columns}: "
                f"{row.text[:120]!r}; mend the row (quote values that hold the separator)"
            ) from None
        reason = str(error).splitlines()[0][:200]
        raise LinkwaysError(f"{ID}: {file} cannot be read as CSV in UTF-8 ({reason}); check the file") from None
    columns = []
    while table.num_columns:
        # one by one, so that a large table is never there twice
        columns.append(table.column(0).combine_chunks())
        table = table.remove_column(0)
    return pa.table(columns, names=header)


def _header(content: bytes, file: str, delimiter: str) -> list[str]:
    first = content[: 1 << 16].decode("utf-8-sig", errors="replace")
    header = next(csv.reader(io.StringIO(first), delimiter=delimiter), [])
    if not header:
        raise LinkwaysError(f"{ID}: {file} is empty; its first row must name the columns")
    twice = next((name for k, name in enumerate(header) if name in header[:k]), None)
    if twice is not None:
        raise LinkwaysError(f"{ID}: {file} has two columns '{twice}'; remove one")
    return header


# --- what a package says of itself ---------------------------------------------------------


def metadata_problems(metadata: dict[str, Any], species: Sequence[str]) -> list[tuple[str, str, str]]:
    """(property, rule, what is wrong or empty) for what Camtrap DP 1.0 asks of datapackage.json.

    ``species``: the scientific names of the observations, which the taxonomic coverage must hold.
    """
    found = []

    def ask(name: str, rule: str, wrong: str) -> None:
        found.append((name, rule, wrong))

    for name in ("created", "contributors", "project", "spatial", "temporal", "taxonomic"):
        ask(name, "is there", "" if metadata.get(name) else "is missing")
    ask("created", "is a time", _date_problem(metadata.get("created"), with_time=True))
    project = metadata.get("project")
    if isinstance(project, dict):
        for name in ("title", "samplingDesign", "captureMethod", "individualAnimals", "observationLevel"):
            ask(f"project.{name}", "is there", "" if project.get(name) not in (None, "", []) else "is missing")
        design = project.get("samplingDesign")
        rule = f"one of {', '.join(_DESIGNS)}"
        ask("project.samplingDesign", rule, "" if design in (*_DESIGNS, None) else f"is {design!r}")
        for name, known in (
            ("captureMethod", ("activityDetection", "timeLapse")),
            ("observationLevel", ("media", "event")),
        ):
            given = project.get(name)
            odd = [one for one in given if one not in known] if isinstance(given, list) else [given]
            ask(f"project.{name}", f"a list of {', '.join(known)}", f"holds {odd[0]!r}" if given and odd else "")
        told = project.get("individualAnimals")
        wrong = "" if told is None or isinstance(told, bool) else f"is {told!r}"
        ask("project.individualAnimals", "true or false", wrong)
    temporal = metadata.get("temporal")
    if isinstance(temporal, dict):
        for name in ("start", "end"):
            ask(f"temporal.{name}", "is a date", _date_problem(temporal.get(name), with_time=False) or "")
    roles = [c.get("role") for c in metadata.get("contributors") or [] if isinstance(c, dict)]
    odd = [role for role in roles if role not in (*_ROLES, None)]
    ask("contributors.role", f"one of {', '.join(_ROLES)}", f"is {odd[0]!r}" if odd else "")
    licences = metadata.get("licenses")
    if licences:
        scopes = {one.get("scope") for one in licences if isinstance(one, dict)}
        lacking = [scope for scope in ("data", "media") if scope not in scopes]
        ask("licenses", "one for the data and one for the media", f"has none for {lacking[0]}" if lacking else "")
    taxa = metadata.get("taxonomic")
    if isinstance(taxa, list):
        names = {one.get("scientificName") for one in taxa if isinstance(one, dict)}
        lacking = [name for name in species if name not in names]
        wrong = f"lacks {', '.join(lacking[:5])}{' and others' if len(lacking) > 5 else ''}" if lacking else ""
        ask("taxonomic", "holds every scientificName of the observations", wrong)
    return found


def _date_problem(given: Any, *, with_time: bool) -> str:
    from datetime import date, datetime

    if given is None:
        return "is missing"
    try:
        (datetime if with_time else date).fromisoformat(str(given).replace("Z", "+00:00"))
    except ValueError:
        return f"is {str(given)[:40]!r}"
    return ""
