"""Answers how the simulator tells of what happened: signed events to the addresses that asked for them.
Touches the network: the addresses in its store."""

import asyncio
import hashlib
import hmac
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from onlyfans.simulator.store import Webhook, now_ms

logger = logging.getLogger(__name__)
# As the vendor: an answer within ten seconds, some tries, and then the event is lost.
TIMEOUT_SECONDS = 10
TRIES = 4
PAUSE_SECONDS = 0.5
# What the page shows.
LOG_SIZE = 100


@dataclass(slots=True)
class Delivery:
    """One event to one address; `answers` are the statuses it got, or what went wrong, one for each try."""

    event: str
    account: str
    url: str
    at_ms: int
    answers: list[str] = field(default_factory=list)
    # None while it is on its way.
    arrived: bool | None = None
    took_ms: int = 0


@dataclass(slots=True)
class Courier:
    """Brings events to their addresses, one after the other for each address so that they arrive in order."""

    # Whether an address still wants events; one that was deleted meanwhile gets none.
    wanted: Callable[[Webhook], bool] = lambda webhook: True
    tries: int = TRIES
    pause_seconds: float = PAUSE_SECONDS
    # The last ones, the newest first.
    log: deque[Delivery] = field(default_factory=lambda: deque(maxlen=LOG_SIZE))
    _queues: dict[str, asyncio.Queue[tuple[Webhook, bytes, str, Delivery]]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def post(self, webhooks: Iterable[Webhook], *, event: str, account: str, payload: Mapping[str, Any]) -> None:
        """Called in the server's loop; returns at once."""
        body = json.dumps({"event": event, "account_id": account, "payload": payload}).encode()
        # The vendor gives presence no id.
        event_id = "" if event.startswith("users.") else f"evt_{uuid.uuid4().hex}"
        for webhook in webhooks:
            if event in webhook.events:
                if webhook.url not in self._queues:
                    self._queues[webhook.url] = asyncio.Queue()
                    task = asyncio.create_task(self._run(self._queues[webhook.url]))
                    self._tasks.add(task)
                delivery = Delivery(event, account, webhook.url, now_ms())
                self.log.appendleft(delivery)
                self._queues[webhook.url].put_nowait((webhook, body, event_id, delivery))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._queues.clear()

    async def _run(self, queue: asyncio.Queue[tuple[Webhook, bytes, str, Delivery]]) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                await self._bring(client, *await queue.get())

    async def _bring(
        self, client: httpx.AsyncClient, webhook: Webhook, body: bytes, event_id: str, delivery: Delivery
    ) -> None:
        headers = {"Content-Type": "application/json"}
        if webhook.secret:
            headers["Signature"] = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
        if event_id:
            headers["X-OFAPI-Idempotency-Key"] = event_id
        for number in range(self.tries):
            if not self.wanted(webhook):
                break
            begun = now_ms()
            try:
                answer = await client.post(webhook.url, content=body, headers=headers)
            except httpx.HTTPError as error:
                delivery.answers.append(type(error).__name__)
            else:
                delivery.answers.append(str(answer.status_code))
                delivery.arrived = answer.is_success or None
            delivery.took_ms = now_ms() - begun
            if delivery.arrived:
                return
            await asyncio.sleep(self.pause_seconds * 2**number)
        delivery.arrived = False
        if len(delivery.answers) == self.tries:
            logger.warning("event lost url=%s last_answer=%s", webhook.url, delivery.answers[-1])
