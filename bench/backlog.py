"""Answers how a backlog goes out through the real worker, and what it asks of SQS. Touches a stand and a simulator."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum
from django.utils import timezone

from crm.models import Creator, Fan, MessageStatus
from messaging import publishing, queue
from messaging.campaigns import Audience, CampaignRequest, campaign_create
from messaging.heartbeat import heartbeat_beat
from messaging.models import Delivery, Kind, SendingProfile
from messaging.rate_limiter import Limit
from messaging.services import MessageRequest, OnlyFansRateLimiterService
from messaging.worker import Worker
from onlyfans.models import Account as VendorAccount
from onlyfans.services import account_connect
from onlyfans.simulator.server import SimulatorServer
from onlyfans.simulator.store import Account


@dataclass(frozen=True, slots=True)
class Backlog:
    """What went out: when each message reached the platform, by creator in seconds, and what was asked of SQS.

    late: how much longer than said the slowest campaign took, as a share of what was said; 0 for replies.
    """

    arrivals: dict[str, list[float]]
    requests: Counter[str]
    seconds: float
    hops: int
    late: float

    @property
    def delivered(self) -> int:
        return sum(len(times) for times in self.arrivals.values())


class Meter:
    """Counts what the product asks of SQS; a poll that brought nothing is counted apart."""

    def __init__(self) -> None:
        self._requests: Counter[str] = Counter()
        for client in (queue.client(), queue.client(read_timeout=queue.LONG_POLL_SECONDS + 5)):
            client.meta.events.register("after-call.sqs", self._count)

    def _count(self, parsed: dict[str, Any], model: Any, **kwargs: Any) -> None:
        empty = model.name == "ReceiveMessage" and not parsed.get("Messages")
        self._requests["empty polls" if empty else model.name] += 1

    def begin(self) -> None:
        self._requests.clear()

    def end(self) -> Counter[str]:
        return self._requests.copy()


@contextmanager
def worker_running() -> Iterator[Meter]:
    """One worker for all that is measured: the poll of one that has stopped goes on for up to 20 s."""
    meter, worker = Meter(), Worker()
    thread = threading.Thread(target=worker.run, name="worker")
    thread.start()
    try:
        yield meter
    finally:
        worker.stop()
        thread.join()


def run(
    simulator: SimulatorServer,
    meter: Meter,
    *,
    creators: int,
    messages: int,
    limit: Limit,
    latency_ms: int,
    campaign: bool = False,
) -> Backlog:
    """So many messages to each of some new creators' fans, all written at once, until the last has gone out."""
    simulator.reset()
    simulator.configure(latency_ms=latency_ms)
    fan_ids = [simulator.fan_id(name) for name in simulator.usernames()[:messages]]
    services = creators_make(simulator.accounts[:creators], fan_ids, limit)
    requests = [MessageRequest(recipient_id=fan_id, content="Good morning!") for fan_id in fan_ids]
    meter.begin()
    begin = time.monotonic()
    said: dict[str, tuple[float, float]] = {}
    for account, service in zip(simulator.accounts, services, strict=False):
        if campaign:
            # No time is estimated where no worker has shown itself yet.
            heartbeat_beat()
            wish = CampaignRequest(name="Morning", content="Good morning!", audience=Audience(everybody=True))
            asked = time.time()
            report = campaign_create(creator=service.creator, user=None, request=wish).report
            if report.estimated_completion_at is None:
                raise AssertionError(report)
            said[account.id] = (asked, report.estimated_completion_at.timestamp())
        else:
            service.send_batch(user=None, requests=requests)
    allowed = limit.window_ms / 1_000 * (messages / limit.messages * 1.25 + 1) + 60
    ours = Delivery.objects.filter(creator__in=[service.creator for service in services])
    sent_wait(services, seconds=allowed)
    seconds = time.monotonic() - begin
    # Until the last are acknowledged as well.
    time.sleep(1.5)
    requested = meter.end()
    arrivals: dict[str, list[float]] = {}
    for each in simulator.deliveries():
        arrivals.setdefault(each["account"], []).append(each["received_at"] / 1_000)
    late = [(max(arrivals[account]) - end) / (end - asked) for account, (asked, end) in said.items()]
    return Backlog(arrivals, requested, seconds, ours.aggregate(n=Sum("hops"))["n"], max(late, default=0))


# What the platform allows.
REAL = Limit(messages=10, window_ms=60_000, gap_ms=3_000, lease_ms=30_000)


def creators_make(
    accounts: Sequence[Account], fan_ids: list[str], limit: Limit = REAL
) -> list[OnlyFansRateLimiterService]:
    """A creator for each account, with these fans."""
    return [_creator_make(account, fan_ids, limit) for account in accounts]


def reply(service: OnlyFansRateLimiterService, fan_id: str) -> str:
    """Write one; gives its id, which is its key at the platform."""
    return str(
        service.send_message(user=None, request=MessageRequest(recipient_id=fan_id, content="Hello!")).message_id
    )


def replies(simulator: SimulatorServer, services: list[OnlyFansRateLimiterService], *, a_second: float) -> list[float]:
    """One reply of each, so many a second; how long each took from being written to the platform, in seconds."""
    fan_id = simulator.fan_id(simulator.usernames()[0])
    asked: dict[str, float] = {}
    begin = time.monotonic()
    for number, service in enumerate(services):
        time.sleep(max(0, begin + number / a_second - time.monotonic()))
        at = time.time()
        asked[reply(service, fan_id)] = at
    sent_wait(services, seconds=120, kind=Kind.REPLY)
    return [
        each["received_at"] / 1_000 - asked[each["idempotency_key"]]
        for each in simulator.deliveries()
        if each["idempotency_key"] in asked
    ]


def sent_wait(services: Sequence[OnlyFansRateLimiterService], *, seconds: float, kind: Kind | None = None) -> None:
    """Return as soon as all messages of these creators have gone out; raises RuntimeError where that takes longer."""
    ours = Delivery.objects.filter(creator__in=[service.creator for service in services])
    if kind is not None:
        ours = ours.filter(kind=kind)
    end = time.monotonic() + seconds
    while (left := ours.exclude(state=MessageStatus.SENT).count()) > 0:
        if time.monotonic() > end:
            raise RuntimeError(f"{left} messages did not go out in time.")
        time.sleep(0.5)


def campaign_start(service: OnlyFansRateLimiterService, *, messages: int) -> None:
    """A campaign to the creator's fans and more of them, whom the simulator does not know."""
    Fan.objects.bulk_create(
        Fan(creator=service.creator, platform_id=str(10**9 + number), handle=f"more{number}")
        for number in range(messages - 1)
    )
    campaign_create(
        creator=service.creator,
        user=None,
        request=CampaignRequest(name="Morning", content="Good morning!", audience=Audience(everybody=True)),
    )


def overdue(service: OnlyFansRateLimiterService) -> None:
    """All that is parked is on the queue and due, as after days without a worker."""
    rows = Delivery.objects.filter(creator=service.creator, state=MessageStatus.PARKED)
    ids = list(rows.values_list("pk", flat=True))
    rows.update(due_at=timezone.now(), state=MessageStatus.PENDING)
    publishing.publish(ids, fail=True)


def _creator_make(account: Account, fan_ids: list[str], limit: Limit) -> OnlyFansRateLimiterService:
    """A creator who takes over the account from that of an earlier run, with tokens and slots untouched."""
    VendorAccount.objects.filter(account_id=account.id).delete()
    creator = Creator.objects.create(name=account.name)
    account_connect(creator=creator, account_id=account.id, api_key=account.api_key)
    SendingProfile.objects.create(
        creator=creator, limit_messages=limit.messages, window_ms=limit.window_ms, min_gap_ms=limit.gap_ms
    )
    Fan.objects.bulk_create(Fan(creator=creator, platform_id=fan_id, handle=f"fan{fan_id}") for fan_id in fan_ids)
    return OnlyFansRateLimiterService(creator=creator)
