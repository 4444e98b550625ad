"""A PostgreSQL server of the tests' own: in a temporary folder, on loopback and a Unix socket."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PLACES = (os.environ.get("SELFOPT_POSTGRES_BIN", ""), *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))


def _program(name: str) -> str:
    for folder in _PLACES:
        if folder and (Path(folder) / name).is_file():
            return str(Path(folder) / name)
    found = shutil.which(name)
    assert found is not None, "PostgreSQL is missing: apt-get install postgresql, or name its programs with SELFOPT_POSTGRES_BIN"
    return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass(slots=True)
class Server:
    """A server with the superuser `owner`, whom every local connection is believed to be.

    The user `keyed` needs a password.
    """

    folder: Path
    durable: bool = False
    port: int = field(default_factory=_free_port)
    databases: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _killed: bool = False  # by us

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(data, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", str(data), "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        rules = "host all keyed 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules + (data / "pg_hba.conf").read_text())
        options = (
            f"listen_addresses = '127.0.0.1'\nport = {self.port}\nunix_socket_directories = '{data}'\nmax_connections = 200\n"
        )
        if not self.durable:
            options += "fsync = off\n"
        with (data / "postgresql.conf").open("a") as file:
            file.write(options)
        self.start()

    def _run(self, name: str, *arguments: str) -> None:
        subprocess.run(self._as_user([_program(name), *arguments]), check=True, capture_output=True, cwd="/", timeout=120)

    @staticmethod
    def _as_user(command: list[str]) -> list[str]:
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command] if os.geteuid() == 0 else command

    def start(self) -> None:
        """Start the server, and wait until it answers. One that finds sessions of its killed predecessor is started anew."""
        for _ in range(200):
            if self._process is None or self._process.poll() is not None:
                said = (self.folder / "log").read_text()[-2000:] if self._process is not None else ""
                assert not self._process or self._killed or "pre-existing shared memory" in said, said
                self._killed = False
                with (self.folder / "log").open("ab") as log:
                    command = self._as_user([_program("postgres"), "-D", str(self.folder / "data")])
                    self._process = subprocess.Popen(command, cwd="/", stdout=log, stderr=log, start_new_session=True)
            ready = subprocess.run(
                [_program("pg_isready"), "-h", "127.0.0.1", "-p", str(self.port), "-t", "5"], check=False, capture_output=True
            )
            if ready.returncode == 0:
                return
            select_nothing()
        raise AssertionError("the server did not become ready")

    def kill(self) -> None:
        """End the server and all its children at once, as a crash does."""
        assert self._process is not None
        self._killed = True
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(30)
        for pid in _sessions(self._process.pid):
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """End the server."""
        if self._process is not None and self._process.poll() is None:
            self._killed = True
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(30)

    def url(self, database: str, user: str = "owner") -> str:
        """The URL of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def execute(self, database: str, *statements: str, user: str = "owner") -> list[tuple[Any, ...]]:
        """Execute statements one by one. Returns the rows of the last."""
        import psycopg

        rows: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url(database, user), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def database(self, *, template: str = "template1") -> str:
        """Make a database, and return its name."""
        self.databases += 1
        name = f"db{self.databases}"
        self.execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def ledger(self) -> str:
        """Make a database with an empty ledger, and return its URL."""
        from selfopt.ledger.postgres_schema import migrate

        if not self.execute("postgres", "SELECT 1 FROM pg_database WHERE datname = 'made'"):
            self.execute("postgres", "CREATE DATABASE made")
            migrate(self.url("made"))
        return self.url(self.database(template="made"))


def select_nothing() -> None:
    """Let others run for a moment."""
    import select

    select.select([], [], [], 0.05)


def _sessions(pid: int) -> list[int]:
    """The processes that are left of a server's session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parts = entry.read_text().rpartition(")")[2].split()
            if int(parts[3]) == pid:
                found.append(int(entry.parent.name))
        except (OSError, IndexError, ValueError):
            continue
    return found


def make_server(*, durable: bool = False) -> Server:
    """A running server in a folder that its user may enter. durable: it syncs, as a real one."""
    # pytest's own folders are for root alone, and PostgreSQL does not run as root.
    return Server(Path(tempfile.mkdtemp(prefix="selfopt-postgres-", dir="/tmp" if durable else None)), durable)
