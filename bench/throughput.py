"""Answers how many messages a second one worker process delivers, beside what the vendor's client alone can do.
Touches a stand, a worker of its own and a simulator of its own process."""

import asyncio
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from uuid import uuid4

import httpx
from onlyfansapi import AsyncOnlyFansAPI

from bench import stand
from bench.fairness import worker_process
from onlyfans.client import VendorClient
from onlyfans.simulator.server import SimulatorServer
from onlyfans.simulator.store import Account

CREATORS = 1_000
CONCURRENCY = 50
ALLOWED_SECONDS = 180


def _serve(pipe: Connection) -> None:
    server = SimulatorServer()
    server.accounts = stand.accounts(CREATORS)
    with server:
        server.configure(latency_ms=stand.VENDOR_LATENCY_MS)
        pipe.send((server.base_url, [server.fan_id(name) for name in server.usernames()]))
        while (asked := pipe.recv()) != "end":
            found = server.deliveries()
            if asked == "arrivals":
                pipe.send([each["received_at"] / 1_000 for each in found])
                server.reset()
                server.configure(latency_ms=stand.VENDOR_LATENCY_MS)
            else:
                pipe.send([(each["account"], each["received_at"], each["idempotency_key"]) for each in found])


class Platform:
    """The simulator in a process of its own, so that it takes nothing from whoever is measured but a core."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.base_url, self.fan_ids = pipe.recv()
        self.fan_id: str = self.fan_ids[0]

    def arrivals(self) -> list[float]:
        """When each message since the last time arrived."""
        self._pipe.send("arrivals")
        found: list[float] = self._pipe.recv()
        return found

    def deliveries(self) -> list[tuple[str, int, str]]:
        """Every message so far: the account, the millisecond it arrived in, and its idempotency key."""
        self._pipe.send("deliveries")
        found: list[tuple[str, int, str]] = self._pipe.recv()
        return found


@contextmanager
def platform() -> Iterator[Platform]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield Platform(ours)
    finally:
        ours.send("end")
        process.join(10)


def by_threads(found: Platform, accounts: tuple[Account, ...]) -> None:
    """The vendor's synchronous client as the product calls it, in as many threads as the worker has."""

    def send(account: Account) -> None:
        VendorClient(base_url=found.base_url, account_id=account.id, api_key=account.api_key).message_send(
            fan_id=found.fan_id,
            text="Hello!",
            media=(),
            price_cents=0,
            idempotency_key=str(uuid4()),
            timeout_seconds=30,
        )

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(send, accounts))


def by_event_loop(found: Platform, accounts: tuple[Account, ...]) -> None:
    """The vendor's asynchronous client, with as many requests under way at a time."""

    async def run() -> None:
        free = asyncio.Semaphore(CONCURRENCY)
        async with httpx.AsyncClient(base_url=found.base_url, limits=httpx.Limits(max_connections=200)) as connections:
            client = AsyncOnlyFansAPI(api_key="", base_url=found.base_url, max_retries=0, http_client=connections)

            async def send(account: Account) -> None:
                async with free:
                    await client.chats.messages.send(
                        found.fan_id,
                        account=account.id,
                        idempotency_key=str(uuid4()),
                        text="Hello!",
                        extra_headers={"Authorization": f"Bearer {account.api_key}"},
                    )

            await asyncio.gather(*[send(account) for account in accounts])

    asyncio.run(run())


def rate(arrivals: list[float]) -> float:
    return (len(arrivals) - 1) / (max(arrivals) - min(arrivals))


def main() -> None:
    accounts = stand.accounts(CREATORS)
    found: dict[str, float] = {}
    cpu: dict[str, float] = {}

    def measure(name: str, send: Callable[[Platform, tuple[Account, ...]], None]) -> None:
        platform_.arrivals()
        before = time.process_time()
        send(platform_, accounts)
        cpu[name] = (time.process_time() - before) / CREATORS
        found[name] = rate(platform_.arrivals())

    peer, loop, ours = "vendor's client, threads", "vendor's client, event loop", "ours: one worker process"
    with (
        platform() as platform_,
        stand.product(
            ONLYFANS_API_BASE_URL=platform_.base_url,
            WORKER_CONCURRENCY=str(CONCURRENCY),
            DATABASE_POOL_SIZE=str(CONCURRENCY + 10),
        ),
    ):
        from bench import backlog  # its models can be imported once the stand is up

        measure(peer, by_threads)
        measure(loop, by_event_loop)
        services = backlog.creators_make(accounts, [platform_.fan_id])
        for service in services:
            backlog.reply(service, platform_.fan_id)
        platform_.arrivals()
        before = os.times()
        with worker_process():
            backlog.sent_wait(services, seconds=ALLOWED_SECONDS)
        after = os.times()
        cpu[ours] = (
            after.children_user + after.children_system - before.children_user - before.children_system
        ) / CREATORS
        found[ours] = rate(platform_.arrivals())
    stand.title(
        f"Deliveries a second, {CREATORS:,} creators with one message each, {CONCURRENCY} at a time, "
        f"{stand.VENDOR_LATENCY_MS} ms until the platform answers"
    )
    stand.table(found, unit="/s", peer=peer)
    for name, seconds in cpu.items():
        stand.row(f"processor time for each message, {name}", f"{seconds * 1_000:.1f} ms")


if __name__ == "__main__":
    main()
