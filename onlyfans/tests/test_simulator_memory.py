"""Answers whether the simulator, a program of its own, makes the same life anew and keeps what it took over a kill.
Touches files, processes and loopback.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from onlyfans.simulator.past import past_make
from onlyfans.simulator.server import SAMPLE_FANS
from onlyfans.simulator.store import DEMO_ACCOUNTS, Fan, Store

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "acct_demo1"


def fans_of(path: Path, *, seed: int = 1, times: int = 1) -> list[Fan]:
    store = Store(path)
    try:
        for _ in range(times):
            store.seed(accounts=DEMO_ACCOUNTS, fans_csv=SAMPLE_FANS, seed=seed)
        return store.fans()
    finally:
        store.close()


def test_the_same_file_gives_the_same_fans_however_often(tmp_path: Path) -> None:
    once = fans_of(tmp_path / "a.sqlite3")
    assert len(once) == 500
    assert once == fans_of(tmp_path / "a.sqlite3") == fans_of(tmp_path / "b.sqlite3", times=2)
    assert all(fan.spent_cents >= 0 and fan.last_seen for fan in once)
    other = fans_of(tmp_path / "c.sqlite3", seed=2)
    assert {fan.username for fan in other} == {fan.username for fan in once}
    assert {fan.id for fan in other}.isdisjoint({fan.id for fan in once})


def test_a_past_is_made_once_and_the_same_everywhere(tmp_path: Path) -> None:
    def made(name: str, times: int) -> list[tuple[int, str, int]]:
        store = Store(tmp_path / name)
        try:
            store.seed(accounts=DEMO_ACCOUNTS, fans_csv=SAMPLE_FANS, seed=1)
            spent = [fan.spent_cents for fan in store.fans()]
            for _ in range(times):
                past_make(store, days=60, seed=1)
            assert [fan.spent_cents for fan in store.fans()] == spent
            found = store.transactions(account=ACCOUNT, kind="", since=0, before=0, limit=-1)
        finally:
            store.close()
        times_paid = [each.paid_at for each in found]
        assert times_paid == sorted(times_paid, reverse=True)
        assert time.time() * 1000 > times_paid[0] > times_paid[-1] > (time.time() - 61 * 86_400) * 1000
        return [(each.fan, each.kind, each.cents) for each in found]

    once = made("a.sqlite3", 1)
    assert len(once) > 200
    assert {kind for _, kind, _ in once} == {"subscribes", "tips", "chat_messages"}
    assert made("b.sqlite3", 2) == once


@contextmanager
def process(data: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`manage.py run_simulator` on a free port, once it answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    command = [sys.executable, "manage.py", "run_simulator", "--port", str(port), "--data", str(data), *options]
    running = subprocess.Popen(
        command, cwd=ROOT, text=True, stderr=subprocess.PIPE, env={**os.environ, "LOG_LEVEL": "INFO"}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 30
        while True:
            try:
                httpx.get(url + "/log.json", timeout=2)
                break
            except httpx.ConnectError:
                if running.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.02)
        yield running, url
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


def test_a_killed_simulator_has_lost_nothing_and_a_stopped_one_waits_for_nobody(tmp_path: Path) -> None:
    headers = {"Authorization": "Bearer sim_key_demo1"}
    options = ("--min-gap", "0", "--limit", "2", "--window", "60")
    with process(tmp_path / "sim.sqlite3", *options) as (running, url), httpx.Client(headers=headers) as http:
        found = http.get(f"{url}/api/{ACCOUNT}/users/samito1").json()["data"]["id"]
        path = f"/api/{ACCOUNT}/chats/{found}/messages"
        key = {"Idempotency-Key": "k"}
        first = http.post(url + path, json={"text": "between us"}, headers=key).json()["data"]
        running.kill()
        running.wait()

    with process(tmp_path / "sim.sqlite3", *options) as (running, url), httpx.Client(headers=headers) as http:
        again = http.post(url + path, json={"text": "between us"}, headers=key)
        assert again.json()["data"] == first
        assert again.headers["Idempotent-Replayed"] == "true"
        assert [http.post(url + path, json={"text": "more"}).status_code for _ in range(2)] == [200, 429]
        http.post(url + "/_control", json={"faults": [{"kind": "delay", "delay_ms": 20_000, "on": "whoami"}]})
        waiting = threading.Thread(target=lambda: http.get(url + "/api/whoami"))
        waiting.start()
        while httpx.get(url + "/_control").json()["faults"]:
            time.sleep(0.01)
        began = time.perf_counter()
        running.send_signal(signal.SIGTERM)
        _, errors = running.communicate(timeout=10)
        # Half a second on a quiet machine. This bound only tells that it did not wait for the 20 s above.
        assert time.perf_counter() - began < 5
        waiting.join()
        assert running.returncode == 0
        lines = [line for line in errors.splitlines() if "message delivered" in line]
        assert len(lines) == 1
        assert "between us" not in errors
        assert "Traceback" not in errors


def test_it_knows_nothing_of_the_product() -> None:
    program = (
        "import sys, onlyfans.simulator.server\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('django', 'crm', 'messaging', 'huntaze')])"
    )
    found = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
