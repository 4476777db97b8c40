"""Answers how the simulator is served: as a process of its own, or in a thread beside a test. Touches one TCP port."""

import asyncio
import contextlib
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from onlyfans.simulator.app import starlette_app
from onlyfans.simulator.life import Life
from onlyfans.simulator.past import past_make
from onlyfans.simulator.state import Simulator, control, deliveries
from onlyfans.simulator.store import DEMO_ACCOUNTS, Account, Fan, Limits, Store

SAMPLE_FANS = Path(__file__).resolve().parent.parent / "samples" / "fans_app_format.csv"

# What a test starts with: nothing in the way.
NO_LIMITS = Limits(messages=1_000_000, window_seconds=0, min_gap_seconds=0)


class Protocol(H11Protocol):
    """HTTP that lets the application close the connection without an answer, which ASGI has no word for."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["simulator.connection"] = transport
            await inner(scope, receive, send)

        self.app = app


class Server(uvicorn.Server):
    """uvicorn beside which the fans live; it ends every wait of the simulator when it is asked to stop."""

    def __init__(self, simulator: Simulator, *, host: str, port: int, seed: int = 1) -> None:
        self.simulator = simulator
        self.life = Life(simulator, seed)
        super().__init__(
            uvicorn.Config(
                starlette_app(simulator),
                host=host,
                port=port,
                http=Protocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="warning",
                # Longer than the client keeps an idle connection, so that it is never the server that closes first.
                timeout_keep_alive=75,
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        living = asyncio.create_task(self.life.run())
        try:
            await super().serve(sockets)
        finally:
            living.cancel()
            await asyncio.gather(living, return_exceptions=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.simulator.stopping.set()
        await super().shutdown(sockets)


class SimulatorServer:
    """A simulator on a free port of this machine, in a thread: `with SimulatorServer() as simulator: …`.

    The three demo accounts and the sample's fans are there, limits are off, every knob is a method.
    """

    def __init__(self, *, data: Path | None = None, fans_csv: Path | None = SAMPLE_FANS) -> None:
        self._data = data
        self._fans_csv = fans_csv
        self._stack = contextlib.ExitStack()
        self.base_url = ""
        self.accounts: tuple[Account, ...] = DEMO_ACCOUNTS

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            store = Store(self._data or Path(folder) / "simulator.sqlite3")
            stack.callback(store.close)
            store.seed(accounts=self.accounts, fans_csv=self._fans_csv, seed=1)
            self._simulator = Simulator(store, NO_LIMITS)
            listening = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))
            self.base_url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            self._server = Server(self._simulator, host="127.0.0.1", port=0)
            stack.enter_context(_serving(self._server, listening))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def deliveries(self, account: str = "") -> list[dict[str, Any]]:
        """Every message taken, the oldest first, as GET /log.json gives them."""
        return deliveries(self._simulator, account=account)

    def fan_id(self, username: str) -> str:
        """The numeric id of a fan of the sample; KeyError for a stranger."""
        fan = self._simulator.store.fan_named(username)
        if fan is None:
            raise KeyError(username)
        return str(fan.id)

    def life(self, do: Callable[[Life, Account, Fan], Any], *, username: str, account: int = 1) -> Any:
        """Have one fan do something at an account, in the server's own thread; what `do` gives (a coroutine, too)."""
        fan = self._simulator.store.fan_named(username)
        if fan is None:
            raise KeyError(username)

        async def act() -> Any:
            done = do(self._server.life, self.accounts[account - 1], fan)
            return await done if asyncio.iscoroutine(done) else done

        return asyncio.run_coroutine_threadsafe(act(), self._server.loop).result(10)

    def usernames(self) -> list[str]:
        return [fan.username for fan in self._simulator.store.fans()]

    def fail(self, kind: str = "status", **spec: Any) -> None:
        """What happens to the next request instead; the fields are those of faults.Fault."""
        control(self._simulator, {"faults": [{"kind": kind, **spec}]})

    def configure(self, **knobs: Any) -> None:
        """`latency_ms`, `messages`, `window_seconds`, `min_gap_seconds`, `life`."""
        control(self._simulator, knobs)

    def reset(self) -> None:
        """As it was at the start: no messages, no webhooks, no faults, no latency, no limits, no life."""
        control(self._simulator, {"reset": True, "latency_ms": 0, "life": 0})
        self._simulator.limits = NO_LIMITS


@contextlib.contextmanager
def _serving(server: Server, listening: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, args=([listening],), name="simulator", daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("The simulator did not start.")
        time.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass(frozen=True, slots=True)
class Options:
    """What a simulator of its own is started with."""

    host: str
    port: int
    data: Path
    fans_csv: Path | None
    limits: Limits
    latency_ms: int
    seed: int
    life: float = 0
    past_days: int = 0


def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT."""
    options.data.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(Store(options.data)) as store:
        store.seed(accounts=DEMO_ACCOUNTS, fans_csv=options.fans_csv, seed=options.seed)
        past_make(store, days=options.past_days, seed=options.seed)
        simulator = Simulator(store, options.limits, options.latency_ms, life=options.life)
        Server(simulator, host=options.host, port=options.port, seed=options.seed).run()
