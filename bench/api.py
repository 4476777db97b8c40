"""Answers how many requests a second the hot addresses of the API take, beside a bare view and DRF's defaults.
Touches a stand, and three servers of its own: uvicorn with two workers each, as in production.

CREATORS, CONVERSATIONS and SECONDS change the size; SIZE=full is 200 creators × 10,000 conversations.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from bench import stand
from bench.load import CONNECTIONS, Load, load, request_bytes
from huntaze.local.ports import ports_choose

WORKERS = 2
START_SECONDS = 60
FULL = os.environ.get("SIZE") == "full"
CREATORS = int(os.environ.get("CREATORS", "200" if FULL else "20"))
CONVERSATIONS = int(os.environ.get("CONVERSATIONS", "10000"))
SECONDS = float(os.environ.get("SECONDS", "4"))
ROUNDS = 3
# Enough for a page 100, in so many creators' conversations.
THREAD, THREADS = 10_100, 10
# DRF has several ways to page and makes none its default: by cursors it is faster, by numbers it is met more often.
OURS, BARE, DEFAULTS, NUMBERED = "ours", "bare view", "DRF defaults", "DRF defaults by page numbers"
BARE_GOAL, DEFAULTS_GOAL, P99_GOAL_MS, FAR_GOAL = 0.45, 8, 25, 1.25
GOAL_LISTS = ("conversations", "messages")


TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """What it and its workers took of the processor so far; a busy machine makes it little longer.

        The fields of Linux's /proc/[pid]/stat that are counted behind the name in brackets: utime and stime.
        """
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (self.pid, *children))
        return sum(int(stat[11]) + int(stat[12]) for stat in stats) / TICKS_PER_SECOND


@contextmanager
def server(application: str, **more: str) -> Iterator[Server]:
    """A uvicorn with as many workers as in production."""
    port = ports_choose({"web": 0})["web"]
    command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), "--workers", str(WORKERS)]
    quiet = ["--no-access-log", "--log-level", "error", "--lifespan", "off"]
    process = subprocess.Popen([*command, *quiet], env={**os.environ, **more})  # noqa: S603
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=5)
            except urllib.error.HTTPError:
                break  # a peer has no such page, and answers
            except OSError as error:
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"{application} did not start.") from error
                time.sleep(0.1)
            else:
                break
        time.sleep(1)  # the other worker
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def page_after(port: int, path: str, headers: dict[str, str], pages: int) -> str:
    """The path of the page that is so many further on."""
    for _ in range(pages):
        asked = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        with urllib.request.urlopen(asked) as answer:  # noqa: S310
            path = json.load(answer)["next"].removeprefix(f"http://127.0.0.1:{port}")
    return path


@dataclass(frozen=True, slots=True)
class Run(Load):
    """`cpu_ms` is what the server itself took of the processor for a request, without the database."""

    cpu_ms: float


def measure(servers: Mapping[str, Server], requests: Mapping[str, list[bytes]]) -> dict[str, Run]:
    """The medians of several rounds, in turn, so that a busy moment hits all alike."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in requests}
    for name, each in requests.items():
        load(servers[name].port, each, seconds=1)  # connections, plans and caches are warm
    for _ in range(ROUNDS):
        for name, each in requests.items():
            found[name].append(astuple(_run_one(servers[name], each)))
    return {
        name: Run(*(statistics.median(column) for column in zip(*runs, strict=True))) for name, runs in found.items()
    }


def _run_one(of: Server, requests: list[bytes]) -> Run:
    used = of.cpu_seconds()
    run = load(of.port, requests, seconds=SECONDS)
    return Run(*astuple(run), cpu_ms=(of.cpu_seconds() - used) * 1_000 / run.answers)


def show(title: str, found: Mapping[str, Run]) -> None:
    stand.title(title)
    for name, run in found.items():
        peer = next((run.per_second / found[other].per_second for other in (BARE,) if other in found), None)
        beside = (
            f"p50 {run.p50:5.1f} ms  p99 {run.p99:5.1f} ms  {run.cpu_ms:5.2f} ms of CPU"
            f"  client {run.client_share:.0%} of a core"
        )
        stand.row(
            f"{name}{'' if peer is None or name == BARE else f' ({peer:.2f} of the bare view)'}",
            f"{run.per_second:,.0f} /s",
            beside,
        )


def main() -> None:
    with stand.product(
        SECRET_KEY="only-for-a-measurement-" + "0" * 32,
        ALLOWED_HOSTS="127.0.0.1",
        SECURE_SSL_REDIRECT="false",
        THROTTLE_GENERAL_PER_MINUTE="1000000",
    ):
        from bench import api_data  # its models can be imported once the stand is up

        tenants = api_data.tenants_make(
            creators=CREATORS, conversations=CONVERSATIONS, thread=THREAD, threads=min(THREADS, CREATORS)
        )
        with ExitStack() as stack:
            peers = {"DJANGO_SETTINGS_MODULE": "bench.api_settings"}
            servers = {
                OURS: stack.enter_context(server("huntaze.asgi:application")),
                BARE: stack.enter_context(server("bench.api_peers:application", BENCH_PEER="bare", **peers)),
                DEFAULTS: stack.enter_context(server("bench.api_peers:application", BENCH_PEER="defaults", **peers)),
            }
            _run(servers, tenants)


def _run(servers: Mapping[str, Server], tenants: list) -> None:  # type: ignore[type-arg]
    def headers(tenant: object) -> dict[str, str]:
        return {"Authorization": f"Bearer {tenant.token}", "X-Creator": str(tenant.creator_id)}  # type: ignore[attr-defined]

    def requests(path: str, among: list) -> list[bytes]:  # type: ignore[type-arg]
        return [
            request_bytes(path.format(fan=each.fan_id, conversation=each.conversation_id), headers(each))
            for each in among
        ]

    prefixes = {BARE: "/bare", DEFAULTS: "/defaults", OURS: "/api/crm"}
    servers = {**servers, NUMBERED: servers[DEFAULTS]}
    threads = tenants[:THREADS]
    only = os.environ.get("ONLY", "").split(",") if os.environ.get("ONLY") else None
    for what, path, among in (
        ("conversations", "/conversations", tenants),
        ("messages", "/conversations/{conversation}/messages", threads),
        ("fans", "/fans", tenants),
        ("one fan", "/fans/{fan}", tenants),
    ):
        if only and what not in only:
            continue
        asked = prefixes | ({NUMBERED: "/numbered"} if what in GOAL_LISTS else {})
        found = measure(servers, {name: requests(prefix + path, among) for name, prefix in asked.items()})
        show(f"{what}: requests a second, {CONNECTIONS} connections, uvicorn with {WORKERS} workers", found)
        if what not in GOAL_LISTS:
            continue
        ours = found[OURS]
        bare, defaults, numbered = (ours.per_second / found[peer].per_second for peer in (BARE, DEFAULTS, NUMBERED))
        stand.goal(f"{what}, ours ÷ bare view", found=bare, wanted=BARE_GOAL)
        stand.goal(f"{what}, ours ÷ DRF defaults", found=defaults, wanted=DEFAULTS_GOAL)
        stand.goal(f"{what}, ours ÷ DRF defaults by page numbers", found=numbered, wanted=DEFAULTS_GOAL)
        stand.goal(f"{what}, p99 in ms", found=ours.p99, wanted=P99_GOAL_MS, at_most=True)
        one = threads[0]
        first = prefixes[OURS] + path.format(conversation=one.conversation_id)
        far = page_after(servers[OURS].port, first, headers(one), 99)
        pages = measure(
            {"page 1": servers[OURS], "page 100": servers[OURS]},
            {"page 1": [request_bytes(first, headers(one))], "page 100": [request_bytes(far, headers(one))]},
        )
        show(f"{what}, of one creator", pages)
        slower = pages["page 1"].per_second / pages["page 100"].per_second
        stand.goal(f"{what}, page 1 ÷ page 100", found=slower, wanted=FAR_GOAL, at_most=True)
    if only and "messages/status" not in only:
        return
    asked = {OURS: "/api/onlyfans/messages/status", BARE: "/bare/status", DEFAULTS: "/defaults/status"}
    status = measure(servers, {name: requests(path, tenants) for name, path in asked.items()})
    show("messages/status (ours asks SQS too, and keeps its answer for some seconds)", status)


if __name__ == "__main__":
    main()
