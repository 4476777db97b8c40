"""Answers what a chaos run leaves behind: starts everything, lets it storm, waits for quiet. Touches its processes."""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL

from chaos import evidence, stage
from chaos.journal import Journal
from chaos.ledger import Evidence
from chaos.plan import Kill, Plan, Victim
from chaos.stage import Stage
from huntaze.local import postgres, sqs, valkey
from huntaze.local.console import say
from huntaze.local.parts import Part
from huntaze.local.supervisor import Backoff, PartDown, Supervisor

# Django loads once for each of the processes.
START_WITHIN_SECONDS = 120
# Some seconds on an idle machine; a busy one has a backlog to work off.
QUIET_WITHIN_SECONDS = 300
# Whatever might still send something has had its turn: a lease, a visibility time-out, a sweep.
CALM_SECONDS = 8


class Director:
    """One run, from the first process to the last. All of it belongs to one event loop in the main thread."""

    def __init__(self, plan: Plan, home: Path) -> None:
        self.plan = plan
        self.stage: Stage = stage.stage_make(home)
        self._log = (home / "log").open("a", encoding="utf-8", buffering=1)
        self.supervisor = Supervisor(self._note, backoff=Backoff(first=0.3, longest=2, calm=5))
        self.journals = [Journal(self.stage.journal(number)) for number in range(len(plan.steps))]
        self.killed: dict[str, int] = {}

    def _note(self, line: str) -> None:
        self._log.write(f"{time.time():.3f} {line}\n")

    async def run(self) -> Evidence:
        say("Starting PostgreSQL, Valkey, ministack, microburst, the simulator, workers, the sweeper and producers.")
        child = stage.variables(self.stage)
        await asyncio.to_thread(postgres.create, self.stage.postgres)
        prepare = stage.prepare(self.stage, child)
        for part in (
            postgres.part(self.stage.postgres),
            valkey.part(self.stage.valkey),
            sqs.part(self.stage.sqs, provision=prepare),
        ):
            await self.supervisor.start(part)
        for name in ("postgres", "valkey", "sqs"):
            await self.supervisor.wait_ready(name)
        await self._do(prepare)
        for part in (stage.vendor(self.stage, self.plan, child), stage.proxy(self.stage, self.plan, child)):
            await self.supervisor.start(part)
            await self.supervisor.wait_ready(part.name)
        await self._do(stage.cast(self.stage, child))
        actors = (*stage.product(child), *stage.producers(self.stage, self.plan, child))
        for part in actors:
            await self.supervisor.start(part)
        await self._all_started([part.name for part in actors])
        begin = self.stage.beginning.begin()
        await asyncio.to_thread(stage.proxy_rules_set, self.stage, self.plan, begin=begin)
        await self._storm(begin)
        await self._quiet()
        return await asyncio.to_thread(self._evidence)

    async def _all_started(self, names: Sequence[str]) -> None:
        end = time.monotonic() + START_WITHIN_SECONDS
        for name in names:
            lines = self.supervisor.parts[name].lines
            while not any("started" in line for line in lines):
                if time.monotonic() > end:
                    raise PartDown(name, f"it did not start within {START_WITHIN_SECONDS} s.", list(lines))
                await asyncio.sleep(0.1)

    async def _do(self, part: Part) -> None:
        await self.supervisor.start(part)
        await self.supervisor.wait_done(part.name)

    async def _storm(self, begin: float) -> None:
        say(f"{self.plan.messages} messages and {len(self.plan.kills)} kills in {self.plan.seconds:g} s.")
        for kill in self.plan.kills:
            await asyncio.sleep(max(0.0, begin + kill.at - time.time()))
            self._kill(kill)
        await asyncio.sleep(max(0.0, begin + self.plan.seconds - time.time()))
        done = ", ".join(f"{number} {part}" for part, number in sorted(self.killed.items()))
        say(f"The storm is over. Killed: {done}.")

    def _kill(self, kill: Kill) -> None:
        running = self.supervisor.parts[kill.part]
        if running.process is None or not running.alive:
            self._note(f"chaos     | {kill.part} is down already")
            return
        self._note(f"chaos     | kills {kill.part}")
        self.killed[kill.part] = self.killed.get(kill.part, 0) + 1
        # PostgreSQL's children have left its session; all of them go in one moment, as when the power does.
        family = _children(running.process.pid) if kill.part == Victim.POSTGRES else []
        for pid in (running.process.pid, *family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, SIGKILL)

    async def _quiet(self) -> None:
        """Return when nothing is open any more and stays so, or when that has taken too long."""
        end, calm_since, told = time.monotonic() + QUIET_WITHIN_SECONDS, 0.0, 0.0
        while time.monotonic() < end:
            left = await asyncio.to_thread(self._left)
            now = time.monotonic()
            if left:
                calm_since = 0.0
                if now - told > 10:
                    say(f"Waiting for quiet: {left}.")
                    told = now
            elif not calm_since:
                calm_since = now
            elif now - calm_since > CALM_SECONDS:
                return
            await asyncio.sleep(0.5)
        say(f"It did not become quiet within {QUIET_WITHIN_SECONDS} s.")

    def _left(self) -> str:
        """What is not over yet, empty where all is."""
        if not all(journal.read()[1] for journal in self.journals):
            return "a producer is not done"
        number = evidence.open_count(self.stage.postgres.url, max_attempts=stage.MAX_ATTEMPTS)
        if number is None:
            return "PostgreSQL does not answer"
        if number:
            return f"{number} messages are open"
        if depth := evidence.queue_depth(self.stage.sqs):
            return f"{depth} copies are on the queue"
        letters = evidence.queue_depth(self.stage.sqs, dead_letters=True)
        failed = evidence.failed_count(self.stage.postgres.url)
        return f"{letters} dead letters for {failed} failed messages" if letters != failed else ""

    def _evidence(self) -> Evidence:
        return Evidence(
            wishes=evidence.wishes_read(self.plan, self.journals, self.stage.vendor_data),
            rows=evidence.rows_read(self.stage.postgres.url, max_attempts=stage.MAX_ATTEMPTS),
            arrivals=evidence.arrivals_read(self.stage.vendor_data),
            dead_letters=evidence.dead_letters_read(self.stage.sqs, self.stage.postgres.url),
        )

    async def stop(self) -> None:
        # Nobody else is worth waiting for; PostgreSQL's clean stop frees its shared memory.
        await self.supervisor.stop(app_seconds=0.1)
        self._log.close()


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        # Without it the children end by themselves when they find their parent gone.
        return []
    return [int(word) for word in text.split()]
