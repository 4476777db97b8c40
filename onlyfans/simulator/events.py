"""Answers how the simulator tells of what happened: signed events to the addresses that asked for them.
Touches the network: the addresses in its store."""

import asyncio
import hashlib
import hmac
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from onlyfans.simulator.store import Webhook

logger = logging.getLogger(__name__)
# As the vendor: an answer within ten seconds, some tries, and then the event is lost.
TIMEOUT_SECONDS = 10
TRIES = 4
PAUSE_SECONDS = 0.5


@dataclass(slots=True)
class Courier:
    """Brings events to their addresses, one after the other for each address so that they arrive in order."""

    # Whether an address still wants events; one that was deleted meanwhile gets none.
    wanted: Callable[[Webhook], bool] = lambda webhook: True
    tries: int = TRIES
    pause_seconds: float = PAUSE_SECONDS
    _queues: dict[str, asyncio.Queue[tuple[Webhook, bytes, str]]] = field(default_factory=dict)
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
                self._queues[webhook.url].put_nowait((webhook, body, event_id))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._queues.clear()

    async def _run(self, queue: asyncio.Queue[tuple[Webhook, bytes, str]]) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS) as client:
            while True:
                await self._bring(client, *await queue.get())

    async def _bring(self, client: httpx.AsyncClient, webhook: Webhook, body: bytes, event_id: str) -> None:
        headers = {"Content-Type": "application/json"}
        if webhook.secret:
            headers["Signature"] = hmac.new(webhook.secret.encode(), body, hashlib.sha256).hexdigest()
        if event_id:
            headers["X-OFAPI-Idempotency-Key"] = event_id
        said = "none"
        for number in range(self.tries):
            if not self.wanted(webhook):
                return
            try:
                answer = await client.post(webhook.url, content=body, headers=headers)
            except httpx.HTTPError as error:
                said = type(error).__name__
            else:
                if answer.is_success:
                    return
                said = str(answer.status_code)
            await asyncio.sleep(self.pause_seconds * 2**number)
        logger.warning("event lost url=%s last_answer=%s", webhook.url, said)
