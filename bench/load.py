"""Answers how many requests a second an address takes, and how long each takes. Touches sockets of this machine.

The requests are bytes made beforehand, written by uvloop as soon as the connection's last answer is complete, of which
only the length is read, so that the client takes little of the cores it shares
with the servers; each run tells its part.
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
    """What a run found; times in milliseconds. `client_share` is the part of one core that the client itself took."""

    per_second: float
    p50: float
    p99: float
    client_share: float


def request_bytes(path: str, headers: dict[str, str]) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


class _Caller(asyncio.Protocol):
    """One connection: the next request goes out when the last answer is complete."""

    def __init__(self, requests: "cycle[bytes]", until: float, took: list[float], ended: asyncio.Future[None]) -> None:
        self.requests, self.until, self.took, self.ended = requests, until, took, ended
        self.received, self.begin = b"", 0.0

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
        self.took.append(now - self.begin)
        if now < self.until:
            self._ask()
        else:
            self.transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.ended.done():
            self.ended.set_exception(error)
        self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if time.perf_counter() < self.until:
            self.ended.set_exception(error or RuntimeError("The server closed the connection."))
        else:
            self.ended.set_result(None)


async def _run(port: int, requests: Sequence[bytes], connections: int, seconds: float) -> list[float]:
    loop, following, took = asyncio.get_running_loop(), cycle(requests), list[float]()
    until = time.perf_counter() + seconds
    ends = [loop.create_future() for _ in range(connections)]
    for ended in ends:
        await loop.create_connection(
            lambda ended=ended: _Caller(following, until, took, ended),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.wait_for(asyncio.gather(*ends), timeout=seconds + 30)
    return took


def load(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS, seconds: float) -> Load:
    """Ask for each of the requests in turn, over so many connections. Raises RuntimeError for anything but 200."""
    begin, cpu = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        took = runner.run(_run(port, requests, connections, seconds))
    passed, used = time.perf_counter() - begin, time.process_time() - cpu
    cuts = statistics.quantiles(took, n=100) if len(took) > 1 else took * 99
    return Load(len(took) / passed, cuts[49] * 1_000, cuts[98] * 1_000, used / passed)
