"""How one installation of the application is set up: where it keeps things, what it allows, who is asking."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ANYONE", "Settings", "User"]

_RANKS = ("reader", "contributor", "reviewer", "editor", "administrator")


@dataclass(frozen=True)
class User:
    """Who is asking. Without accounts there is one user, the person at this machine, who may do everything.

    Attributes:
        id: stands as author of what the user writes.
        name: as others read it.
        role: reader (not signed in), contributor, reviewer, editor or administrator.
        csrf: the token that this session's forms carry.
    """

    id: str = "local"
    name: str = "You"
    role: str = "administrator"
    csrf: str = ""

    def at_least(self, role: str) -> bool:
        """Whether the role reaches that far."""
        return _RANKS.index(self.role) >= _RANKS.index(role)


ANYONE = User("", "", "reader")
"""Someone who is not signed in."""


@dataclass(frozen=True)
class Settings:
    """What the person who starts the server decides.

    Attributes:
        runs: the folder of runs; every run folder in it is shown. What the application keeps for itself (jobs,
            uploads, drafts) lies in ``.linkways`` inside it.
        hosts: names under which the server may be asked; others are refused, so that no foreign page can reach it by
            a name of its own.
        read_from: folders on the server that inputs may be read from by path; none by default.
        workers: worker processes that run studies.
        steps_at_once: steps of one run side by side; None for one per core.
        most_waiting: unfinished runs that one user may have.
        most_running: runs of one user at the same time.
        most_upload_mb: size of one upload.
        most_user_mb: size of all uploads of one user together.
        most_cells: cells of one raster that is given as an input.
        patience_s: how long a worker may be silent before its run is given to another.
        auth: whether people sign in; without, everyone who reaches the server is the one user of this machine.
        catalogue: database of the catalogue (and of accounts); empty for a file beside the jobs table.
    """

    runs: Path
    hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
    read_from: tuple[Path, ...] = ()
    workers: int = 1
    steps_at_once: int | None = None
    most_waiting: int = 10
    most_running: int = 2
    most_upload_mb: float = 500.0
    most_user_mb: float = 5000.0
    most_cells: int = 100_000_000
    patience_s: float = 15.0
    auth: bool = False
    catalogue: str = ""

    @property
    def own(self) -> Path:
        """The folder of what the application keeps for itself."""
        return self.runs / ".linkways"

    @property
    def database(self) -> Path:
        """The file of the jobs table."""
        return self.own / "jobs.sqlite"

    @property
    def catalogue_url(self) -> str:
        """Where the catalogue is: the address given, or a file."""
        return self.catalogue or str(self.own / "catalogue.sqlite")

    def job_folder(self, id: str) -> Path:
        """The folder of what a run was asked with: its study and the inputs that were given."""
        return self.own / "jobs" / id

    def tiles_folder(self, id: str) -> Path:
        """The folder of a run's vector tiles, which are made anew when they are gone."""
        return self.own / "tiles" / id
