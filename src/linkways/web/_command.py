"""``linkways serve``: the command that serves the application."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["serve_command"]


@click.command("serve")
@click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Folder of the runs shown."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--name", "names", multiple=True, help="A further name under which the server may be asked.")
@click.option(
    "--read-from",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="A folder that inputs may be read from by path.",
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that run studies.")
@click.option("--auth", is_flag=True, help="People sign in; they are invited by an administrator.")
@click.option(
    "--catalogue", default="", metavar="URL", help="Database of the catalogue, postgresql://...; by default a file."
)
@click.option("--open", "open_browser", is_flag=True, help="Open the start page in a browser.")
@click.option("--once", is_flag=True, help="Start, answer once, and end.")
def serve_command(
    runs: Path,
    host: str,
    port: int,
    names: tuple[str, ...],
    read_from: tuple[Path, ...],
    workers: int,
    auth: bool,
    catalogue: str,
    open_browser: bool,
    once: bool,
) -> None:
    """Serve solutions, runs and replications in a browser, on this machine."""
    from linkways.web import serve

    serve(
        runs,
        host=host,
        port=port,
        hosts=names,
        read_from=read_from,
        workers=workers,
        auth=auth,
        catalogue=catalogue,
        open_browser=open_browser,
        once=once,
        tell=click.echo,
    )
