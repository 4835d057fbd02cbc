"""Build the documentation into site/: the written pages, and the reference made from the methods' declarations."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from linkways.method import Method, methods

ROOT = Path(__file__).resolve().parents[1]


def reference_page(declared: Method) -> str:
    """One method as Markdown."""
    lines = [f"# {declared.id}", "", declared.summary, "", declared.description, ""]
    if declared.inputs:
        lines += ["## Inputs", "", "| name | kind | what |", "| --- | --- | --- |"]
        for item in declared.inputs:
            columns = getattr(item.spec, "columns", ())
            needs = f" Columns: {', '.join(columns)}." if columns else ""
            kind = f"{item.kind}{', several' if item.spec.many else ''}{'' if item.required else ', optional'}"
            lines.append(f"| `{item.name}` | {kind} | {item.spec.doc}.{needs} |")
    if declared.parameters:
        lines += ["", "## Parameters", "", "| name | type | unit | bounds | default | what |", "| --- " * 6 + "|"]
        for parameter in declared.parameters:
            spec = parameter.spec
            default = "required" if parameter.required else f"`{parameter.default}`"
            source = f" Source: {spec.source}." if spec.source else ""
            kind = parameter.type_name.replace("|", "or")
            lines.append(
                f"| `{parameter.name}` | {kind} | {spec.unit} | {parameter.bounds} | {default} | {spec.doc}.{source} |"
            )
    lines += ["", "## Outputs", "", "| name | kind | unit | what |", "| --- " * 4 + "|"]
    lines += [f"| `{o.name}` | {o.kind} | {o.unit} | {o.doc} |" for o in declared.outputs]
    if declared.examples:
        lines += ["", "## Example", "", "```python", declared.examples, "```"]
    if declared.references:
        lines += ["", "## Sources", "", *(f"- {source}" for source in declared.references)]
    return "\n".join(lines) + "\n"


def reference_index() -> str:
    """All methods as Markdown, a table for each room."""
    rooms: dict[str, list[Method]] = {}
    for declared in methods().values():
        rooms.setdefault(declared.room, []).append(declared)
    lines = ["# All methods", "", f"{len(methods())} methods in {len(rooms)} rooms."]
    for room, found in sorted(rooms.items()):
        about = (import_module(f"linkways.{room}").__doc__ or "").strip().split("\n")[0]
        lines += ["", f"## {room}", "", about, "", "| method | what you get |", "| --- | --- |"]
        for declared in sorted(found, key=lambda one: one.id):
            summary = declared.summary.replace("|", "\\|")
            lines.append(f"| [`{declared.id}`]({declared.id}.md) | {summary} |")
    return "\n".join(lines) + "\n"


def write_reference(folder: Path) -> None:
    """Write a page for each method, and the list of all."""
    folder.mkdir(parents=True, exist_ok=True)
    for declared in methods().values():
        (folder / f"{declared.id}.md").write_text(reference_page(declared), encoding="utf-8")
    (folder / "index.md").write_text(reference_index(), encoding="utf-8")


def main() -> int:
    """Gather the pages in a temporary folder and let MkDocs build them."""
    with tempfile.TemporaryDirectory() as folder:
        pages = Path(folder) / "docs"
        shutil.copytree(ROOT / "docs", pages, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
            # links from the root of the repository are links from the root of the pages here
            text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
            (pages / name.lower()).write_text(text, encoding="utf-8")
        write_reference(pages / "reference")
        config = Path(folder) / "mkdocs.yml"
        config.write_text(
            "site_name: Linkways\n"
            "theme: {name: readthedocs, navigation_depth: 3}\n"
            "use_directory_urls: false\n"
            f"docs_dir: {pages}\n"
            f"site_dir: {ROOT / 'site'}\n",
            encoding="utf-8",
        )
        return subprocess.call([sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config)])


if __name__ == "__main__":
    sys.exit(main())
