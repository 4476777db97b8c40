"""Answers what the tests of sending share: a real limiter, faults of AWS at the HTTP level, retries without pauses."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from botocore.awsrequest import AWSRequest, AWSResponse

from conftest import Queues
from messaging import queue
from messaging.delivery import Consumer, Disposition
from messaging.models import Delivery
from messaging.rate_limiter import RedisRateLimiter
from messaging.tests.factories import ScriptedGateway, copy_of

# Nothing listens there.
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The attempts after which the producer paused; no test waits for it."""
    attempts: list[int] = []
    monkeypatch.setattr(queue, "_pause", attempts.append)
    return attempts


@pytest.fixture(autouse=True)
def platform(settings: Any) -> None:
    """One on which every creator has an account."""
    settings.MESSAGING_GATEWAY = "messaging.tests.factories.ScriptedGateway"


@pytest.fixture
def limiter(redis_server: redis.Redis) -> RedisRateLimiter:
    return RedisRateLimiter(redis_server)


@pytest.fixture
def limiter_away() -> RedisRateLimiter:
    return RedisRateLimiter(redis.Redis.from_url(NOWHERE, socket_connect_timeout=0.2))


@pytest.fixture
def gateway() -> ScriptedGateway:
    return ScriptedGateway()


@pytest.fixture
def consumer(limiter: RedisRateLimiter, gateway: ScriptedGateway, sqs_queues: Queues) -> Consumer:
    return Consumer(limiter=limiter, gateway=gateway)


@pytest.fixture
def outcome_of(limiter: RedisRateLimiter, sqs_queues: Queues) -> Callable[..., Delivery]:
    """Handle a delivery on a platform that answers so; gives the row afterwards."""

    def handle(delivery: Delivery, *outcomes: Any) -> Delivery:
        gateway = ScriptedGateway(*outcomes)
        assert Consumer(limiter=limiter, gateway=gateway).handle(copy_of(delivery)) is Disposition.ACKNOWLEDGE
        assert len(gateway.calls) == 1
        return Delivery.objects.get(pk=delivery.pk)

    return handle


@pytest.fixture
def consumer_with(limiter: RedisRateLimiter) -> Callable[[ScriptedGateway], Consumer]:
    return lambda gateway: Consumer(limiter=limiter, gateway=gateway)


def aws_error(code: str, status: int) -> Callable[[AWSRequest], AWSResponse]:
    """An answer of AWS's JSON protocol that says what went wrong."""

    def answer(request: AWSRequest) -> AWSResponse:
        headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-query-error": f"{code};Sender"}
        response = AWSResponse(request.url, status, headers, None)
        response._content = json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": "no"}).encode()
        return response

    return answer


class Faults:
    """What AWS answers next, in order: an error of `aws_error`, an exception, or None for the queue's own answer."""

    def __init__(self) -> None:
        self.script: list[Any] = []
        self.operations: list[str] = []
        self.requests: list[dict[str, Any]] = []

    def __call__(self, request: AWSRequest, event_name: str, **kwargs: Any) -> AWSResponse | None:
        self.operations.append(event_name.rsplit(".", 1)[-1])
        body = request.body or b""
        self.requests.append(json.loads(body) if body.startswith(b"{") else {})
        answer = self.script.pop(0) if self.script else None
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return None
        response = answer(request)
        # moto is asked as well, and must not take what AWS refused.
        request.url = "https://refused.invalid/"
        return response

    @property
    def calls(self) -> int:
        return len(self.requests)


@pytest.fixture
def sqs_faults(sqs_queues: Queues) -> Iterator[Faults]:
    """Faults of the producer's client."""
    faults, events = Faults(), queue.client().meta.events
    events.register_first("before-send.sqs", faults, unique_id="faults")
    yield faults
    events.unregister("before-send.sqs", unique_id="faults")


@pytest.fixture
def on_queue(sqs_queues: Queues) -> Callable[[], list[Any]]:
    """Every message of the queue, delayed or not, as moto keeps it: body, delayed_until, group_id."""
    from moto.sqs.models import sqs_backends

    name = sqs_queues.url.rsplit("/", 1)[-1]
    region = sqs_queues.client.meta.region_name
    account = sqs_queues.url.rsplit("/", 2)[-2]
    return lambda: list(sqs_backends[account][region].queues[name]._messages)
