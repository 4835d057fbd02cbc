"""Linkways: plan, test and share ecological connectivity.

>>> import linkways
>>> callable(linkways.corridors.least_cost)
True
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    from linkways import (
        catalogue,
        corridors,
        movement,
        networks,
        planning,
        policy,
        populations,
        rivers,
        seas,
        spatial,
        studies,
    )

__version__ = "0.1.0"
__all__ = [
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
]


def __getattr__(name: str) -> ModuleType:
    """Open a room when it is first asked for, so that ``import linkways`` stays quick."""
    if name in __all__:
        return importlib.import_module(f"linkways.{name}")
    raise AttributeError(f"module 'linkways' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
