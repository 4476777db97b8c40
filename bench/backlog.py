"""Answers how a backlog goes out through the real worker, and what it asks of SQS. Touches a stand and a simulator."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum

from crm.models import Creator, Fan
from messaging import queue
from messaging.models import Delivery, SendingProfile
from messaging.rate_limiter import Limit
from messaging.services import MessageRequest, OnlyFansRateLimiterService
from messaging.worker import Worker
from onlyfans.models import Account as VendorAccount
from onlyfans.services import account_connect
from onlyfans.simulator.server import SimulatorServer
from onlyfans.simulator.store import Account


@dataclass(frozen=True, slots=True)
class Backlog:
    """What went out: when each message reached the platform, by creator in seconds, and what was asked of SQS."""

    arrivals: dict[str, list[float]]
    requests: Counter[str]
    seconds: float
    hops: int

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


def run(simulator: SimulatorServer, meter: Meter, *, creators: int, messages: int, limit: Limit) -> Backlog:
    """So many messages to each of some new creators' fans, all written at once, until the last has gone out."""
    simulator.reset()
    fan_ids = [simulator.fan_id(name) for name in simulator.usernames()[:messages]]
    services = [_creator_make(account, fan_ids, limit) for account in simulator.accounts[:creators]]
    requests = [MessageRequest(recipient_id=fan_id, content="Good morning!") for fan_id in fan_ids]
    meter.begin()
    begin = time.monotonic()
    for service in services:
        service.send_batch(user=None, requests=requests)
    allowed = limit.window_ms / 1_000 * (messages / limit.messages + 1) + 60
    while len(simulator.deliveries()) < creators * messages:
        if time.monotonic() - begin > allowed:
            raise RuntimeError(f"Only {len(simulator.deliveries())} of {creators * messages} went out in time.")
        time.sleep(0.2)
    seconds = time.monotonic() - begin
    # Until the last are acknowledged as well.
    time.sleep(1.5)
    requested = meter.end()
    arrivals: dict[str, list[float]] = {}
    for each in simulator.deliveries():
        arrivals.setdefault(each["account"], []).append(each["received_at"] / 1_000)
    hops = Delivery.objects.filter(creator__in=[service.creator for service in services]).aggregate(n=Sum("hops"))["n"]
    return Backlog(arrivals, requested, seconds, hops)


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
