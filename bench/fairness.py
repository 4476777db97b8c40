"""Answers whether one creator's backlog slows another's reply. Touches a stand, a simulator and a worker of its own."""

import math
import subprocess
import sys
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
    """The smallest that so large a share of them does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


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
        found = {"alone": backlog.replies(simulator, creators, a_second=REPLIES_A_SECOND)}
        backlog.campaign_start(heavy, messages=BACKLOG)
        found["beside a campaign"] = backlog.replies(simulator, creators, a_second=REPLIES_A_SECOND)
        backlog.overdue(heavy)
        found["beside it, all of it due"] = backlog.replies(simulator, creators, a_second=REPLIES_A_SECOND)
    stand.title(
        f"From writing a reply to the platform: {CREATORS} creators, one reply each, {REPLIES_A_SECOND} a second"
    )
    for case, times in found.items():
        for name, share in (("p50", 0.5), ("p99", 0.99), ("worst", 1.0)):
            seconds, before = percentile(times, share), percentile(found["alone"], share)
            beside = "" if case == "alone" else f"{seconds / before:.2f} times"
            stand.row(f"{case}: {name}", f"{seconds:.3f} s", beside)
    ratio = percentile(found["beside a campaign"], 0.99) / percentile(found["alone"], 0.99)
    stand.goal(f"p99 beside a campaign to {BACKLOG:,} ÷ alone", found=ratio, wanted=SLOWER_GOAL, at_most=True)


if __name__ == "__main__":
    main()
