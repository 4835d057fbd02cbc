"""Fixtures that every room's tests use."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data that lies beside a checkout in development; tests skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the reference data folder ../shared/data is not beside this checkout")
    return folder
