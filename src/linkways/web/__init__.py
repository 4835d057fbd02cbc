"""The application in a browser: solutions, runs, replications and scenarios on pages, each with a JSON twin.

>>> from linkways.web import create_app, serve  # doctest: +SKIP
>>> serve("runs", port=8000)  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from linkways.errors import MissingExtra

if TYPE_CHECKING:
    from linkways.web.application import create_app
    from linkways.web.serving import serve
    from linkways.web.settings import Settings, User

__all__ = ["Settings", "User", "create_app", "serve"]

_HOMES = {"application": ("create_app",), "serving": ("serve",), "settings": ("Settings", "User")}
_EXTRA = {"fastapi", "starlette", "uvicorn", "python_multipart", "markdown_it", "sqlalchemy", "alembic", "pydantic"}


def __getattr__(name: str) -> Any:
    """Open the module that holds a public name when it is first asked for."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            try:
                return getattr(import_module(f"linkways.web.{module}"), name)
            except ModuleNotFoundError as error:
                missing = (error.name or "").partition(".")[0]
                if missing not in _EXTRA:
                    raise
                raise MissingExtra(missing, "web", "the application in a browser") from None
    raise AttributeError(f"module 'linkways.web' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
