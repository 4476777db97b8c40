"""Answers whether the services hold what the product needs: queues, tables, demo data. Touches all three."""

# One process does the three, because loading Django takes longer than each of them.

import argparse
import gc
import io
import os
import sys
import time
from collections.abc import Callable

import django
import psycopg
from django.core.management import call_command

from huntaze import env
from huntaze.local.ports import LOOPBACK, answers

PATIENCE = 60


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="huntaze.local.prepare")
    parser.add_argument("--queues-port", type=int, default=0)
    parser.add_argument("--tables", action="store_true")
    parser.add_argument("--demo", action="store_true")
    asked = parser.parse_args(arguments)
    # Migrations make thousands of classes, which the collector looks through for a third of the CPU time (9.3 s, else
    # 6.1 s); what it would free (150 MB) is free when this process ends, in some seconds.
    gc.disable()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
    django.setup()
    if asked.queues_port:
        while_starting(lambda: answers(asked.queues_port, host=LOOPBACK))
        # It prints the two variables, which stack.env has already.
        call_command("provision_queues", stdout=io.StringIO())
    if asked.tables:
        if asked.demo:
            # A database of ours, which starts at this moment.
            while_starting(_database_answers)
        call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    if asked.demo:
        call_command("load_demo", verbosity=0)
    return 0


def while_starting(ready: Callable[[], bool]) -> None:
    """Wait for a service that starts beside us. One that never answers is the command's to name."""
    end = time.monotonic() + PATIENCE
    while not ready() and time.monotonic() < end:
        time.sleep(0.05)


def _database_answers() -> bool:
    # Not through Django, whose pool logs each try that fails.
    try:
        psycopg.connect(env.text("DATABASE_URL"), connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
