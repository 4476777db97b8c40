"""Answers what keeps the parts of the stack running and stops them in order. Touches their processes and output."""

# honcho was looked at: it stops everything when one process ends, and has neither an ordered stop nor a restart.

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from signal import SIGKILL

from huntaze.local.console import painted
from huntaze.local.parts import APP, Part, group_signal, popen_options

LAST_LINES = 20
# A line past this is shown in pieces; a traceback with a whole response in it must not stop the reader.
LINE_BYTES = 1 << 16


class PartDown(Exception):
    """A part did not come up; `lines` are the last it said."""

    def __init__(self, name: str, why: str, lines: list[str]) -> None:
        super().__init__(f"{name} did not come up: {why}")
        self.lines = lines


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds to wait before a restart: doubling from `first` to `longest`, forgotten after `calm` seconds alive."""

    first: float = 0.5
    longest: float = 10
    calm: float = 30

    def after(self, delay: float, alive: float) -> float:
        return self.first if not delay or alive >= self.calm else min(delay * 2, self.longest)


@dataclass(slots=True)
class Running:
    """What the supervisor knows of one part."""

    part: Part
    number: int
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    follow_up: asyncio.Task[None] | None = None
    up: bool = False
    exit_code: int | None = None
    restarts: int = 0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.returncode is None


class Supervisor:
    """Runs parts, each in a session of its own. All methods belong to one event loop in the main thread."""

    def __init__(self, write: Callable[[str], None], *, colours: bool = False, backoff: Backoff | None = None) -> None:
        self.parts: dict[str, Running] = {}
        self.stopping = False
        self._write = write
        self._colours = colours
        self._backoff = backoff or Backoff()

    async def start(self, part: Part) -> None:
        """Begin a part and look after it from now on."""
        running = self.parts[part.name] = Running(part, len(self.parts))
        await self._spawn(running)
        running.keeper = asyncio.create_task(self._keep(running))

    async def wait_ready(self, name: str, *, within: float = 60) -> None:
        """Return once the part is ready. Raises PartDown when it ends before, or takes longer."""
        running = self.parts[name]
        ready, end = running.part.ready, time.monotonic() + within
        while ready is not None and not await asyncio.to_thread(ready):
            if not running.alive:
                await self._ended(running)
                raise PartDown(name, f"it ended with code {running.exit_code}.", list(running.lines))
            if time.monotonic() > end:
                raise PartDown(name, f"not ready after {within:g} seconds.", list(running.lines))
            await asyncio.sleep(0.03)
        running.up = True

    async def wait_done(self, name: str) -> None:
        """Return when a part that does one thing has done it. Raises PartDown when that went wrong."""
        running = self.parts[name]
        await self._ended(running)
        if running.exit_code:
            raise PartDown(name, f"it ended with code {running.exit_code}.", list(running.lines))

    async def _ended(self, running: Running) -> None:
        if running.keeper is not None:
            await asyncio.wait([running.keeper], timeout=5 if running.part.restarts else None)

    async def stop(self, *, app_seconds: float = 3.2, seconds: float = 4.6) -> None:
        """Stop all, a service after its users. What lingers is killed: all is over within five seconds."""
        self.stopping = True
        end = time.monotonic() + seconds
        for stage in sorted({running.part.stage for running in self.parts.values()}, reverse=True):
            group = [running for running in self.parts.values() if running.part.stage == stage]
            for running in group:
                if running.process is not None and running.alive:
                    with contextlib.suppress(ProcessLookupError):
                        running.process.send_signal(running.part.stop_signal)
            keepers = [running.keeper for running in group if running.keeper is not None]
            if not keepers:
                continue
            # A keeper that waits for the next restart has nothing to wait for any more.
            for running in group:
                if running.keeper is not None and not running.alive and running.process is not None:
                    running.keeper.cancel()
            _, lingering = await asyncio.wait(keepers, timeout=self._patience(stage, end, app_seconds))
            for running in group:
                if running.keeper in lingering:
                    self._say(running, "did not stop in time and was killed")
                self._kill(running)
            if lingering:
                await asyncio.wait(lingering, timeout=1)

    @staticmethod
    def _patience(stage: int, end: float, app_seconds: float) -> float:
        """Services write their data at the end, so they get all the time that the others have left."""
        return app_seconds if stage == APP else max(end - time.monotonic(), 0.1)

    def kill_all(self) -> None:
        """Stop at once, in no order."""
        self.stopping = True
        for running in self.parts.values():
            self._kill(running)

    def _kill(self, running: Running) -> None:
        if running.process is not None:
            group_signal(running.process.pid, SIGKILL)

    async def _spawn(self, running: Running) -> None:
        part = running.part
        if part.before is not None:
            await asyncio.to_thread(part.before)
        running.process = await asyncio.create_subprocess_exec(
            *part.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_BYTES,
            **popen_options(part),
        )

    async def _keep(self, running: Running) -> None:
        delay = 0.0
        while True:
            begun = time.monotonic()
            running.exit_code = await self._listen(running)
            if not self._is_wanted(running):
                return
            delay = self._backoff.after(delay, time.monotonic() - begun)
            if running.part.quiet:
                for line in running.lines:
                    self._say(running, line)
            self._say(running, f"ended with code {running.exit_code}; starting it again in {delay:g} s")
            await asyncio.sleep(delay)
            if not self._is_wanted(running):
                return
            running.restarts += 1
            await self._spawn(running)
            if running.part.after_restart is not None:
                running.follow_up = asyncio.create_task(self._follow_up(running, running.part.after_restart))

    def _is_wanted(self, running: Running) -> bool:
        """Whether its end was unasked. A part that never came up is not started again: whoever waits for it says so."""
        came_up = running.up or running.part.ready is None
        return came_up and running.part.restarts and not self.stopping

    async def _follow_up(self, running: Running, part: Part) -> None:
        """Run what has to follow a restart, once the part is ready; its death meanwhile is the keeper's next round."""
        ready = running.part.ready
        while running.alive and ready is not None and not await asyncio.to_thread(ready):
            await asyncio.sleep(0.1)
        if running.alive and not self.stopping:
            await self.start(part)

    async def _listen(self, running: Running) -> int:
        """Pass the lines on until the process has ended; answers its exit code."""
        process = running.process
        assert process is not None and process.stdout is not None  # noqa: S101, PT018  _spawn has just set both
        reader = asyncio.create_task(self._read(running, process.stdout))
        code = await process.wait()
        # A grandchild may hold the pipe open; what it says no longer matters.
        group_signal(process.pid, SIGKILL)
        await asyncio.wait([reader], timeout=0.5)
        reader.cancel()
        return code

    async def _read(self, running: Running, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                line = end.partial
            except asyncio.LimitOverrunError as long:
                line = await stream.readexactly(long.consumed)
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            running.lines.append(text)
            if not running.part.quiet:
                self._say(running, text)

    def _say(self, running: Running, text: str) -> None:
        prefix = painted(f"{running.part.name:<9} |", running.number, colours=self._colours)
        self._write(f"{prefix} {text}")
