"""Answers PostgreSQL and Valkey for one command or test run. Touches a temporary folder and leaves nothing behind."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from huntaze.local import folder, postgres, valkey
from huntaze.local.parts import Part, group_signal, popen_options
from huntaze.local.ports import ports_choose
from huntaze.local.supervisor import PartDown


@dataclass(frozen=True, slots=True)
class Services:
    """Where the two answer, in the form of the settings."""

    database_url: str
    redis_endpoint: str


@contextmanager
def services(database_home: Path | None = None) -> Iterator[Services]:
    """Both servers, tuned to forget. Call it from a thread that outlives the block: they die with it.

    database_home: where PostgreSQL's data stay for another run; it must lie where an unprivileged user can walk to.
    """
    with ExitStack() as stack:
        home = stack.enter_context(temporary_folder())
        ports = ports_choose({"postgres": 0, "valkey": 0})
        database = postgres.Postgres(database_home or home / "postgres", ports["postgres"], durable=False)
        redis = valkey.Valkey(home / "valkey", ports["valkey"], durable=False)
        wait_redis = stack.enter_context(_running(valkey.part(redis), home))
        postgres.create(database)
        wait_database = stack.enter_context(_running(postgres.part(database), home))
        wait_redis()
        wait_database()
        yield Services(database.url, redis.endpoint)


def run(command: list[str], values: Mapping[str, str]) -> int:
    """Run a command beside throwaway services; answers its exit code."""
    with services() as found:
        child = {
            **os.environ,
            **values,
            "DATABASE_URL": found.database_url,
            "REDIS_ENDPOINT": found.redis_endpoint,
            "HUNTAZE_ENV_FILES": "false",
        }
        process = subprocess.Popen(command, env=child)  # noqa: S603  the command is what the caller typed
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                # The terminal has told the command too; its end is awaited so that it can clean up.
                continue


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that PostgreSQL's user can walk to, deleted at the end."""
    where = None if folder.run_as() is None or folder.reachable(Path(tempfile.gettempdir())) else folder.SHELTERS
    path = Path(tempfile.mkdtemp(prefix="huntaze-", dir=where))
    try:
        yield folder.folder_make(path)
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _running(part: Part, home: Path) -> Iterator[Callable[[], None]]:
    """The part's process; gives the function that waits until it is ready."""
    log = home / f"{part.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  a binary of our own packages
            part.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, **popen_options(part)
        )

    def wait() -> None:
        end = time.monotonic() + 60
        while part.ready is not None and not part.ready():
            if process.poll() is not None or time.monotonic() > end:
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
                raise PartDown(part.name, f"exit code {process.poll()}.", lines[-20:])
            time.sleep(0.02)

    try:
        yield wait
    finally:
        # Nothing here is kept, so nothing is worth a clean stop; PostgreSQL's own quick one frees its shared memory.
        process.send_signal(signal.SIGQUIT if part.name == "postgres" else signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=5)
        group_signal(process.pid, signal.SIGKILL)
        process.wait()
