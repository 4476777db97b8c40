"""Answers what every test may ask for: queues on moto, an empty Redis, fast passwords. Touches settings for the run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache as kept
from typing import Any

import boto3

# Imported before any client is made: moto hooks into the clients that are made after it.
import moto
import pytest
import redis
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.utils import translation

from crm.recent import InTime, Recent
from messaging import metrics
from messaging.heartbeat import HEARTBEAT_KEY

# The fixture `simulator`: the vendor over HTTP, for the tests of any app.
pytest_plugins = ["onlyfans.tests.simulator"]
# It asserts for many tests, and is to say what it found.
pytest.register_assert_rewrite("tests.browser")
QUEUE = "huntaze-rate-limiter-queue"


def pytest_configure() -> None:
    # Argon2 is slow on purpose, which no test of ours is about.
    django_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Static files as on a desk: from where they are written, without `collectstatic` before each run.
    django_settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    django_settings.WHITENOISE_AUTOREFRESH = django_settings.WHITENOISE_USE_FINDERS = True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The run's database, which can be dropped at the end: a server's thread may hold a connection for longer."""
    yield
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


@pytest.fixture(scope="session")
def redis_server() -> Iterator["redis.Redis"]:
    """This worker's own database of the test Valkey."""
    with redis.Redis.from_url(django_settings.REDIS_URL) as client:
        yield client


@pytest.fixture(autouse=True)
def redis_clean(redis_server: "redis.Redis") -> None:
    """No test sees what another one left: a tenth of a millisecond."""
    redis_server.flushdb()


@pytest.fixture(autouse=True)
def worker_alive(redis_clean: None) -> None:
    """A worker has just been seen, and is in any time that a test sets: without one nothing is expected to go out."""
    cache.set(HEARTBEAT_KEY, datetime(2100, 1, 1, tzinfo=UTC), timeout=None)


@pytest.fixture(autouse=True)
def memory_clean() -> None:
    """Rows of another test may have the same ids, and its SQS may not have answered yet."""
    Recent.forget_all()
    InTime.forget_all()


@pytest.fixture(autouse=True, scope="session")
def metrics_kept() -> None:
    """A command that a test runs would leave a thread that takes, once a minute, what another test is gathering."""
    metrics._stop.set()  # noqa: SLF001  no product ever stops it


@pytest.fixture(autouse=True)
def language_clean() -> None:
    """A request leaves its language behind in its thread, where the next one chooses anew; a test need not."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def plain_http(request: pytest.FixtureRequest) -> None:
    """The server that a browser is shown speaks plain HTTP."""
    if request.node.get_closest_marker("browser"):
        settings = request.getfixturevalue("settings")
        settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = False


@dataclass(frozen=True)
class Queues:
    """The two queues of one test, with the client that looks into them."""

    client: Any
    url: str
    dead_letter_url: str

    def depth(self, url: str | None = None) -> int:
        """Messages of the queue: visible, in flight and delayed."""
        names = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        )
        found = self.client.get_queue_attributes(QueueUrl=url or self.url, AttributeNames=list(names))["Attributes"]
        return sum(int(found[name]) for name in names)


@kept
def _sqs_client(region: str) -> Any:
    return boto3.session.Session().client("sqs", region_name=region)


@pytest.fixture
def sqs_queues(settings: Any) -> Iterator[Queues]:
    """The queue and its dead letter queue in moto: in this process, so frozen time counts and threads share it."""
    # boto3's shared session is left alone: a new one reads AWS's service descriptions anew, a second for each test.
    with moto.mock_aws(config={"core": {"reset_boto3_session": False}}):
        client = _sqs_client(settings.AWS_REGION)
        dead = client.create_queue(QueueName=f"{QUEUE}-dlq", Attributes={"MessageRetentionPeriod": "1209600"})
        arn = client.get_queue_attributes(QueueUrl=dead["QueueUrl"], AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        queue = client.create_queue(
            QueueName=QUEUE,
            Attributes={
                "VisibilityTimeout": str(settings.SQS_VISIBILITY_TIMEOUT_SECONDS),
                "RedrivePolicy": f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "5"}}',
            },
        )
        settings.SQS_RATE_LIMITER_QUEUE_URL = queue["QueueUrl"]
        settings.SQS_RATE_LIMITER_DLQ_URL = dead["QueueUrl"]
        yield Queues(client, queue["QueueUrl"], dead["QueueUrl"])
