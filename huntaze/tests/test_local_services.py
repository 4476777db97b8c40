"""Answers whether the embedded services start, survive what kills them and leave nothing. Touches temporary folders."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from huntaze.local import folder, postgres, sqs, throwaway, valkey
from huntaze.local.parts import Part
from huntaze.local.ports import answers, ports_choose
from huntaze.local.supervisor import Backoff, Supervisor

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
NOTHING = Part(name="queues", command=(sys.executable, "-c", ""), restarts=False)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder that an unprivileged user can walk to; pytest's own ones are closed to others."""
    with tempfile.TemporaryDirectory(prefix="huntaze-") as path:
        yield folder.folder_make(Path(path))


def port() -> int:
    return ports_choose({"any": 0})["any"]


def supervised(scenario: Callable[[Supervisor], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        supervisor = Supervisor(lambda line: None, backoff=Backoff(first=0.01))
        try:
            await scenario(supervisor)
        finally:
            await supervisor.stop()

    asyncio.run(main())


def fetch_one(server: postgres.Postgres, query: str) -> Any:
    with psycopg.connect(server.url) as connection:
        return connection.execute(query).fetchone()


def test_postgres_is_utf8_with_a_builtin_locale_and_asks_for_its_password(home):
    server = postgres.Postgres(home / "postgres", port(), durable=False)

    async def scenario(supervisor: Supervisor) -> None:
        postgres.create(server)
        await supervisor.start(postgres.part(server))
        await supervisor.wait_ready("postgres", within=20)
        row = fetch_one(
            server,
            "SELECT datlocprovider, datlocale, pg_encoding_to_char(encoding), lower('ÀÉ')"
            " FROM pg_database WHERE datname = current_database()",
        )
        assert row == ("b", "C.UTF-8", "UTF8", "àé")
        assert fetch_one(server, "SHOW unix_socket_directories") == ("",)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url.replace(server.password, "wrong"))

    supervised(scenario)
    assert not answers(server.port)


def test_postgres_keeps_its_rows_when_the_postmaster_is_killed(home):
    server = postgres.Postgres(home / "postgres", port(), durable=True)

    async def scenario(supervisor: Supervisor) -> None:
        postgres.create(server)
        await supervisor.start(postgres.part(server))
        await supervisor.wait_ready("postgres", within=20)
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        running = supervisor.parts["postgres"]
        running.process.kill()
        while not (running.restarts and await asyncio.to_thread(postgres.ready, server)):
            await asyncio.sleep(0.02)
        assert fetch_one(server, "SELECT n FROM kept") == (7,)

    supervised(scenario)


def test_a_pid_file_whose_number_is_another_process_now_is_removed(home):
    server = postgres.Postgres(home, 1, durable=True)
    server.data.mkdir()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n{server.data}\n")
    postgres.stale_pid_clear(server)
    assert not (server.data / "postmaster.pid").exists()


def test_an_orphaned_postmaster_is_stopped_before_the_next_start(home):
    server = postgres.Postgres(home, 1, durable=True)
    server.data.mkdir()
    # A run in the background of a shell has both signals ignored, which a child inherits and PostgreSQL undoes.
    code = (
        "import signal, time; [signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGQUIT)]; "
        "print('up', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(server.data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as orphan:
        assert orphan.stdout.readline() == "up\n"
        (server.data / "postmaster.pid").write_text(f"{orphan.pid}\n{server.data}\n")
        postgres.stale_pid_clear(server, patience=0.3)
        assert orphan.wait(timeout=5) in (-signal.SIGINT, -signal.SIGQUIT)


def test_a_cluster_that_cannot_be_created_says_why_and_leaves_none(home, monkeypatch):
    monkeypatch.setattr(postgres, "binaries", lambda: home)
    (home / "initdb").write_text("#!/bin/sh\necho no space left >&2\nexit 1\n")
    (home / "initdb").chmod(0o755)
    server = postgres.Postgres(home / "postgres", 1, durable=True)
    with pytest.raises(postgres.PostgresFailed, match="no space left"):
        postgres.create(server)
    assert not server.data.exists()


def test_the_binaries_are_copied_where_an_unprivileged_user_can_run_them(home, monkeypatch):
    monkeypatch.setattr(folder, "SHELTERS", home)
    monkeypatch.setattr(folder, "run_as", lambda: folder.RunAs(65_534, 65_534))
    monkeypatch.setattr(folder, "reachable", lambda path: False)
    path = postgres.binaries()
    assert home in path.parents
    done = subprocess.run([path / "initdb", "--version"], capture_output=True, text=True, check=True)
    assert "PostgreSQL" in done.stdout
    assert postgres.binaries() == path


def test_a_durable_valkey_remembers_and_a_test_one_does_not(home):
    import redis

    async def scenario(supervisor: Supervisor) -> None:
        for name, durable in (("kept", True), ("gone", False)):
            for expected in (None, b"1" if durable else None):
                server = valkey.Valkey(home / name, port(), durable=durable)
                await supervisor.start(valkey.part(server))
                await supervisor.wait_ready("valkey", within=10)
                with redis.Redis.from_url(f"redis://{server.endpoint}/63") as client:
                    assert client.get("n") == expected
                    client.set("n", "1")
                await supervisor.stop()
                supervisor.stopping = False

    supervised(scenario)


def ask_sqs(server: sqs.Sqs, action: str, **body: Any) -> Any:
    request = urllib.request.Request(  # noqa: S310
        server.endpoint,
        json.dumps(body).encode(),
        {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{action}",
            "Authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{server.region}/sqs/aws4_request",
        },
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


def test_queued_messages_survive_a_stop_and_a_start_on_another_port(home):
    first = sqs.Sqs(home / "sqs", port(), region="eu-west-3")
    second = sqs.Sqs(home / "sqs", port(), region="eu-west-3")

    async def begin(supervisor: Supervisor, server: sqs.Sqs) -> None:
        await supervisor.start(sqs.part(server, provision=NOTHING))
        await supervisor.wait_ready("sqs", within=20)

    async def before(supervisor: Supervisor) -> None:
        await begin(supervisor, first)
        url = (await asyncio.to_thread(ask_sqs, first, "CreateQueue", QueueName=sqs.QUEUE))["QueueUrl"]
        assert url == first.queue_url(sqs.QUEUE)
        await asyncio.to_thread(ask_sqs, first, "SendMessage", QueueUrl=url, MessageBody="kept")

    async def after(supervisor: Supervisor) -> None:
        await begin(supervisor, second)
        url = second.queue_url(sqs.QUEUE)
        found = await asyncio.to_thread(ask_sqs, second, "ReceiveMessage", QueueUrl=url)
        assert [message["Body"] for message in found["Messages"]] == ["kept"]

    supervised(before)
    supervised(after)


def test_throwaway_services_leave_nothing_behind():
    before = set(Path(tempfile.gettempdir()).glob("huntaze-*"))
    with throwaway.services() as found:
        with psycopg.connect(found.database_url) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
        mine = set(Path(tempfile.gettempdir()).glob("huntaze-*")) - before
        assert mine
    assert not any(path.exists() and (path / "postgres").exists() for path in mine)
    assert not answers(int(found.redis_endpoint.rsplit(":", 1)[1]))


def test_exec_answers_the_exit_code_and_gives_the_addresses():
    script = "import os, sys; sys.exit(7 if os.environ['DATABASE_URL'].startswith('postgres://huntaze:') else 1)"
    assert throwaway.run([sys.executable, "-c", script], {}) == 7
