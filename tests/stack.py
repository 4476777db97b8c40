"""A whole local stack for tests: `make run` in a process and a folder of its own. Touches a temporary folder."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from huntaze.local import folder
from huntaze.local.ports import ports_choose

ROOT = Path(__file__).resolve().parent.parent


class Stack:
    """A running `make run` in a terminal of its own, with its output."""

    def __init__(self, local: Path, settings: Mapping[str, str]) -> None:
        self.local = local
        self.web = ports_choose({"any": 0})["any"]
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HUNTAZE_ENV_FILES": "false",
            "HUNTAZE_LOCAL_DIR": str(local),
            "HUNTAZE_LOCAL_ANY_PORT": "true",
            "PORT": str(self.web),
            **settings,
        }
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            ["make", "--no-print-directory", "run", f"PYTHON={sys.executable}"],
            cwd=ROOT,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with self.process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())

    def says(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def value(self, name: str) -> str:
        """What the table says of a row."""
        return next(line for line in self.lines if line.startswith(name)).split()[1]

    def wait_until_up(self) -> None:
        # Seconds on a machine of its own, minutes on one that runs several at once.
        wait_for(lambda: self.says("Stop    ") or self.process.poll() is not None, 240, lambda: "\n".join(self.lines))
        assert self.process.poll() is None, "\n".join(self.lines)

    def ctrl_c(self) -> float:
        """What a terminal does: make and all that it runs get the signal. Answers the seconds until the end."""
        begun = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=20)
        self.reader.join(timeout=5)
        return time.monotonic() - begun

    def processes(self, word: str = "") -> list[int]:
        """The live processes that name our folder, in their arguments or their environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes()
                named = str(self.local).encode() in command + (entry / "environ").read_bytes()
            except OSError:
                continue
            if named and word.encode() in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
        return found

    def sending(self) -> int:
        """How many messages a worker has claimed and not finished."""
        lines = (self.local / "stack.env").read_text().splitlines()
        url = next(line for line in lines if line.startswith("DATABASE_URL=")).partition("=")[2]
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM messaging_delivery WHERE state = 'sending'").fetchone()
        return int(row[0])

    def supervisor(self) -> int:
        found: list[int] = []

        def one() -> bool:
            # A part that is just being started is called the same until it runs its own program.
            found[:] = self.processes("huntaze.local\0up")
            return len(found) == 1

        wait_for(one, 5, lambda: found)
        return found[0]


@contextmanager
def running(local: Path, settings: Mapping[str, str]) -> Iterator[Stack]:
    """settings: variables of .env.example beside those that place the stack."""
    stack = Stack(local, settings)
    try:
        stack.wait_until_up()
        yield stack
    finally:
        if stack.process.poll() is None:
            os.killpg(stack.process.pid, signal.SIGTERM)
            stack.process.wait(timeout=20)
        stack.reader.join(timeout=5)


@contextmanager
def folder_of_a_stack() -> Iterator[Path]:
    """A folder where an unprivileged user can walk to; pytest's own ones are closed to others."""
    with tempfile.TemporaryDirectory(prefix="huntaze-stack-") as path:
        yield folder.folder_make(Path(path))


def wait_for(condition: Callable[[], Any], seconds: float, why: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, why()
        time.sleep(0.05)


def ask(url: str, body: object = None, **headers: str) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)
