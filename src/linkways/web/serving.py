"""Serving the application on this machine."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from linkways.errors import LinkwaysError
from linkways.web.settings import Settings

__all__ = ["serve"]

_LOCAL = ("127.0.0.1", "localhost", "::1")


def serve(
    runs: str | Path = "runs",
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    hosts: Sequence[str] = (),
    read_from: Sequence[str | Path] = (),
    workers: int = 1,
    auth: bool = False,
    catalogue: str = "",
    open_browser: bool = False,
    once: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Serve the application until it is stopped by Ctrl-C.

    Args:
        runs: the folder of runs, made when it does not exist; runs of the command line that lie in it are shown.
        host: address to listen at.
        port: port to listen at; 0 takes a free one.
        hosts: further names under which the server may be asked.
        read_from: folders that inputs may be read from by path.
        workers: worker processes that run studies.
        auth: let people sign in; the first time a link is told with which the first administrator makes an account.
        catalogue: database of the catalogue, ``postgresql://...``; by default a file in the folder of runs.
        open_browser: open the start page in a browser once it answers.
        once: do everything but stay: start, fetch the start page, tell the address and end.
        tell: called with the address.

    Raises:
        LinkwaysError: the port is taken, or the folder cannot be written to.
    """
    import uvicorn

    from linkways.web.application import create_app

    listening = _listen(host, port)
    address = f"http://{_shown(host)}:{listening.getsockname()[1]}"
    names = tuple(dict.fromkeys((*(f"[{n}]" if ":" in n else n for n in (*_LOCAL, host)), *hosts)))
    settings = Settings(
        _folder(Path(runs)),
        hosts=names,
        read_from=tuple(Path(one) for one in read_from),
        workers=workers,
        auth=auth,
        catalogue=catalogue,
    )
    app = create_app(settings)
    accounts = app.state.site.accounts
    if accounts is not None and not accounts.people():
        token = accounts.invite(None, "", "administrator")
        tell(f"Make the account of the administrator at {address}/join?token={token}")
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    said = threading.Thread(target=_when_up, args=(server, address, tell, open_browser, once), daemon=True)
    said.start()
    server.run(sockets=[listening])
    said.join(timeout=5.0)


def _when_up(server: object, address: str, tell: Callable[[str], None], open_browser: bool, once: bool) -> None:
    """Wait until the server answers, then say where it is."""
    import time
    import urllib.request

    while not getattr(server, "started", False):
        if getattr(server, "should_exit", False):
            return
        time.sleep(0.02)
    if once:
        with urllib.request.urlopen(f"{address}/") as answer:
            tell(f"Linkways answers at {address} ({answer.status})")
        server.should_exit = True  # type: ignore[attr-defined]
        return
    tell(f"Linkways is at {address} (Ctrl-C ends it)")
    if open_browser:
        webbrowser.open(address)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise LinkwaysError(
            f"cannot listen at {host} port {port} ({error.strerror or error}); give another --port"
        ) from None
    return listening


def _folder(runs: Path) -> Path:
    try:
        (runs / ".linkways").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LinkwaysError(f"the folder {runs} cannot be written to ({error.strerror}); give another") from None
    return runs.absolute()


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
