"""What tests of studies share: small methods, a small raster, and a way to write a study."""

import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.studies.small_methods import small_methods


@pytest.fixture
def calls() -> Iterator[Counter[str]]:
    """Declares the small methods and counts how often each ran."""
    counted: Counter[str] = Counter()
    with small_methods(lambda name: counted.update([name])):
        yield counted


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that is quick to write, where the report is not what is tested."""
    module: Any = ModuleType("linkways.studies.report")

    def write_report(folder: Path) -> Path:
        path = Path(folder) / "report.html"
        path.write_text("<!doctype html><title>a report</title>", encoding="utf-8")
        return path

    module.write_report = write_report
    monkeypatch.setitem(sys.modules, "linkways.studies.report", module)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a raster of 4 x 5 cells (`land.tif`: 1 to 20) and a table (`values.csv`)."""
    from linkways.spatial import new_raster, write_raster

    values = np.arange(1.0, 21.0).reshape(4, 5)
    raster = new_raster(values, crs="EPSG:3035", cell_size=100.0, origin=(4_000_000, 3_000_000))
    write_raster(raster, tmp_path / "land.tif")
    rows = "".join(f"{n},{n * 10}\n" for n in range(1, 21))
    (tmp_path / "values.csv").write_text("class,value\n" + rows)
    return tmp_path


@pytest.fixture
def write(home: Path) -> Callable[[str], Path]:
    """Write a study beside the raster and return its path."""

    def write_study(text: str, name: str = "study.yaml") -> Path:
        path = home / name
        path.write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
        return path

    return write_study
