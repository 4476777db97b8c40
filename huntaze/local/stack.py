"""Answers `make run`: everything on this machine, in order, with one table of where it is. Touches `.local/`."""

import asyncio
import contextlib
import http.client
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from huntaze import env
from huntaze.local import environment, folder, postgres, sqs, summary, valkey
from huntaze.local.console import colours_wanted, say
from huntaze.local.environment import Plan
from huntaze.local.parts import Part
from huntaze.local.ports import LOOPBACK
from huntaze.local.supervisor import PartDown, Supervisor

# make and the terminal may both hand on one Ctrl-C; a person is slower.
ONE_PRESS_SECONDS = 0.3
MANAGE = (sys.executable, "manage.py")
FANS = "onlyfans/samples/fans_app_format.csv"
# What the simulator's fans paid before, so that the pages of revenue have something to show.
PAST_DAYS = 60
SYNC_EVERY_SECONDS = 300
# A file that is there once tables and queues are.
PREPARED = "prepared"


def up(local: Path) -> int:
    """Run the stack until a signal; answers the exit code."""
    with folder.lock(local) as lock_file:
        stack_env = local / "stack.env"
        # What a killed stack left must not count as configuration.
        stack_env.unlink(missing_ok=True)
        env.env_files_load()
        plan = environment.plan(local)
        folder.lock_note(lock_file, plan.web)
        try:
            return asyncio.run(_run(plan, stack_env))
        finally:
            # Without it manage.py says that DATABASE_URL is not set and names `make run`.
            stack_env.unlink(missing_ok=True)


async def _run(plan: Plan, stack_env: Path) -> int:
    supervisor = Supervisor(say, colours=colours_wanted())
    starting = asyncio.create_task(_start(plan, stack_env, supervisor))
    asked = asyncio.Event()

    asked_at = 0.0

    def stop_asked() -> None:
        nonlocal asked_at
        if not asked.is_set():
            asked_at = time.monotonic()
            asked.set()
        elif time.monotonic() - asked_at > ONE_PRESS_SECONDS:
            say("Killing what is left.")
            supervisor.kill_all()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop_asked)
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
    code = 0
    if starting.done() and (error := starting.exception()) is not None:
        code = 1
        _say_failure(error)
    elif not asked.is_set():
        await waiting
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await starting
    waiting.cancel()
    say("Stopping. Ctrl-C again kills at once.")
    await supervisor.stop()
    say("Stopped.")
    return code


def _say_failure(error: BaseException) -> None:
    if isinstance(error, PartDown):
        say("\n".join(["", f"{error} Its last lines:", *(f"    {line}" for line in error.lines or ["(none)"]), ""]))
    elif isinstance(error, folder.StackRefused | postgres.PostgresFailed):
        say(f"\n{error}\n")
    else:
        raise error


async def _start(plan: Plan, stack_env: Path, supervisor: Supervisor) -> None:
    begun = time.monotonic()
    say("Starting; the addresses follow in some seconds.")
    if plan.postgres is not None:
        # First of all, because settings need its password.
        folder.folder_make(plan.postgres.home)
        folder.kept_secret(plan.postgres.home / "password")
    values = environment.settings_of(plan)
    environment.file_write(stack_env, values)
    child = environment.child_environment(values, local_aws=plan.sqs is not None)
    prepared = plan.local / PREPARED
    prepared.unlink(missing_ok=True)
    web, worker, *others = _apps(plan, child)
    # Started beside the services: they wait for them after they have loaded Django.
    await supervisor.start(_prepare(plan, child))
    await supervisor.start(web)
    await asyncio.gather(*(_service(supervisor, part) for part in _services(plan, child)))
    if plan.simulator:
        await supervisor.start(_simulator(plan, child))
    await supervisor.wait_done("prepare")
    prepared.touch()
    await supervisor.start(worker)
    # The others load when somebody can sign in already; nobody waits for what they do in the first seconds.
    await supervisor.wait_ready("web")
    for part in others:
        await supervisor.start(part)
    if plan.simulator and plan.postgres is not None:
        await supervisor.start(_webhooks(plan, child))
    if plan.simulator:
        with contextlib.suppress(PartDown):
            await supervisor.wait_ready("simulator", within=10)
    say(summary.text(plan, seconds=time.monotonic() - begun))
    if plan.simulator and plan.postgres is not None:
        # Last, because nobody waits for it; a database or a vendor of somebody's own is theirs to sync.
        await supervisor.start(_sync(child))
    for name, running in supervisor.parts.items():
        if running.part.restarts and not (running.alive and running.restarts == 0):
            say(f"{name} did not come up. Its last lines:")
            say("\n".join(f"    {line}" for line in running.lines))


async def _service(supervisor: Supervisor, part: "Part | postgres.Postgres") -> None:
    if isinstance(part, postgres.Postgres):
        await asyncio.to_thread(postgres.create, part)
        part = postgres.part(part)
    await supervisor.start(part)
    await supervisor.wait_ready(part.name)


def _services(plan: Plan, child: Mapping[str, str]) -> list["Part | postgres.Postgres"]:
    parts: list[Part | postgres.Postgres] = []
    if plan.postgres is not None:
        parts.append(plan.postgres)
    if plan.valkey is not None:
        parts.append(valkey.part(plan.valkey))
    if plan.sqs is not None:
        parts.append(sqs.part(plan.sqs, provision=_prepare_queues(plan, child)))
    return parts


def _prepare_queues(plan: Plan, child: Mapping[str, str]) -> Part:
    command = (sys.executable, "-m", "huntaze.local.prepare", "--queues-port", str(plan.ports["sqs"]))
    return Part(name="queues", command=command, env=child, restarts=False)


def _prepare(plan: Plan, child: Mapping[str, str]) -> Part:
    """Queues and demo data only in services of ours: nothing is put into somebody's own."""
    command = [sys.executable, "-m", "huntaze.local.prepare", "--tables"]
    if plan.sqs is not None:
        command += ["--queues-port", str(plan.sqs.port)]
    if plan.postgres is not None:
        command.append("--demo")
    return Part(name="prepare", command=tuple(command), env=child, restarts=False)


def _simulator(plan: Plan, child: Mapping[str, str]) -> Part:
    port = plan.ports["simulator"]
    data = str(plan.local / "simulator.sqlite3")
    return Part(
        name="simulator",
        command=(
            *MANAGE,
            "run_simulator",
            "--port",
            str(port),
            "--data",
            data,
            "--fans",
            FANS,
            *_vendor_limits(),
            *_vendor_life(),
            f"--past={PAST_DAYS}",
        ),
        env=child,
        ready=lambda: _get(LOOPBACK, port, "/log.json") == http.HTTPStatus.OK,
    )


def _vendor_limits() -> list[str]:
    """The simulator refuses what OnlyFans would; where a person has set other limits, it goes by those."""
    limit = env.integer("RATE_LIMIT_MESSAGES", default=10, minimum=1, maximum=1_000)
    window = env.seconds("RATE_LIMIT_WINDOW_SECONDS", default=60, minimum=0.1, maximum=86_399)
    gap = env.seconds("RATE_LIMIT_MIN_GAP_SECONDS", default=3, minimum=0, maximum=3_600)
    return [f"--limit={limit}", f"--window={window}", f"--min-gap={gap}"]


def _vendor_life() -> list[str]:
    """A fan or so a minute, so that whoever looks sees one answer."""
    return [f"--life={env.seconds('SIMULATOR_LIFE', default=1, minimum=0, maximum=1_000)}"]


def _webhooks(plan: Plan, child: Mapping[str, str]) -> Part:
    """The simulator tells the demo's creators what their fans do."""
    host = LOOPBACK if plan.host == "0.0.0.0" else plan.host  # noqa: S104  compared, not bound
    url = f"http://{f'[{host}]' if ':' in host else host}:{plan.ports['web']}"
    return Part(name="webhooks", command=(*MANAGE, "connect_webhooks", "--url", url), env=child, restarts=False)


def _sync(child: Mapping[str, str]) -> Part:
    """What the events have missed. Not the fans, of whom the simulator shows all to each of the three creators."""
    command = (*MANAGE, "sync_onlyfans", "--all", "--every", str(SYNC_EVERY_SECONDS))
    return Part(name="sync", command=(*command, "--only", "chats", "--only", "transactions"), env=child, quiet=True)


def _apps(plan: Plan, child: Mapping[str, str]) -> list[Part]:
    host, port = plan.host, plan.ports["web"]
    asked_at = LOOPBACK if host == "0.0.0.0" else host  # noqa: S104  compared, not bound
    warm = (sys.executable, "-m", "huntaze.local.warm", str(plan.local / PREPARED))
    uvicorn = (*warm, "uvicorn", "huntaze.asgi:application", "--host", host, "--port", str(port))
    # Requests are logged by the product; Django has no lifespan.
    quiet = ("--no-access-log", "--log-level", "warning", "--lifespan", "off")
    return [
        Part(
            name="web",
            command=(*uvicorn, *quiet, "--timeout-graceful-shutdown", "3"),
            env=child,
            ready=lambda: _get(asked_at, port, "/livez") == http.HTTPStatus.OK,
        ),
        # Ctrl-C ends all in five seconds, and here nobody else waits for what a poll that is cut off hides.
        Part(name="worker", command=(*MANAGE, "run_worker"), env={**child, "WORKER_STOP_SECONDS": "1"}),
        Part(name="sweeper", command=(*MANAGE, "sweep", "--forever"), env=child),
        Part(name="events", command=(*MANAGE, "run_events"), env=child),
        Part(name="jobs", command=(*MANAGE, "run_jobs"), env={**child, "JOBS_STOP_SECONDS": "1"}),
    ]


def _get(host: str, port: int, path: str) -> int:
    """The status of a GET, 0 when nothing answers."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
