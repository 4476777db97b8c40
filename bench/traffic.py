"""Answers how the whole product bears many users at once: how soon it answers, what fails, whether memory stays flat,
and whether what it accepted went out in time. Touches a stand, the product's processes, a simulator and locust.

USERS and MINUTES change the size; beside the minutes come those in which the users sign in. The servers run as in
production: two web processes, a worker, a sweeper, one for events and one for jobs.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

from bench import stand
from bench.fairness import percentile
from bench.throughput import Platform, platform
from huntaze.env import BASE_DIR
from huntaze.local.parts import Part, popen_options
from huntaze.local.ports import ports_choose

USERS = int(os.environ.get("USERS", "500"))
MINUTES = float(os.environ.get("MINUTES", "10"))
LOCUST = Path(os.environ.get("LOCUST", BASE_DIR / ".venv-load" / "bin" / "locust"))
WEB_PROCESSES = 2
# A sign-in takes a tenth of a second of a core, on purpose.
SIGN_INS_A_SECOND = 4
FANS, THREAD = 60, 100
PASSWORD = "only-for-a-measurement"  # noqa: S105  of a stand that forgets
SAMPLE_EVERY_SECONDS = 5
START_SECONDS = 60
# A campaign to five fans of a creator who has just written has its last turn within a minute.
DELIVERED_WITHIN_SECONDS = 180
STOP_SECONDS = 45
MEMORY_GOAL = 1.1
LIMIT_MESSAGES, LIMIT_WINDOW_MS, LIMIT_GAP_MS = 10, 60_000, 3_000
# The kernel's clock and the platform's differ by no more than their rounding to milliseconds.
ROUNDING_MS = 2


def memory_mb(pid: int) -> float:
    """What a process and its descendants hold of the machine's memory, as Linux counts it; 0 for one that is gone."""
    found = 0.0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                found = int(line.split()[1]) / 1024
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    return found + sum(memory_mb(int(child)) for child in children)


@dataclass
class Product:
    """The processes under load, with what each said and how its memory grew."""

    home: Path
    port: int
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def begin(self, name: str, *command: str, **more: str) -> None:
        with (self.home / f"{name}.log").open("wb") as log:
            part = Part(name=name, command=(sys.executable, *command), env={**os.environ, **more})
            self.processes[name] = subprocess.Popen(part.command, stdout=log, stderr=log, **popen_options(part))  # noqa: S603

    def sample(self) -> None:
        for name, process in self.processes.items():
            self.memory.setdefault(name, []).append(memory_mb(process.pid))

    def troubles(self) -> Counter[str]:
        """What the processes logged, which is warnings and worse, and which of them have ended."""
        found: Counter[str] = Counter()
        for name, process in self.processes.items():
            for line in (self.home / f"{name}.log").read_text(errors="replace").splitlines():
                try:
                    found[f"{name}: {json.loads(line)['event']}"] += 1
                except (ValueError, KeyError, TypeError):
                    found[f"{name}: {line[:160]}"] += 1
            if process.poll() is not None:
                found[f"{name} ended with code {process.returncode}"] += 1
        return found


@contextmanager
def product_running() -> Iterator[Product]:
    with tempfile.TemporaryDirectory(prefix="huntaze-traffic-") as folder:
        found = Product(Path(folder), ports_choose({"web": 0})["web"])
        uvicorn = ("-m", "uvicorn", "huntaze.asgi:application", "--port", str(found.port))
        # As the image does.
        quiet = ("--no-access-log", "--log-level", "warning", "--lifespan", "off")
        times = ("--timeout-graceful-shutdown", "3", "--timeout-keep-alive", "150")
        try:
            counts = {"PROMETHEUS_MULTIPROC_DIR": str(found.home / "metrics")}
            found.begin("web", *uvicorn, "--workers", str(WEB_PROCESSES), *quiet, *times, **counts)
            found.begin("worker", "manage.py", "run_worker")
            found.begin("sweeper", "manage.py", "sweep", "--forever")
            found.begin("events", "manage.py", "run_events")
            found.begin("jobs", "manage.py", "run_jobs")
            _answering(found)
            yield found
        finally:
            for process in found.processes.values():
                process.terminate()
            for process in found.processes.values():
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _answering(found: Product) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{found.url}/readyz", timeout=5)  # noqa: S310
            return
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > end or found.processes["web"].poll() is not None:
                raise RuntimeError(f"The web server did not start: {dict(found.troubles())}") from error
            time.sleep(0.2)


def users_play(found: Product, users: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Let them, and answer what locust says of it."""
    entries, report = found.home / "users.json", found.home / "report.json"
    entries.write_text(json.dumps(users))
    command = [LOCUST, "--locustfile", BASE_DIR / "bench" / "traffic_users.py", "--headless", "--only-summary"]
    size = ["--users", len(users), "--spawn-rate", SIGN_INS_A_SECOND, "--run-time", f"{seconds:.0f}s", "--reset-stats"]
    more = {
        "TRAFFIC_USERS": str(entries),
        "TRAFFIC_REPORT": str(report),
        "TRAFFIC_PASSWORD": PASSWORD,
    }
    with (found.home / "locust.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603
            [str(word) for word in (*command, *size, "--host", found.url, "--loglevel", "WARNING")],
            env={**os.environ, **more},
            stdout=log,
            stderr=log,
        )
    try:
        process.wait(seconds + 120)
    finally:
        process.kill()
        process.wait()
    if not report.exists():
        raise RuntimeError(f"locust ended without a report: {(found.home / 'locust.log').read_text()[-2_000:]}")
    told: dict[str, Any] = json.loads(report.read_text())
    return told


@contextmanager
def sampling(found: Product) -> Iterator[None]:
    over = threading.Event()

    def run() -> None:
        while not over.wait(SAMPLE_EVERY_SECONDS):
            found.sample()

    thread = threading.Thread(target=run, name="memory")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def thirds(samples: Sequence[float]) -> tuple[float, float]:
    """The means of the first and of the last third."""
    length = max(1, len(samples) // 3)
    return fmean(samples[:length]), fmean(samples[-length:])


def too_fast(deliveries: Sequence[tuple[str, int, str]]) -> list[str]:
    """Which accounts got more than the platform allows; the deliveries as `Platform.deliveries` gives them."""
    found = []
    for account, rows in groupby(sorted(deliveries), key=lambda row: row[0]):
        times = [at for _, at, _ in rows]
        window = any(b - a < LIMIT_WINDOW_MS - ROUNDING_MS for a, b in zip(times, times[LIMIT_MESSAGES:], strict=False))
        gap = any(b - a < LIMIT_GAP_MS - ROUNDING_MS for a, b in pairwise(times))
        found += [account] if window or gap else []
    return found


def show(report: Mapping[str, Any], found: Product, settled: int) -> None:
    """settled: where the memory's samples begin once all users are there."""
    total = report["total"]
    stand.title(f"{USERS} users for {MINUTES:g} minutes, {WEB_PROCESSES} web processes, one worker")
    stand.row("requests a second", f"{total['per_second']:,.0f} /s", f"{total['requests']:,} in all")
    print(f"  {'':<40} {'requests':>9} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}")
    for kind, each in [*sorted(report["kinds"].items()), ("all", total)]:
        cuts = " ".join(f"{each[cut]:>8,.0f}" for cut in ("p50", "p95", "p99"))
        print(f"  {kind:<40} {each['requests']:>9,} {cuts}")
    for what, number in sorted(report["told"].items()):
        stand.row(what, f"{number:,}")
    for name, samples in found.memory.items():
        first, last = thirds(samples[settled:])
        stand.goal(
            f"memory of {name}, last third ÷ first ({first:.0f} MB, then {last:.0f} MB)",
            found=last / first if first else math.nan,
            wanted=MEMORY_GOAL,
            at_most=True,
        )


def main() -> int:
    sign_in_seconds = USERS / SIGN_INS_A_SECOND
    with ExitStack() as stack:
        vendor: Platform = stack.enter_context(platform())
        stack.enter_context(
            stand.product(
                SECRET_KEY="only-for-a-measurement-" + "0" * 32,
                ALLOWED_HOSTS="127.0.0.1",
                DEBUG="false",
                SECURE_SSL_REDIRECT="false",
                PROXY_COUNT="1",
                LOG_LEVEL="WARNING",
                CLOUDWATCH_NAMESPACE="Huntaze",
                ONLYFANS_API_BASE_URL=vendor.base_url,
            )
        )
        from django.core.management import call_command

        from bench import traffic_data  # its models can be imported once the stand is up

        call_command("collectstatic", interactive=False, verbosity=0)
        users = traffic_data.users_make(
            accounts=stand.accounts(USERS), fan_ids=vendor.fan_ids, fans=FANS, thread=THREAD, password=PASSWORD
        )
        before = traffic_data.now()
        found = stack.enter_context(product_running())
        print(f"  {USERS} users sign in within {sign_in_seconds:.0f} s, then {MINUTES:g} minutes are measured.")
        with sampling(found):
            report = users_play(found, users, sign_in_seconds + MINUTES * 60)
        settled = math.ceil(sign_in_seconds / SAMPLE_EVERY_SECONDS)
        begun = time.monotonic()
        left = traffic_data.sent_wait(since=before, seconds=DELIVERED_WITHIN_SECONDS)
        waited, sent = time.monotonic() - begun, traffic_data.sent(since=before)
        arrived = vendor.deliveries()
        troubles = found.troubles()
    show(report, found, settled)
    accepted = report["told"].get("messages accepted", 0)
    lag = sent.lag_seconds or [0.0]
    stand.row("messages stored, sent, at the platform", f"{sent.stored:,}", f"{sent.sent:,}, {len(arrived):,}")
    stand.row("waited for the last of them", f"{waited:.0f} s")
    stand.row(
        "from a reply's turn to the platform", f"{percentile(lag, 0.5):.2f} s", f"p95 {percentile(lag, 0.95):.2f} s"
    )
    wrong = {
        **{f"answer: {what}": number for what, number in report["errors"].items()},
        **{f"log: {what}": number for what, number in troubles.items()},
        "messages accepted that are not stored": max(0, accepted - sent.stored),
        "messages that did not go out": left,
        "messages at the platform beside those sent": abs(len(arrived) - sent.sent),
        "messages twice at the platform": len(arrived) - len({key for *_, key in arrived}),
        "creators faster than the platform allows": len(too_fast(arrived)),
    }
    wrong = {what: number for what, number in wrong.items() if number}
    for what, number in wrong.items():
        stand.row(f"WRONG: {what}", f"{number:,}")
    print("  nothing went wrong" if not wrong else f"  {sum(wrong.values()):,} things went wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
