"""Measures how long a file of transactions takes to become money, and in how much memory.

Each measurement is a process of its own, so that its processor time and peak memory are its own. The processor time is
that of the importing process, without PostgreSQL's. To compare with a former commit, run it there, too.
"""

import csv
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path

from bench import stand
from huntaze.local import throwaway

ROWS = 200_000
FANS = 20_000
ROUNDS = 3
MEMORY_MAX_MB = 300
HEADER = (
    "transaction_id", "onlyfans_created_at", "type", "status", "amount", "fee_amount", "net_amount", "vat_amount",
    "description", "fan_id", "fan_name",
)  # fmt: skip
KINDS = (("tips", "Tip from"), ("subscribes", "Subscription from"), ("chat_messages", "Payment for message from"))


def file_write(path: Path, *, rows: int, ids: bool) -> None:
    """Transactions of two years in no order, one in a hundred wrong."""
    rng = random.Random(7)
    begin = datetime(2024, 10, 1)  # noqa: DTZ001  as a file has it, without a zone
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(rows):
            at = begin + timedelta(seconds=rng.randrange(2 * 365 * 86_400))
            kind, description = rng.choice(KINDS)
            gross = rng.randrange(300, 20_000)
            fee = round(gross * 0.2)
            fan = rng.randrange(FANS)
            amounts = [f"{cents / 100:.2f}" for cents in (gross, fee, gross - fee, 0)]
            if number % 100 == 0:
                amounts[0] = "ten"
            name = f"Fan {fan}"
            writer.writerow(
                (f"tx{number}" if ids else "", at.isoformat(" "), kind, "done", *amounts, f"{description} {name}",
                 70_000_000 + fan, name)
            )  # fmt: skip


def child(path: Path) -> None:
    import django

    django.setup()
    # Two seconds, which a worker spends once.
    import pandas as pd  # noqa: F401
    import pyarrow.compute
    import pyarrow.csv  # noqa: F401
    from django.db import connection

    from crm.models import Creator
    from onlyfans.earnings_import import earnings_import

    connection.ensure_connection()
    creator = Creator.objects.get()
    begin, cpu = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        batch = earnings_import(creator=creator, user=None, filename="earnings.csv", content=file)
    print(
        json.dumps(
            {
                "rows": batch.total_rows,
                "inserted": batch.inserted,
                "unchanged": batch.unchanged,
                "seconds": time.perf_counter() - begin,
                "processor": time.process_time() - cpu,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024,
            }
        )
    )


def measure(path: Path, *, empty: bool) -> dict[str, float]:
    from django.db import connection

    with connection.cursor() as cursor:
        if empty:
            cursor.execute("TRUNCATE crm_transaction, onlyfans_importrow, onlyfans_importbatch CASCADE")
            cursor.execute("UPDATE crm_fan SET value_cents = 0")
        cursor.execute("VACUUM ANALYZE crm_transaction")
        cursor.execute("CHECKPOINT")
    command = [sys.executable, "-m", "bench.earnings_import", str(path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  ourselves
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def main(rows: int) -> None:
    with throwaway.services() as services, tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="huntaze.settings",
            HUNTAZE_ENV_FILES="false",
            SECRET_KEY="bench",  # noqa: S106  of a database that is thrown away
            LOG_LEVEL="CRITICAL",
            DATABASE_URL=services.database_url,
            REDIS_ENDPOINT=services.redis_endpoint,
        )
        import django
        from django.core.management import call_command
        from django.db import connection

        django.setup()
        call_command("migrate", verbosity=0, stdout=io.StringIO())
        from crm.models import Creator, Fan

        creator = Creator.objects.create(pk=1, name="Bench")
        Fan.objects.bulk_create(
            (
                Fan(creator=creator, platform_id=str(70_000_000 + number), name=f"Fan {number}")
                for number in range(FANS)
            ),
            batch_size=5_000,
        )
        memory = 0.0
        for ids in (True, False):
            path = Path(folder) / "earnings.csv"
            file_write(path, rows=rows, ids=ids)
            stand.title(f"{rows:,} transactions {'with' if ids else 'without'} ids, 1% bad")
            found: dict[str, list[dict[str, float]]] = {"first time": [], "again": []}
            for _ in range(ROUNDS):
                found["first time"].append(measure(path, empty=True))
                found["again"].append(measure(path, empty=False))
            for name, each in found.items():
                cpu = [one["processor"] for one in each]
                memory = max(memory, *(one["memory"] for one in each))
                stand.row(
                    name,
                    f"{statistics.median(cpu):.1f} s of a processor",
                    f"{statistics.median(one['seconds'] for one in each):.1f} s in all, "
                    f"{max(one['memory'] for one in each):.0f} MB",
                )
        stand.goal("peak memory in MB", found=memory, wanted=MEMORY_MAX_MB, at_most=True)
        connection.close()
        connection.close_pool()


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked and not asked[0].isdigit():
        child(Path(asked[0]))
    else:
        main(int(asked[0]) if asked else ROWS)
