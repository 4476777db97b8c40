"""Answers how fast a file of fans becomes rows, and in how much memory, beside `\\copy` and Django's ways.
Touches PostgreSQL and Valkey of its own, and a temporary folder.

Every measurement is a process of its own, so that its peak memory is its own, on a table that was emptied before. The
limit is `\\copy`: psycopg's COPY of the clean rows, which are ready in memory, into the same table with its indexes.
What is compared runs in turn for several rounds, on the same rows, and counts by its median: a busy moment of the
machine must not decide. A rate is of the rows that each was given: all of the file for the import, the clean ones for
the others.
"""

import csv
import io
import json
import multiprocessing
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import stand
from huntaze.local import throwaway

SIZES = (100_000, 1_000_000)
REPEATS, BAD = 0.08, 0.02
ROUNDS = 3
# Django's ways take far too long on a large file, so each has its own size, and the import is measured on that, too.
PEERS = (("bulk_create", 100_000, 8.0), ("django-import-export", 5_000, 100.0))
MEMORY_MAX_MB = 400
HEADER = ("Username", "Display Name", "Email", "Subscription Tier", "Total Spent", "Last Seen")
FIRST = ("Léa", "Sam", "Dana", "Hugo", "Casey", "José", "Taylor", "Chloé", "Noé", "Pat", "Jamie", "Drew", "Kim", "Nina")
LAST = ("Martin", "Ito", "Müller", "Smith", "García", "O'Neil", "Rossi", "Kaya", "Nowak", "Lee", "Dubois", "Weber")
COLUMNS = "creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents, last_seen_at"


def file_write(path: Path, clean: Path, *, rows: int) -> None:
    """A file with repeated and bad rows in no order, and its clean rows as COPY reads them."""
    rng = random.Random(7)
    good = int(rows * (1 - REPEATS - BAD))
    ids = list(range(good))
    rng.shuffle(ids)

    def amount() -> str:
        return f"${rng.randrange(500_000) / 100:,.2f}"

    def fan(number: int) -> list[str]:
        first, last = rng.choice(FIRST), rng.choice(LAST)
        handle = f"{first}{last}{number}".lower().translate(str.maketrans("éüí'", "euix"))
        email = f"{handle}@example.com" if number % 3 else ""
        seen = f"2026-{rng.randrange(1, 11):02}-{rng.randrange(1, 29):02}"
        return [handle, f"{first} {last}", email, rng.choice(("VIP", "Basic", "Premium", "")), amount(), seen]

    table = [fan(number) for number in ids]
    with clean.open("w") as file:
        for handle, name, email, tier, spent, seen in table:
            cents = int(spent[1:].replace(",", "").replace(".", ""))
            tags = f"{{{tier}}}" if tier else "{}"
            file.write(f"1\tonlyfans\t{handle}\t{handle}\t{name}\t{email}\t\t{tags}\t\t{cents}\t{seen} 00:00:00+00\n")
    for _ in range(int(rows * REPEATS)):
        again = list(table[rng.randrange(good)])
        again[4] = amount()
        table.append(again)
    wrong = ((0, "two words"), (2, "not-an-email"), (4, "five dollars"), (5, "2026-13-45"))
    for number in range(rows - len(table)):
        bad = fan(good + number)
        at, text = wrong[number % len(wrong)]
        bad[at] = text
        table.append(bad)
    rng.shuffle(table)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(table)


# --- What a child process measures: each answers how many rows it took ---


def ours(path: Path, clean: Path) -> Callable[[], int]:
    # Two seconds, which a worker spends once.
    import pandas as pd  # noqa: F401
    import pyarrow.compute
    import pyarrow.csv  # noqa: F401

    from crm.models import Creator
    from onlyfans.csv_import import fans_import

    creator = Creator.objects.get()

    def run() -> int:
        with path.open("rb") as file:
            return fans_import(creator=creator, user=None, filename="fans.csv", content=file).batch.total_rows

    return run


def copy(path: Path, clean: Path) -> Callable[[], int]:
    from django.db import connection, transaction

    data = clean.read_bytes()

    def run() -> int:
        with transaction.atomic(), connection.cursor() as cursor:
            with cursor.copy(f"COPY crm_fan ({COLUMNS}) FROM STDIN") as target:
                target.write(data)
            return int(cursor.rowcount)

    return run


def bulk_create(path: Path, clean: Path) -> Callable[[], int]:
    """What one writes without us: Django's own upsert, of rows that are clean already."""
    from datetime import datetime

    from crm.models import Fan

    def run() -> int:
        fans = []
        for line in clean.read_text().splitlines():
            _, _, key, handle, name, email, _, tags, _, cents, seen = line.split("\t")
            fans.append(
                Fan(
                    creator_id=1, platform_id=key, handle=handle, name=name, email=email, value_cents=int(cents),
                    tags=[tags.strip("{}")] if tags != "{}" else [], last_seen_at=datetime.fromisoformat(seen),
                )
            )  # fmt: skip
        Fan.objects.bulk_create(
            fans,
            batch_size=1_000,
            update_conflicts=True,
            unique_fields=["creator", "platform", "platform_id"],
            update_fields=["handle", "name", "email", "tags", "value_cents", "last_seen_at"],
        )
        return len(fans)

    return run


def import_export(path: Path, clean: Path) -> Callable[[], int]:
    """A ModelResource with its defaults, of rows that are clean already."""
    import tablib
    from import_export.resources import ModelResource

    from crm.models import Fan

    class Plain(ModelResource):  # type: ignore[misc]
        class Meta:
            model = Fan
            import_id_fields = ("creator", "platform", "platform_id")
            fields = (*import_id_fields, "handle", "name", "email", "value_cents", "last_seen_at")

    table = tablib.Dataset(headers=list(Plain.Meta.fields))
    for line in clean.read_text().splitlines():
        _, _, key, handle, name, email, _, _, _, cents, seen = line.split("\t")
        table.append(("1", "onlyfans", key, handle, name, email, cents, seen.removesuffix("+00")))

    def run() -> int:
        result = Plain().import_data(table, raise_errors=True)
        return int(result.totals["new"] + result.totals["update"])

    return run


RUNS: dict[str, Callable[[Path, Path], Callable[[], int]]] = {
    "this import": ours,
    "\\copy": copy,
    "bulk_create": bulk_create,
    "django-import-export": import_export,
}


def child(name: str, path: Path, clean: Path) -> None:
    import django

    django.setup()
    from django.db import connection

    connection.ensure_connection()
    run = RUNS[name](path, clean)
    begin = time.perf_counter()
    rows = run()
    seconds = time.perf_counter() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024
    print(json.dumps({"rows": rows, "seconds": seconds, "memory": memory}))


def measure(name: str, path: Path, clean: Path, *, empty: bool = True) -> dict[str, float]:
    from django.db import connection

    with connection.cursor() as cursor:
        if empty:
            cursor.execute("TRUNCATE crm_fan, onlyfans_importrow, onlyfans_importbatch CASCADE")
        cursor.execute("VACUUM ANALYZE crm_fan")
        cursor.execute("CHECKPOINT")
    command = [sys.executable, "-m", "bench.csv_import", name, str(path), str(clean)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603  ourselves
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return {**found, "rate": found["rows"] / found["seconds"]}


Found = dict[str, float]


def rounds(runs: dict[str, Callable[[], Found]]) -> dict[str, list[Found]]:
    """What each measured, round by round, in turn."""
    found: dict[str, list[Found]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            found[name].append(run())
    return found


def median(found: list[Found], what: str) -> float:
    return statistics.median(each[what] for each in found)


def show(found: dict[str, list[Found]], peer: str) -> None:
    """The median rates, how many times the peer's they are, and how far apart the rounds were."""
    for name, each in found.items():
        seconds = [one["seconds"] for one in each]
        stand.row(
            f"{name}, {each[0]['rows']:,.0f} rows",
            f"{median(each, 'rate'):,.0f} rows/s",
            f"{median(each, 'rate') / median(found[peer], 'rate'):.3f} of {peer}; "
            f"{min(seconds):.2f} to {max(seconds):.2f} s, {max(one['memory'] for one in each):.0f} MB",
        )


def main(sizes: tuple[int, ...], *, peers: bool) -> None:
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
        from crm.models import Creator

        Creator.objects.create(pk=1, name="Bench")
        for rows in sizes:
            beside_copy(*files(Path(folder), rows), rows)
        for name, rows, wanted in PEERS if peers else ():
            beside_peer(*files(Path(folder), rows), rows, name, wanted)
        connection.close()
        connection.close_pool()


def files(folder: Path, rows: int) -> tuple[Path, Path]:
    """Both files of file_write."""
    path, clean = folder / "fans.csv", folder / "clean.tsv"
    # In a process of its own: a child's peak begins with what its parent held.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(file_write, (path, clean), {"rows": rows})
    return path, clean


def beside_copy(path: Path, clean: Path, rows: int) -> None:
    stand.title(
        f"{rows:,} rows, {REPEATS:.0%} repeated and {BAD:.0%} bad; \\copy of the clean ones into the same table"
    )
    found = rounds(
        {
            "\\copy": lambda: measure("\\copy", path, clean),
            "this import, first time": lambda: measure("this import", path, clean),
            "this import, again": lambda: measure("this import", path, clean, empty=False),
        }
    )
    show(found, "\\copy")
    if rows == max(SIZES):
        first = median(found["this import, first time"], "rate")
        stand.goal("first import ÷ \\copy", found=first / median(found["\\copy"], "rate"), wanted=1)
        memory = max(each["memory"] for name, all_ in found.items() if name != "\\copy" for each in all_)
        stand.goal("peak memory in MB", found=memory, wanted=MEMORY_MAX_MB, at_most=True)


def beside_peer(path: Path, clean: Path, rows: int, name: str, wanted: float) -> None:
    stand.title(f"{rows:,} rows, as before, beside {name} of the clean ones")
    found = rounds(
        {
            name: lambda: measure(name, path, clean),
            "this import, first time": lambda: measure("this import", path, clean),
        }
    )
    show(found, name)
    ratio = median(found["this import, first time"], "rate") / median(found[name], "rate")
    stand.goal(f"first import ÷ {name}, of {rows:,} rows each", found=ratio, wanted=wanted)


if __name__ == "__main__":
    asked = sys.argv[1:]
    if asked and asked[0] in RUNS:
        child(asked[0], Path(asked[1]), Path(asked[2]))
    else:
        # Sizes, or `peers`, where not all is to be measured.
        main(
            tuple(int(each) for each in asked if each.isdigit()) if asked else SIZES,
            peers=not asked or "peers" in asked,
        )
