"""Answers whether one creator's backlog slows another's reply. Touches a stand, a simulator and a worker of its own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench import stand
from onlyfans.simulator.server import SimulatorServer

CREATORS = 200
BACKLOG = 10_000
REPLIES_A_SECOND = 5
SLOWER_GOAL = 1.5


@contextmanager
def worker_process() -> Iterator[None]:
    """A worker as it runs in production, told to stop at the end."""
    process = subprocess.Popen([sys.executable, "manage.py", "run_worker"])
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


def percentile(values: list[float], share: float) -> float:
    return statistics.quantiles(values, n=1_000, method="inclusive")[round(share * 1_000) - 1]


def main() -> None:
    simulator = SimulatorServer()
    simulator.accounts = stand.accounts(CREATORS + 1)
    with simulator, stand.product(ONLYFANS_API_BASE_URL=simulator.base_url), worker_process():
        from bench import backlog  # its models can be imported once the stand is up

        simulator.configure(latency_ms=stand.VENDOR_LATENCY_MS)
        fan_id = simulator.fan_id(simulator.usernames()[0])
        *creators, heavy = backlog.creators_make(simulator.accounts, [fan_id])
        # The first message of all opens connections.
        backlog.replies(simulator, creators[:20], a_second=REPLIES_A_SECOND)
        alone = backlog.replies(simulator, creators, a_second=REPLIES_A_SECOND)
        backlog.overdue(heavy, messages=BACKLOG)
        beside = backlog.replies(simulator, creators, a_second=REPLIES_A_SECOND)
        left = backlog.waiting(heavy)
        time.sleep(1)
    stand.title(
        f"From writing a reply to the platform: {CREATORS} creators, one reply each, {REPLIES_A_SECOND} a second"
    )
    for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
        before, after = percentile(alone, share), percentile(beside, share)
        stand.row(
            f"{name}, alone and beside {BACKLOG:,} overdue of one creator",
            f"{before:.3f} s",
            f"{after:.3f} s, {after / before:.2f} times",
        )
    stand.row("of these still waiting at the end", f"{left:,}")
    stand.goal(
        "p99 beside ÷ alone", found=percentile(beside, 0.99) / percentile(alone, 0.99), wanted=SLOWER_GOAL, at_most=True
    )


if __name__ == "__main__":
    main()
