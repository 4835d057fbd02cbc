"""What a user can name is exactly what is documented, and asking for it costs little."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import linkways
from linkways.method import Method
from linkways.method import methods as all_methods

PUBLIC = {
    "linkways": {
        "LinkwaysError",
        "__version__",
        "catalogue",
        "corridors",
        "movement",
        "networks",
        "planning",
        "policy",
        "populations",
        "rivers",
        "seas",
        "spatial",
        "studies",
    },
    "linkways.errors": {"LinkwaysError", "MissingExtra", "StudyError", "nearest"},
}
BESIDE_THE_METHODS = {"corridors": {"resistance_matrix"}, "planning": {"PlanningProblem", "problem"}}
"""What of a room helps to state a method's problem or to use its result, and is no method itself."""
SCIENCES = ("corridors", "networks", "movement", "rivers", "seas", "populations")


def methods() -> dict[str, Method]:
    """The methods of the package; other tests declare some of their own."""
    return {id: one for id, one in all_methods().items() if one.function.__module__.startswith("linkways.")}


ROOMS = sorted({m.room for m in methods().values()})


@pytest.mark.parametrize("module", sorted(PUBLIC))
def test_exported_names_are_exactly_these(module):
    assert set(importlib.import_module(module).__all__) == PUBLIC[module]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_exports_exactly_its_methods_and_the_results_they_return(room):
    package = importlib.import_module(f"linkways.{room}")
    declared = [m for m in methods().values() if m.room == room]
    results = {type(None)}
    for m in declared:
        returned = m.function.__annotations__["return"]
        results.add(returned if isinstance(returned, type) else type(None))
    expected = {m.name for m in declared} | {r.__name__ for r in results - {type(None)}}
    assert set(package.__all__) == expected | BESIDE_THE_METHODS.get(room, set())


@pytest.mark.parametrize("room", ROOMS)
def test_every_exported_method_is_the_declared_one(room):
    package = importlib.import_module(f"linkways.{room}")
    for m in methods().values():
        if m.room == room:
            assert getattr(package, m.name).declaration.id == m.id


@pytest.mark.parametrize("name", ["linkways", "linkways.spatial", "linkways.studies"])
def test_everything_exported_exists_and_is_documented(name):
    module = importlib.import_module(name)
    for exported in module.__all__:
        found = getattr(module, exported)
        if callable(found):
            assert found.__doc__, exported


def test_every_module_says_what_it_is():
    for found in pkgutil.walk_packages(linkways.__path__, "linkways."):
        module = importlib.import_module(found.name)
        assert module.__doc__ or found.name.endswith("kernels"), found.name


def heavy_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {
        "xarray",
        "geopandas",
        "pandas",
        "rasterio",
        "numba",
        "scipy",
        "matplotlib",
        "networkx",
        "pyproj",
        "shapely",
    }
    return heavy & set(loaded)


def test_importing_linkways_loads_nothing_heavy():
    assert heavy_after("import linkways") == set()


def test_reading_all_declarations_loads_nothing_heavy():
    assert heavy_after("from linkways.method import methods; methods()") == set()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'rivres'"):
        _ = linkways.rivres


def imports_of_the_rooms():
    """(file, its room, room it imports, module it imports there), told from the source."""
    root = Path(linkways.__file__).parent
    for file in root.rglob("*.py"):
        own = file.relative_to(root).parts[0].removesuffix(".py")
        source = file.read_text(encoding="utf-8")
        for room, module in re.findall(r"^\s*(?:from|import) linkways\.(\w+)(?:\.(\w+))?", source, re.MULTILINE):
            yield file.name, own, room, module


def test_rooms_import_downwards_only():
    """cli > web > studies > catalogue > policy > planning > the sciences > method > spatial > kernels."""
    order = ["kernels", "spatial", "method", "sciences", "planning", "policy", "catalogue", "studies", "web", "cli"]
    # arguments and parameters belong to method; errors and workers lie under everything
    place = {name: i for i, name in enumerate(order)} | {"arguments": 2, "parameters": 2}
    place |= dict.fromkeys(SCIENCES, order.index("sciences"))
    wrong = [
        f"{file} imports {room}"
        for file, own, room, _ in imports_of_the_rooms()
        if own in place and room in place and place[room] > place[own]
    ]
    assert wrong == []


def test_no_room_of_methods_imports_the_private_parts_of_another():
    wrong = [
        f"{file} of {own} imports {room}.{module}"
        for file, own, room, module in imports_of_the_rooms()
        if own in (*SCIENCES, "planning", "policy") and own != room and module.startswith("_")
    ]
    assert wrong == []
