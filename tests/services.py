"""Answers the services that tests run on: PostgreSQL and Valkey, once per run. Touches os.environ before settings."""

# A pytest plugin (`-p tests.services`): the process that collects the run starts both, and each xdist worker inherits
# their addresses and takes a Redis database of its own.

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from huntaze.local.throwaway import services

QUEUE_URL = "https://sqs.eu-west-3.amazonaws.com/123456789012/huntaze-rate-limiter-queue"
SETTINGS = {
    "HUNTAZE_ENV_FILES": "false",
    # As in production, but for what needs a TLS proxy and built static files.
    "DEBUG": "false",
    "SECRET_KEY": "only-for-the-tests-of-this-project-and-nothing-else",
    "FIELD_ENCRYPTION_SALT": "only-for-tests",
    "ALLOWED_HOSTS": "*",
    "SECURE_SSL_REDIRECT": "false",
    "AWS_REGION": "eu-west-3",
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "SQS_RATE_LIMITER_QUEUE_URL": QUEUE_URL,
    "SQS_RATE_LIMITER_DLQ_URL": f"{QUEUE_URL}-dlq",
    "CLOUDWATCH_NAMESPACE": "Huntaze",
    "MESSAGING_GATEWAY": "onlyfans.gateway.OnlyFansGateway",
    "LOG_LEVEL": "WARNING",
    # Counted all the same; the tests that are about it set their own.
    **{
        f"THROTTLE_{scope}_PER_MINUTE": "1000000"
        for scope in ("GENERAL", "PAGES", "SENDS", "IMPORTS", "PREVIEWS", "ANONYMOUS")
    },
}
# A developer's own settings must not change what a test sees.
FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "REDIS_AUTH_TOKEN", "REDIS_TLS")
_running = ExitStack()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Iterator[None]:
    """A wrapper, so that it runs before pytest-django reads the settings."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None:
        for name in FOREIGN:
            os.environ.pop(name, None)
        found = _running.enter_context(services())
        os.environ.update(SETTINGS, DATABASE_URL=found.database_url, REDIS_ENDPOINT=f"redis://{found.redis_endpoint}/0")
    else:
        server = os.environ["REDIS_ENDPOINT"].rsplit("/", 1)[0]
        os.environ["REDIS_ENDPOINT"] = f"{server}/{worker.removeprefix('gw')}"
    try:
        yield
    except BaseException:
        _running.close()
        raise


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs on Ctrl-C too."""
    _running.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """With HUNTAZE_NO_SKIPS a skipped test is a failed one: where everything is installed, nothing is left out."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("HUNTAZE_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though nothing may be: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """The same for a module that skips itself while it is collected."""
    report = yield
    if report.skipped and os.environ.get("HUNTAZE_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, though nothing may be: {report.longrepr}"
    return report
