"""Answers whether `make run` starts, delivers through a crash and stops clean. Touches real processes, a folder."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from huntaze import demo_content
from huntaze.local import folder
from huntaze.local.ports import answers, ports_choose

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parent.parent
# The same machinery with short times: a lease, a limit and a sweep of seconds, not minutes.
QUICK = {
    "RATE_LIMIT_WINDOW_SECONDS": "2",
    "RATE_LIMIT_MIN_GAP_SECONDS": "0.05",
    "SEND_TIMEOUT_SECONDS": "2",
    "SEND_LEASE_SECONDS": "3",
    "SQS_VISIBILITY_TIMEOUT_SECONDS": "5",
    "SWEEP_EVERY_SECONDS": "0.5",
    "SWEEP_PENDING_AFTER_SECONDS": "1",
    "SWEEP_OVERDUE_AFTER_SECONDS": "3",
}


class Stack:
    """A running `make run` in a terminal of its own, with its output."""

    def __init__(self, local: Path) -> None:
        self.local = local
        self.web = ports_choose({"any": 0})["any"]
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "HUNTAZE_ENV_FILES": "false",
            "HUNTAZE_LOCAL_DIR": str(local),
            "HUNTAZE_LOCAL_ANY_PORT": "true",
            "PORT": str(self.web),
            **QUICK,
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
        wait_for(lambda: self.says("Stop    ") or self.process.poll() is not None, 60, lambda: "\n".join(self.lines))
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


@pytest.fixture
def local() -> Iterator[Path]:
    """A folder where an unprivileged user can walk to; pytest's own ones are closed to others."""
    with tempfile.TemporaryDirectory(prefix="huntaze-stack-") as path:
        yield folder.folder_make(Path(path))


@pytest.fixture
def stack(local: Path) -> Iterator[Stack]:
    running = Stack(local)
    try:
        running.wait_until_up()
        yield running
    finally:
        if running.process.poll() is None:
            os.killpg(running.process.pid, signal.SIGTERM)
            running.process.wait(timeout=20)
        running.reader.join(timeout=5)


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


def test_a_killed_worker_loses_nothing_and_repeats_nothing(stack):
    web, simulator = stack.value("Pages").rstrip("/"), stack.value("Simulator").rstrip("/")
    credentials = {"email": demo_content.CREATOR_EMAIL, "password": demo_content.PASSWORD}
    access = ask(f"{web}/api/auth/token", credentials)["access"]
    bearer = {"Authorization": f"Bearer {access}"}
    fans = ask(f"{web}/api/crm/fans", **bearer)["results"][:4]
    texts = [f"message {number} to {fan['handle']}" for number in range(4) for fan in fans]

    # Slow enough that some are on their way when the worker dies.
    ask(f"{simulator}/_control", {"latency_ms": 400})
    for text in texts:
        recipient = next(fan for fan in fans if text.endswith(f" {fan['handle']}"))
        sent = ask(
            f"{web}/api/onlyfans/messages/send", {"recipientId": f"fan_{recipient['id']}", "content": text}, **bearer
        )
        assert sent["status"] in {"queued", "parked"}

    def log() -> list[dict[str, Any]]:
        return ask(f"{simulator}/log.json")

    wait_for(lambda: len(log()) >= 2 and stack.sending(), 20, lambda: stack.lines[-20:])
    for pid in stack.processes("run_worker"):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: stack.says("worker    | ended with code -9"), 5, lambda: stack.lines[-20:])
    arrived = Counter[str]()

    def all_arrived() -> bool:
        arrived.clear()
        arrived.update(entry["text"] for entry in log())
        return set(texts) <= set(arrived)

    wait_for(all_arrived, 60, lambda: (sorted(set(texts) - set(arrived)), stack.lines[-30:]))

    def status() -> dict[str, Any]:
        return ask(f"{web}/api/onlyfans/messages/status", **bearer)

    def queue_is_empty() -> bool:
        time.sleep(1)  # the answer is kept for some seconds, and so many a minute are answered
        found = status()
        return not any(found[name] for name in ("queueDepth", "messagesInFlight", "messagesDelayed"))

    # Whatever might still repeat a message has had its turn when the queue is empty.
    wait_for(queue_is_empty, 30, status)
    all_arrived()
    assert arrived == Counter(texts)
    assert status()["dlqCount"] == 0
    assert ask(f"{web}/api/onlyfans/messages/failed", **bearer)["results"] == []


def test_a_second_stack_in_the_same_checkout_is_refused(stack):
    second = subprocess.run(
        [sys.executable, "-m", "huntaze.local", "up"],
        cwd=ROOT,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert "runs already" in second.stdout
    assert f"http://127.0.0.1:{stack.web}" in second.stdout
    reset = subprocess.run(
        [sys.executable, "-m", "huntaze.local", "reset", "--yes"],
        cwd=ROOT,
        env=stack.env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert reset.returncode == 1
    assert (stack.local / "postgres").exists()
    assert stack.ctrl_c() < 5
    assert stack.processes() == []
    assert not (stack.local / "stack.env").exists()
    assert not answers(stack.web)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_a_killed_supervisor_leaves_no_process_and_the_next_start_has_the_data(stack, local):
    os.kill(stack.supervisor(), signal.SIGKILL)
    wait_for(lambda: stack.processes() == [], 10, stack.processes)
    again = Stack(local)
    try:
        again.wait_until_up()
        credentials = {"email": demo_content.AGENCY_EMAIL, "password": demo_content.PASSWORD}
        assert ask(f"http://127.0.0.1:{again.web}/api/auth/token", credentials)["access"]
    finally:
        assert again.ctrl_c() < 5
