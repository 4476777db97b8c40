"""Answers whether the test services keep tests apart and skips from hiding. Touches a test run of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_each_worker_has_a_redis_database_of_its_own(redis_server):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    assert redis_server.connection_pool.connection_kwargs["db"] == int(worker.removeprefix("gw"))


def test_the_queues_are_aws_queues_that_dead_letter_after_five_receives(sqs_queues, settings):
    assert sqs_queues.url == "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue"
    assert sqs_queues.url == settings.SQS_RATE_LIMITER_QUEUE_URL
    sqs_queues.client.send_message(QueueUrl=sqs_queues.url, MessageBody="poison")
    for _ in range(6):
        sqs_queues.client.receive_message(QueueUrl=sqs_queues.url, VisibilityTimeout=0)
    assert sqs_queues.depth() == 0
    assert sqs_queues.depth(sqs_queues.dead_letter_url) == 1


@pytest.mark.parametrize(("no_skips", "code"), [("", 0), ("true", 1)])
def test_a_skipped_test_fails_where_nothing_may_be_skipped(tmp_path, no_skips, code):
    (tmp_path / "test_it.py").write_text("import pytest\n\ndef test_it():\n    pytest.skip('no browser')\n")
    # The hooks alone: this run needs no services.
    (tmp_path / "conftest.py").write_text(
        "from tests.services import pytest_make_collect_report, pytest_runtest_makereport\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:django",
            "-c",
            "/dev/null",
            tmp_path,
        ],
        cwd=ROOT,
        env={**os.environ, "HUNTAZE_NO_SKIPS": no_skips, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
