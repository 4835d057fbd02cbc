"""What a user can name in the catalogue exists and is documented, and asking for the room costs little."""

import subprocess
import sys

import pytest

import linkways.catalogue


def test_everything_exported_exists_is_documented_and_sorted():
    names = linkways.catalogue.__all__
    assert len(set(names)) == len(names)
    for name in names:
        found = getattr(linkways.catalogue, name)
        if callable(found):
            assert found.__doc__, name
    assert set(dir(linkways.catalogue)) == set(names)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'open_stor'"):
        _ = linkways.catalogue.open_stor


def test_importing_the_room_loads_nothing_heavy():
    code = "import linkways.catalogue, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "sqlalchemy", "alembic", "jinja2", "numpy", "shapely"} & set(loaded)


def test_no_room_below_imports_the_catalogue():
    import re
    from pathlib import Path

    import linkways

    root = Path(linkways.__file__).parent
    above = {"catalogue", "studies", "cli.py", "web"}
    wrong = [
        file
        for file in root.rglob("*.py")
        if file.relative_to(root).parts[0] not in above
        and re.search(r"linkways\.catalogue", file.read_text(encoding="utf-8"))
    ]
    assert wrong == []
