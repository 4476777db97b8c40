"""Answers in the platform's place and fails as the seed has it, for a time. Touches the simulator's own file."""

# Its own limits are off: what is sent too fast is taken, so that the ledger sees it.

import argparse
import contextlib
import logging
import random
import signal
from pathlib import Path

from chaos.beginning import Beginning
from chaos.plan import ACCOUNTS, NOT_SENT, Plan, plan_make
from onlyfans.simulator.faults import Fault, Faults, On
from onlyfans.simulator.server import NO_LIMITS, SAMPLE_FANS, Server
from onlyfans.simulator.state import Simulator
from onlyfans.simulator.store import Store

OUTAGE = Fault(status=503, body=NOT_SENT)


class Storm(Faults):
    """Draws what becomes of each send from the plan's probabilities while the storm lasts."""

    def __init__(self, plan: Plan, beginning: Beginning) -> None:
        super().__init__()
        self._plan = plan
        self._beginning = beginning
        self._chance = random.Random(f"{plan.seed}:storm")

    def next(self, *, on: On, account: str) -> Fault | None:
        at = self._beginning.since()
        if on is not On.SEND or at is None or at >= self._plan.seconds:
            return None
        if any(outage.account == account and outage.begin <= at < outage.end for outage in self._plan.outages):
            return OUTAGE
        draw = self._chance.random()
        for each in self._plan.vendor_faults:
            if draw < each.probability:
                return each.fault
            draw -= each.probability
        return None


def main() -> None:
    parser = argparse.ArgumentParser(prog="chaos.vendor")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--beginning", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    plan = plan_make(seed=asked.seed, minutes=asked.minutes)
    with contextlib.closing(Store(asked.data)) as store:
        store.seed(accounts=ACCOUNTS, fans_csv=SAMPLE_FANS, seed=1)
        storm = Storm(plan, Beginning(asked.beginning))
        Server(Simulator(store, NO_LIMITS, plan.latency_ms, storm), host="127.0.0.1", port=asked.port).run()


if __name__ == "__main__":
    main()
