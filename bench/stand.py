"""Answers what a measurement stands on: PostgreSQL, Valkey and SQS of its own, and how a figure is told.
Touches a temporary folder, the environment of this process and the terminal."""

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from huntaze.local import sqs, throwaway
from huntaze.local.parts import Part, popen_options
from huntaze.local.ports import ports_choose
from onlyfans.simulator.store import Account

REGION = "us-east-1"
# What a platform far away takes for one answer.
VENDOR_LATENCY_MS = 150
SQS_START_SECONDS = 30


def accounts(count: int) -> tuple[Account, ...]:
    """So many accounts for a simulator."""
    return tuple(
        Account(f"acct_bench{n}", f"sim_key_bench{n}", f"Creator {n}", f"creator{n}", 900_000 + n)
        for n in range(1, count + 1)
    )


@contextmanager
def valkey() -> Iterator[str]:
    """The address of a Valkey that forgets."""
    with throwaway.services() as found:
        yield f"redis://{found.redis_endpoint}/0"


@contextmanager
def product(*, database_home: Path | None = None, **more: str) -> Iterator[None]:
    """Django set up on services of its own, tables and queues made; import models only inside of it.

    database_home: where the data stay for another run. more: environment variables of the product.
    """
    with throwaway.services(database_home) as found, _sqs() as server:
        os.environ.update(
            {
                "DJANGO_SETTINGS_MODULE": "huntaze.settings",
                "HUNTAZE_ENV_FILES": "false",
                "SECRET_KEY": "bench",
                "LOG_LEVEL": "CRITICAL",
                "DATABASE_URL": found.database_url,
                "REDIS_ENDPOINT": found.redis_endpoint,
                "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL": server.endpoint,
                "AWS_ACCESS_KEY_ID": "bench",
                "AWS_SECRET_ACCESS_KEY": "bench",
                "AWS_EC2_METADATA_DISABLED": "true",
                "SQS_RATE_LIMITER_QUEUE_URL": server.queue_url(sqs.QUEUE),
                "SQS_RATE_LIMITER_DLQ_URL": server.queue_url(sqs.DEAD_LETTER_QUEUE),
                "CLOUDWATCH_NAMESPACE": "",
                **more,
            }
        )
        # Django reads its settings when it is first imported, so that comes after they are known.
        import django
        from django.core.management import call_command
        from django.db import connections

        django.setup()
        call_command("migrate", verbosity=0)
        with Path(os.devnull).open("w") as nowhere:
            call_command("provision_queues", stdout=nowhere)
        try:
            yield
        finally:
            for connection in connections.all():
                connection.close()
                connection.close_pool()


@contextmanager
def _sqs() -> Iterator[sqs.Sqs]:
    with tempfile.TemporaryDirectory(prefix="huntaze-bench-") as home:
        server = sqs.Sqs(Path(home), ports_choose({"sqs": 0})["sqs"], REGION)
        part = sqs.part(server, provision=Part(name="none", command=()))
        with (Path(home) / "log").open("wb") as log:
            process = subprocess.Popen(part.command, stdout=log, stderr=log, **popen_options(part))  # noqa: S603
        try:
            end = time.monotonic() + SQS_START_SECONDS
            while not sqs.ready(server):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"SQS did not start: exit code {process.poll()}.")
                time.sleep(0.05)
            yield server
        finally:
            process.kill()
            process.wait()


def rates(runs: Mapping[str, Callable[[], int]], *, rounds: int = 5) -> dict[str, float]:
    """How many a second each run did: the median of several rounds, in turn, so that a busy moment hits all alike.

    Each run answers how many it did.
    """
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.perf_counter()
            done = run()
            found[name].append(done / (time.perf_counter() - begin))
    return {name: statistics.median(each) for name, each in found.items()}


def title(text: str) -> None:
    one, five, _ = os.getloadavg()
    print(f"\n{text}   (load {one:.1f}, over five minutes {five:.1f}; {os.cpu_count()} cores)")


def row(what: str, figure: str, beside: str = "") -> None:
    print(f"  {what:<58} {figure:>14}  {beside}".rstrip())


def table(found: Mapping[str, float], *, unit: str, peer: str) -> None:
    """Each figure, and how many times that of the peer it is."""
    for name, each in found.items():
        row(name, f"{each:,.0f} {unit}", "" if name == peer else f"{each / found[peer]:.2f} of {peer}")


def goal(what: str, *, found: float, wanted: float, at_most: bool = False) -> None:
    """Say whether a goal is reached, and plainly where it is not."""
    reached = found <= wanted if at_most else found >= wanted
    sign = "at most" if at_most else "at least"
    print(f"  goal {'reached' if reached else 'NOT REACHED'}: {what}: {found:.3g} (wanted: {sign} {wanted:g})")
