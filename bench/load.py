"""Answers how many requests a second an address takes, and how long each takes. Touches sockets of this machine.

The requests are bytes made beforehand, written by uvloop as soon as the connection's last answer is complete, of which
only the length is read, so that the client takes little of the cores it shares
with the servers; each run tells its part.

A connection is opened once the one before it had an answer, and the clock starts with the last. Were all opened in one
go, whichever process of the server wakes first could take most of them: of sixteen mostly seven to nine or eight each,
but four to twelve and two to fourteen were counted (by `ss`), and then most wait for each other at one process while
the other has little to serve.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import uvloop

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Load:
    """What a run found; times in milliseconds. `client_share` is the part of one core that the client itself took.

    `answers` counts those as well that came before the clock was started.
    """

    per_second: float
    p50: float
    p99: float
    client_share: float
    answers: int


def request_bytes(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class _Clock:
    """When a run begins and ends, in `time.perf_counter`; `took` are the seconds of each answer asked for meanwhile."""

    def __init__(self) -> None:
        self.begin = self.end = float("inf")
        self.cpu, self.answers, self.took = 0.0, 0, list[float]()

    def start(self, seconds: float) -> None:
        self.begin, self.cpu = time.perf_counter(), time.process_time()
        self.end = self.begin + seconds


class _Caller(asyncio.Protocol):
    """One connection: the next request goes out when the last answer is complete, until the clock says that it ends."""

    def __init__(self, requests: "cycle[bytes]", clock: _Clock) -> None:
        self.requests, self.clock = requests, clock
        self.received, self.begin = b"", 0.0
        loop = asyncio.get_running_loop()
        self.answered: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def _ask(self) -> None:
        self.received, self.begin = b"", time.perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(RuntimeError(f"answered {self.received[:500]!r}"))
            return
        lower = head.lower()
        length = lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        now = time.perf_counter()
        self.clock.answers += 1
        if self.begin >= self.clock.begin:
            self.clock.took.append(now - self.begin)
        if not self.answered.done():
            self.answered.set_result(None)
        if now < self.clock.end:
            self._ask()
        else:
            self.transport.close()

    def _fail(self, error: Exception) -> None:
        self._end(error)
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        early = time.perf_counter() < self.clock.end
        self._end((error or RuntimeError("The server closed the connection.")) if early else None)

    def _end(self, error: Exception | None) -> None:
        """Say so to whoever waits for the first answer or for the end."""
        for waited in (self.answered, self.ended):
            if waited.done():
                continue
            if error:
                waited.set_exception(error)
            else:
                waited.set_result(None)


async def _run(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> _Clock:
    loop, following, clock = asyncio.get_running_loop(), cycle(requests), _Clock()
    callers = []
    async with asyncio.timeout(seconds + 60):
        for _ in range(connections):
            _, caller = await loop.create_connection(lambda: _Caller(following, clock), "127.0.0.1", port)
            callers.append(caller)
            await caller.answered
        clock.start(seconds)
        await asyncio.gather(*(caller.ended for caller in callers))
    return clock


def load(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS, seconds: float) -> Load:
    """Ask for each of the requests in turn, over so many connections. Raises RuntimeError for anything but 200."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        clock = runner.run(_run(port, requests, connections, seconds))
    passed, took = time.perf_counter() - clock.begin, clock.took
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else took * 99
    used = time.process_time() - clock.cpu
    return Load(len(took) / passed, cuts[49] * 1_000, cuts[98] * 1_000, used / passed, clock.answers)
