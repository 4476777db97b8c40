"""Answers whether a worker imports a large file: once, whole, and after a kill. Touches procrastinate's tables."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone
from procrastinate.contrib.django.models import ProcrastinateJob
from rest_framework.test import APIClient

from crm import fan_upsert
from crm.fan_upsert import LOCK
from crm.models import Creator, Fan, Membership, Role
from crm.tests.factories import CreatorFactory, MembershipFactory
from onlyfans import csv_import, csv_reader, import_services
from onlyfans.import_jobs import ImportStopped, import_run, import_soon
from onlyfans.models import ImportBatch, ImportJob, ImportKind, ImportPart

URL = "/api/onlyfans/import/csv"
# Those of this database; the other tests' are in the same server.
LOCKS = """
FROM pg_locks JOIN pg_database AS d ON d.oid = database AND d.datname = current_database() WHERE locktype = 'advisory'
"""
TEXT = b"Username,Total Spent\nada,$5\nb b,$5\nada,$6\n"


@pytest.fixture(autouse=True)
def every_file_is_large(settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0


@pytest.fixture
def jobs_clean() -> Iterator[None]:
    """Its tables are not Django's to empty."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, procrastinate_workers CASCADE")


def client_of(membership: Membership) -> APIClient:
    client = APIClient()
    client.force_authenticate(membership.user)
    return client


def upload(client: APIClient, content: bytes = TEXT, **fields: Any) -> Any:
    return client.post(URL, {"file": SimpleUploadedFile("fans.csv", content), **fields}, format="multipart")


def queued(creator: Creator, content: bytes = TEXT, **choices: Any) -> ImportBatch:
    file = SimpleUploadedFile("fans.csv", content).file
    return import_soon(kind=ImportKind.FANS, creator=creator, user=None, filename="fans.csv", content=file, **choices)


def run(batch: ImportBatch, *, stopping: bool = False) -> ImportBatch:
    import_run(import_id=batch.pk, stopping=lambda: stopping)
    return ImportBatch.objects.get(pk=batch.pk)


@pytest.mark.django_db
def test_a_large_file_is_accepted_with_a_place_to_look() -> None:
    client = client_of(MembershipFactory.create())
    response = upload(client)
    body = response.json()
    assert (response.status_code, body["status"], body["summary"]["totalRows"]) == (202, "queued", 0)
    assert response["Location"] == f"/api/onlyfans/imports/{body['importId']}"
    assert client.get(response["Location"]).json() == body
    assert not Fan.objects.exists()
    [job] = ProcrastinateJob.objects.all()
    assert (job.task_name, job.args) == ("onlyfans.import_run", {"import_id": body["importId"]})


@pytest.mark.django_db
def test_a_small_file_is_imported_at_once(settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = len(TEXT)
    assert upload(client_of(MembershipFactory.create())).status_code == 200
    assert not ProcrastinateJob.objects.exists()


@pytest.mark.django_db
def test_the_job_does_what_the_request_would_have_done() -> None:
    client = client_of(MembershipFactory.create())
    address = upload(client, TEXT.replace(b"Username", b"Who"), mapping='{"handle": "Who"}')["Location"]
    run(ImportBatch.objects.get())
    body = client.get(address).json()
    assert (body["status"], body["failure"], body["dryRun"]) == ("done", None, False)
    assert body["summary"] == {
        "totalRows": 3, "successfulInserts": 1, "updated": 0, "unchanged": 0, "skipped": 1, "errors": 1,
    }  # fmt: skip
    assert body["mapping"]["handle"] == "Who"
    assert (Fan.objects.get().handle, ImportPart.objects.count()) == ("ada", 0)


@pytest.mark.django_db
def test_a_check_stays_one_before_and_after() -> None:
    client = client_of(MembershipFactory.create())
    address = upload(client, dryRun="true")["Location"]
    assert client.get(address).json()["dryRun"] is True
    run(ImportBatch.objects.get())
    assert client.get(address).json()["status"] == "dry_run"
    assert not Fan.objects.exists()


@pytest.mark.django_db
def test_what_is_wrong_with_the_file_stands_in_the_import() -> None:
    client = client_of(MembershipFactory.create())
    address = upload(client, b"Name\nAda\n")["Location"]
    run(ImportBatch.objects.get())
    body = client.get(address).json()
    assert (body["status"], body["failure"]["code"]) == ("failed", "no_key_column")
    assert body["failure"]["detail"].startswith("No column says who the fan is.")
    assert not ImportPart.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "code"), [({"overwrite": "value"}, "invalid"), ({"mapping": '{"wrong": "x"}'}, "invalid")]
)
def test_a_wrong_wish_is_refused_at_once(fields: dict[str, str], code: str) -> None:
    response = upload(client_of(MembershipFactory.create()), **fields)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert not ImportBatch.objects.exists()


@pytest.mark.django_db
def test_a_file_over_the_limit_is_refused_at_once(settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 10
    assert upload(client_of(MembershipFactory.create())).status_code == 413
    assert not ImportBatch.objects.exists()


@pytest.mark.django_db
def test_teammates_look_and_strangers_find_nothing() -> None:
    owner = MembershipFactory.create()
    address = upload(client_of(owner))["Location"]
    teammate, chatter = (
        MembershipFactory.create(creator=owner.creator, role=role) for role in (Role.MANAGER, Role.CHATTER)
    )
    found = [client_of(each).get(address).status_code for each in (teammate, chatter, MembershipFactory.create())]
    assert found == [200, 403, 404]


@pytest.mark.django_db
def test_an_import_that_has_ended_is_not_run_again() -> None:
    batch = run(queued(CreatorFactory.create()))
    Fan.objects.all().delete()
    assert run(batch).status == "done"
    assert not Fan.objects.exists()


@pytest.mark.django_db
def test_a_worker_that_is_told_to_end_puts_the_import_back() -> None:
    batch = queued(CreatorFactory.create())
    with pytest.raises(ImportStopped):
        run(batch, stopping=True)
    batch.refresh_from_db()
    assert (batch.status, batch.job.attempts, Fan.objects.count()) == ("queued", 0, 0)
    assert run(batch).status == "done"


@pytest.mark.django_db
def test_an_import_that_ends_its_worker_each_time_is_given_up() -> None:
    batch = queued(CreatorFactory.create())
    ImportJob.objects.update(attempts=import_services.ATTEMPTS_MAX)
    found = run(batch)
    assert (found.status, found.error_code, ImportPart.objects.count()) == ("failed", "broken_off", 0)


@pytest.mark.django_db
def test_a_fault_of_ours_leaves_no_import_running(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(csv_import, "_collect", broken)
    found = run(queued(CreatorFactory.create()))
    assert (found.status, found.error_code) == ("failed", "unexpected")


@pytest.mark.django_db
def test_a_failed_import_changed_nothing_that_could_be_undone() -> None:
    owner = MembershipFactory.create()
    batch = run(queued(owner.creator, b"Name\nAda\n"))
    response = client_of(owner).post(f"/api/onlyfans/imports/{batch.pk}/undo")
    assert (response.status_code, response.json()["code"]) == (409, "import_not_done")


@pytest.mark.django_db(transaction=True)
def test_how_far_it_is_is_seen_from_outside_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = queued(CreatorFactory.create())
    told: list[tuple[int, int, int, int]] = []
    progress = import_services.import_job_progress

    def store(**values: Any) -> None:
        progress(**values)
        told.append(ImportJob.objects.values_list("rows_done", "rows_total", "fans_done", "fans_total").get())

    monkeypatch.setattr(import_services, "import_job_progress", store)
    run(batch)
    assert told == [(3, 3, 0, 0), (3, 3, 1, 1)]


@pytest.mark.django_db
def test_how_far_it_is_is_told_twice_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fan_upsert, "_SLICE_ROWS", 1)
    monkeypatch.setattr(csv_reader, "CHUNK_ROWS", 10)
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(import_services, "import_job_progress", lambda **values: told.append(values))
    # Quotation marks within cells are read row by row, in pieces of CHUNK_ROWS.
    run(queued(CreatorFactory.create(), b"Username,Name\n" + b"".join(b'a%d,a "b\n' % n for n in range(100))))
    assert [(each["done"], each["writing"]) for each in told if each["done"] == 100] == [(100, False), (100, True)]
    assert len(told) < 10


@pytest.mark.django_db
def test_a_worker_that_is_told_to_end_while_it_writes_puts_the_import_back() -> None:
    batch = queued(CreatorFactory.create())
    asked: list[None] = []

    def stopping() -> bool:
        # Once the rows are read; the second time is that of the fans.
        asked.append(None)
        return len(asked) == 2

    with pytest.raises(ImportStopped):
        import_run(import_id=batch.pk, stopping=stopping)
    batch.refresh_from_db()
    assert (batch.status, Fan.objects.count()) == ("queued", 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("jobs_clean")
def test_the_worker_takes_what_waits(capfd: pytest.CaptureFixture[str]) -> None:
    batch = queued(CreatorFactory.create())
    call_command("run_jobs", once=True)
    batch.refresh_from_db()
    assert (batch.status, Fan.objects.count()) == ("done", 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("jobs_clean")
def test_an_import_whose_worker_was_killed_is_begun_again_and_done_once() -> None:
    creator = CreatorFactory.create()
    batch = queued(creator)
    environment = {**os.environ, "DATABASE_URL": _database_url()}
    worker = subprocess.Popen([sys.executable, "manage.py", "run_jobs"], cwd=settings.BASE_DIR, env=environment)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            # The worker comes to where it would write, and no further.
            cursor.execute(LOCK, {"creator": creator.pk})
            _until_locks("SELECT count(*) FILTER (WHERE NOT granted) > 0")
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
        # PostgreSQL notices once it wants to tell the worker that it has the lock.
        _until_locks("SELECT count(*) = 0")
    finally:
        worker.kill()
        worker.wait(10)
    batch.refresh_from_db()
    job = ProcrastinateJob.objects.get(task_name="onlyfans.import_run")
    assert (batch.status, Fan.objects.count(), job.status) == ("running", 0, "doing")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    _rescue()
    call_command("run_jobs", once=True)
    batch.refresh_from_db()
    assert (batch.status, batch.job.attempts, Fan.objects.count(), ImportPart.objects.count()) == ("done", 2, 1, 0)


@pytest.mark.django_db(transaction=True)
def test_a_stalled_job_whose_lock_another_one_holds_keeps_no_import_from_being_rescued() -> None:
    job = """
        INSERT INTO procrastinate_jobs (task_name, queue_name, queueing_lock, status, worker_id)
        VALUES (%s, %s, %s, %s, %s) RETURNING id
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 minute') RETURNING id"
        )
        dead = cursor.fetchone()[0]
        for values in [
            ("huntaze.forget_jobs", "elsewhere", "forget", "doing", dead),
            ("huntaze.forget_jobs", "elsewhere", "forget", "todo", None),
            ("onlyfans.import", "imports", None, "doing", dead),
        ]:
            cursor.execute(job, values)
    _rescue()
    states = ProcrastinateJob.objects.exclude(task_name="huntaze.rescue_jobs").order_by("id")
    assert list(states.values_list("status", flat=True)) == ["failed", "todo", "todo"]


def _rescue() -> None:
    from procrastinate import App
    from procrastinate.contrib.django import app
    from procrastinate.contrib.django.utils import connector_params
    from procrastinate.psycopg_connector import PsycopgConnector

    async def work(own: App) -> None:
        async with own.open_async():
            await own.configure_task("huntaze.rescue_jobs").defer_async(timestamp=int(timezone.now().timestamp()))
            await own.run_worker_async(queues=["upkeep"], wait=False, install_signal_handlers=False)

    with app.replace_connector(PsycopgConnector(kwargs=connector_params(), min_size=1)) as own:
        asyncio.run(work(own))


def _database_url() -> str:
    server, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    return f"{server}/{connection.settings_dict['NAME']}"


def _until_locks(question: str) -> None:
    end = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute(question + LOCKS)
            if cursor.fetchone()[0]:
                return
            time.sleep(0.05)
    raise AssertionError(question)
