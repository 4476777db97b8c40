"""Answers what one running simulator is made of, what it took, and how its knobs are turned. Touches its store."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from onlyfans.simulator import shapes
from onlyfans.simulator.events import Courier
from onlyfans.simulator.faults import Faults, fault_of
from onlyfans.simulator.store import Account, Fan, Limits, Message, Store


class Does(StrEnum):
    """What a person can have a fan do."""

    WRITE = "write"
    TIP = "tip"
    RENEW = "renew"
    SUBSCRIBE = "subscribe"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Act:
    """`text` is what is written, `cents` what is tipped."""

    does: Does
    text: str = ""
    cents: int = 0


@dataclass(slots=True)
class Simulator:
    """What one running simulator is made of; the knobs may change while it runs."""

    store: Store
    limits: Limits = field(default_factory=Limits)
    latency_ms: int = 0
    faults: Faults = field(default_factory=Faults)
    courier: Courier = field(default_factory=Courier)
    # Counts the resets: what fans had in mind before the last one is forgotten.
    era: int = 0
    # How fast the fans live: 1 is a minute or so between two of them, 0 not at all.
    life: float = 0
    # Have a fan do something now; set where they live.
    act: Callable[[Account, Fan, Act], Awaitable[None]] | None = None
    # What the fans do when a message reaches one; set there too.
    on_message: Callable[[Account, Message], None] = lambda account, message: None
    # Requests under way, by account and idempotency key.
    running: set[tuple[str, str]] = field(default_factory=set)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.courier.wanted = lambda webhook: webhook in self.store.webhooks(account=webhook.account)

    async def sleep(self, milliseconds: float) -> None:
        """Wait, but not longer than the server runs."""
        if milliseconds > 0:
            try:
                await asyncio.wait_for(self.stopping.wait(), milliseconds / 1000)
            except TimeoutError:
                return


def deliveries(simulator: Simulator, *, account: str = "") -> list[dict[str, Any]]:
    """Every message taken, the oldest first: `text` as the fan reads it, `html` as it was asked for."""
    return [
        {**asdict(message), "text": shapes.plain(message.html)}
        for message in reversed(simulator.store.messages(account=account))
    ]


def control(simulator: Simulator, knobs: Mapping[str, Any]) -> None:
    """Raises ValueError, and then nothing was turned."""
    limits = {name: knobs[name] for name in ("messages", "window_seconds", "min_gap_seconds") if name in knobs}
    unknown = set(knobs) - {"reset", "latency_ms", "life", "faults", *limits}
    if unknown:
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}.")
    numbers = [*limits.values(), knobs.get("latency_ms", 0), knobs.get("life", 0)]
    if not all(isinstance(number, int | float) and number >= 0 for number in numbers) or limits.get("messages") == 0:
        raise ValueError("Limits, latency and life are numbers from 0, messages from 1.")
    faults = [fault_of(spec) for spec in knobs.get("faults", ())]
    if knobs.get("reset"):
        simulator.era += 1
        simulator.faults.clear()
        simulator.store.forget()
        simulator.courier.log.clear()
    simulator.limits = replace(simulator.limits, **limits)
    simulator.latency_ms = knobs.get("latency_ms", simulator.latency_ms)
    simulator.life = knobs.get("life", simulator.life)
    for fault in faults:
        simulator.faults.add(fault)
