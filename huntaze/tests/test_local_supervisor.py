"""Answers whether the supervisor restarts, reports and stops its parts. Touches small Python processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from huntaze.local.parts import APP, SERVICE, Part
from huntaze.local.supervisor import Backoff, PartDown, Supervisor

# The signal of a parent's death is set between fork and exec; Python 3.12 warns of threads there.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")

FAST = Backoff(first=0.01, longest=0.04, calm=30)
FOREVER = "import time, sys; print('here', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOREVER}"


def python(name: str, code: str, **fields: Any) -> Part:
    return Part(name=name, command=(sys.executable, "-S", "-c", code), **fields)


def run(scenario: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> list[str]:
    """Run a scenario and stop everything after it; answers the lines."""
    lines: list[str] = []

    async def main() -> None:
        supervisor = Supervisor(lines.append, backoff=FAST)
        try:
            await scenario(supervisor)
        finally:
            await supervisor.stop(app_seconds=2)

    asyncio.run(main())
    return lines


async def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie whose parent has not looked yet is dead too.
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_lines_carry_the_name_of_their_part():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("web", "print('one'); print('two')", restarts=False))
        await supervisor.wait_done("web")

    assert run(scenario) == ["web       | one", "web       | two"]


def test_a_part_that_was_killed_is_started_again_and_it_says_so():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("worker", FOREVER))
        running = supervisor.parts["worker"]
        await until(lambda: len(running.lines) == 1)
        first = running.process.pid
        running.process.kill()
        await until(lambda: len(running.lines) == 2)
        assert running.process.pid != first

    assert "worker    | ended with code -9; starting it again in 0.01 s" in run(scenario)


def test_restarts_come_slower_until_the_part_lives_for_a_while():
    backoff = Backoff(first=0.5, longest=10, calm=30)
    delays, delay = [], 0.0
    for alive_for in (1, 1, 1, 1, 1, 1, 31, 1):
        delay = backoff.after(delay, alive_for)
        delays.append(delay)
    assert delays == [0.5, 1, 2, 4, 8, 10, 0.5, 1]


def test_what_follows_a_restart_runs_when_the_part_is_ready_again(tmp_path):
    done = tmp_path / "done"
    follow = python("queues", f"open({str(done)!r}, 'w')", restarts=False)

    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("sqs", FOREVER, ready=lambda: True, after_restart=follow))
        await supervisor.wait_ready("sqs")
        assert not done.exists()
        supervisor.parts["sqs"].process.kill()
        await until(done.exists)

    run(scenario)


def test_a_part_that_does_not_come_up_is_named_with_its_last_lines():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("web", "print('no module named crm'); raise SystemExit(3)", ready=lambda: False))
        with pytest.raises(PartDown, match="web did not come up: it ended with code 3") as caught:
            await supervisor.wait_ready("web")
        assert caught.value.lines == ["no module named crm"]

    run(scenario)


def test_a_part_that_is_never_ready_is_given_up():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("web", FOREVER, ready=lambda: False))
        with pytest.raises(PartDown, match="not ready after"):
            await supervisor.wait_ready("web", within=0.05)

    run(scenario)


def test_a_quiet_part_speaks_only_when_it_ends_unasked():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("valkey", FOREVER, stage=SERVICE, quiet=True))
        running = supervisor.parts["valkey"]
        await until(lambda: len(running.lines) == 1)
        running.process.kill()
        await until(lambda: running.restarts == 1)

    assert run(scenario)[:1] == ["valkey    | here"]


def test_a_very_long_line_does_not_stop_the_reader():
    async def scenario(supervisor: Supervisor) -> None:
        await supervisor.start(python("web", "print('x' * 300_000); print('after')", restarts=False))
        await supervisor.wait_done("web")

    assert run(scenario)[-1] == "web       | after"


def test_services_stop_after_their_users():
    order: list[str] = []

    def says_bye(name: str, stage: int) -> Part:
        code = (
            "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit()));"
            f"{FOREVER}"
        )
        return python(name, code, stage=stage)

    async def main() -> None:
        supervisor = Supervisor(lambda line: order.append(line.split()[0]) if line.endswith("bye") else None)
        for name, stage in (("postgres", SERVICE), ("web", APP), ("worker", APP)):
            await supervisor.start(says_bye(name, stage))
        await until(lambda: all(running.lines for running in supervisor.parts.values()))
        await supervisor.stop()

    asyncio.run(main())
    assert order[-1] == "postgres"
    assert sorted(order) == ["postgres", "web", "worker"]


def test_a_part_that_does_not_listen_is_killed_with_its_children():
    async def scenario(supervisor: Supervisor) -> None:
        code = (
            f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {DEAF!r}]).pid, flush=True); {DEAF}"
        )
        await supervisor.start(python("web", code))
        running = supervisor.parts["web"]
        await until(lambda: len(running.lines) == 3)
        child = int(next(line for line in running.lines if line.isdigit()))
        await supervisor.stop(app_seconds=0.05)
        assert not running.alive
        await until(lambda: not alive(child))

    assert "web       | did not stop in time and was killed" in run(scenario)


def test_stopping_does_not_wait_for_a_restart_that_is_due():
    async def main() -> float:
        supervisor = Supervisor(lambda line: None, backoff=Backoff(first=60))
        await supervisor.start(python("worker", "pass"))
        await until(lambda: supervisor.parts["worker"].exit_code == 0)
        begun = time.monotonic()
        await supervisor.stop()
        return time.monotonic() - begun

    assert asyncio.run(main()) < 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_no_part_outlives_a_supervisor_that_was_killed(tmp_path):
    code = f"""
import asyncio, sys
from huntaze.local.parts import Part
from huntaze.local.supervisor import Supervisor
async def main():
    supervisor = Supervisor(lambda line: None)
    await supervisor.start(Part("web", (sys.executable, "-c", {DEAF!r})))
    print(supervisor.parts["web"].process.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = int(supervisor.stdout.readline())
    assert alive(child)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    supervisor.stdout.close()
    asyncio.run(until(lambda: not alive(child)))


def test_a_second_ctrl_c_kills_at_once():
    async def main() -> float:
        supervisor = Supervisor(lambda line: None)
        await supervisor.start(python("web", DEAF))
        await until(lambda: len(supervisor.parts["web"].lines) == 1)
        begun = time.monotonic()
        stopping = asyncio.create_task(supervisor.stop())
        await asyncio.sleep(0.05)
        supervisor.kill_all()
        await stopping
        return time.monotonic() - begun

    assert asyncio.run(main()) < 2
