"""The crew: worker processes that the server starts, replaces when they die, and sends home at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from linkways.web.settings import Settings

__all__ = ["Crew"]


class Crew:
    """Worker processes for one server, used as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.processes: list[subprocess.Popen[bytes]] = []
        self._end = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="crew", daemon=True)

    def __enter__(self) -> Crew:
        self.processes = [self._start() for _ in range(self.settings.workers)]
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._keeper.join()
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(timeout=10.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        chosen = self.settings
        numbers = (os.getpid(), chosen.most_running, chosen.patience_s, chosen.steps_at_once or 0)
        command = [sys.executable, "-m", "linkways.web.worker", str(chosen.runs.absolute()), *map(str, numbers)]
        # in a group of its own, so that Ctrl-C at the server reaches it only through the server
        # an address of a database may hold a password, which no list of processes should show
        surroundings = {**os.environ, "LINKWAYS_WEB_CATALOGUE": chosen.catalogue_url}
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, env=surroundings)

    def _keep(self) -> None:
        while not self._end.wait(1.0):
            for place, process in enumerate(self.processes):
                if process.poll() is not None and not self._end.is_set():
                    self.processes[place] = self._start()
