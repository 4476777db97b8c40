"""Answers `make chaos`: one run, its ledger, and whether every promise was kept. Touches a temporary folder."""

import argparse
import asyncio
import random
import shutil
import signal
import sys
from pathlib import Path

from chaos.ledger import Evidence, ledger_make, ledger_text
from chaos.plan import LIMIT, plan_make
from chaos.run import Director
from huntaze.env import BASE_DIR
from huntaze.local.console import say
from huntaze.local.supervisor import PartDown
from huntaze.local.throwaway import temporary_folder

MINUTES_MAX = 60.0
# Less than this share of the plan, and the machine was too busy for a run to mean anything.
ENOUGH = 0.1


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, help="of an earlier run, to repeat it; drawn unless given")
    parser.add_argument("--minutes", type=_minutes, default=2.0, help="how long it storms")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a run that went well, too")
    asked = parser.parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if asked.seed is None else asked.seed
    plan = plan_make(seed=seed, minutes=asked.minutes)
    repeat = f"make chaos SEED={seed} MINUTES={asked.minutes:g}"
    say(f"Seed {seed}; the same again: {repeat}")
    with temporary_folder() as home:
        director = Director(plan, home)
        try:
            evidence = asyncio.run(_until_signal(director))
        except PartDown as down:
            say("\n".join([f"{down} Its last lines:", *down.lines]))
            _keep(home, seed)
            return 1
        if evidence is None:
            say("Stopped before its end.")
            return 1
        ledger = ledger_make(evidence, limit=LIMIT)
        share = f"{len(evidence.wishes)} of {plan.messages} messages asked for in time"
        say(f"\nLedger of seed {seed}, {asked.minutes:g} minutes, {share}\n{ledger_text(ledger, limit=LIMIT)}\n")
        if len(evidence.wishes) < plan.messages * ENOUGH:
            say(f"Only {len(evidence.wishes)} of {plan.messages} messages were asked for in time: that proves nothing.")
            _keep(home, seed)
            return 1
        if ledger.clean:
            say("Every promise was kept.")
            if asked.keep:
                _keep(home, seed)
            return 0
        say(f"A promise was broken. The same again: {repeat}")
        _keep(home, seed)
        return 1


def _minutes(value: str) -> float:
    number = float(value)
    if not 0.2 <= number <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(f"from 0.2 to {MINUTES_MAX:g}")
    return number


async def _until_signal(director: Director) -> Evidence | None:
    """What the run found; None where a signal ended it. Either way all that it started is stopped."""
    running = asyncio.create_task(director.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return None
    finally:
        await director.stop()


def _keep(home: Path, seed: int) -> None:
    """Whoever looks for the cause needs what everybody said and what the producers were told."""
    kept = BASE_DIR / "test-results" / f"chaos-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    for path in (home / "log", home / "vendor.sqlite3", *home.glob("*.jsonl")):
        if path.exists():
            shutil.copy(path, kept)
    say(f"What the processes said and the simulator took is in {kept.relative_to(BASE_DIR)}/")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
