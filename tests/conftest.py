"""Fixtures that every room's tests use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# where many people wait for one answer it is the same each time; at home every run looks at new examples
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data that lies beside a checkout in development; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the reference data folder ../shared/data is not beside this checkout")
    return folder
