"""The databases that the store's tests run on: SQLite always, PostgreSQL where its programs are."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from linkways.catalogue import open_store


@pytest.fixture(scope="session")
def postgres_cluster(tmp_path_factory):
    """The address of a PostgreSQL server that lives as long as the tests."""
    programs = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True)), None)
    if programs is None:
        pytest.skip("PostgreSQL's programs are not below /usr/lib/postgresql")
    version = programs.parts[-3]
    if not Path(f"/usr/share/postgresql/{version}/extension/postgis.control").is_file():
        pytest.skip(f"PostGIS is not installed for PostgreSQL {version}")
    pytest.importorskip("psycopg")
    folder = tmp_path_factory.mktemp("postgres")
    as_user = []
    if os.geteuid() == 0:
        # the server refuses to run as root; the package made this user
        shutil.chown(folder, "postgres")
        for parent in folder.parents:
            if parent == Path("/tmp"):
                break
            parent.chmod(0o711)
        as_user = ["runuser", "-u", "postgres", "--"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(*arguments, check=True):
        subprocess.run([*as_user, *map(str, arguments)], check=check, capture_output=True, cwd="/")

    run(programs.parent / "initdb", "-D", folder / "data", "-U", "linkways", "--auth=trust", "-E", "UTF8")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off"
    run(programs.parent / "pg_ctl", "-D", folder / "data", "-w", "-l", folder / "log", "-o", options, "start")
    try:
        yield f"postgresql://linkways@127.0.0.1:{port}"
    finally:
        # pytest may have cleared the folder away by then, and the server ends with it
        run(programs.parent / "pg_ctl", "-D", folder / "data", "-m", "immediate", "stop", check=False)


@pytest.fixture
def postgres_url(postgres_cluster, request):
    """The address of a new empty database."""
    import psycopg

    name = f"test_{abs(hash(request.node.nodeid)) % 10**9}"
    with psycopg.connect(f"{postgres_cluster}/postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
    return f"{postgres_cluster}/{name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request, tmp_path):
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
def store(store_url):
    with open_store(store_url) as opened:
        yield opened
