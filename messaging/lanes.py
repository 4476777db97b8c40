"""Answers which of the messages that a door has received may be handled now, and when the next may. Touches nothing.

A group of one creator's messages comes off the queue at once and goes out one by one. What waits for its turn waits
here, without a thread: one creator's trouble fills one lane, and holds up nobody else.
"""

import heapq
import threading
import time
from bisect import insort
from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
# So many of one creator wait here; what comes on top is put back on the queue, one after the other.
LANE_MAX = 24


@dataclass(slots=True, eq=False)
class Turn(Generic[T]):
    """One message in hand. Times are of the monotonic clock.

    order: the message's id; ids rise with time. keep_until: when it must be handled or put back all the same.
    not_before: this message alone waits until then.
    """

    item: T
    creator_id: int
    campaign: bool
    order: UUID
    keep_until: float
    not_before: float = 0.0


@dataclass(slots=True)
class _Lane(Generic[T]):
    turns: list[Turn[T]] = field(default_factory=list)
    overflow: deque[Turn[T]] = field(default_factory=deque)
    # At most one of a creator is being handled: the limiter grants no second one meanwhile.
    busy: bool = False
    reply_not_before: float = 0.0
    campaign_not_before: float = 0.0
    # What lies between two of them at least, once that is known: nobody need ask before it has passed.
    gap: float = 0.0

    def ready_at(self, turn: Turn[T]) -> float:
        turn_at = max(turn.not_before, self.campaign_not_before if turn.campaign else self.reply_not_before)
        return min(turn_at, turn.keep_until)

    def next_at(self) -> float | None:
        """When the first of them may be handled; None while that is up to somebody else."""
        if self.busy or not (self.turns or self.overflow):
            return None
        return 0.0 if self.overflow else min(self.ready_at(turn) for turn in self.turns)

    def pop(self, now: float) -> Turn[T] | None:
        """The first whose turn it is, else one that there is no room for."""
        for position, turn in enumerate(self.turns):
            if self.ready_at(turn) <= now:
                return self.turns.pop(position)
        return self.overflow.popleft() if self.overflow else None


class Lanes(Generic[T]):
    """Safe to share between threads. Every message put in comes out once: by `take`, or by `close`."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane[T]] = {}
        # When a lane may have something ready; an entry that is too early does no harm.
        self._times: list[tuple[float, int]] = []
        self._held = 0
        self._closed = False
        self._changed = threading.Condition()

    def put(self, turn: Turn[T]) -> bool:
        """Whether it was taken in; not after `close`."""
        with self._changed:
            if self._closed:
                return False
            lane = self._lanes.setdefault(turn.creator_id, _Lane())
            self._insert(lane, turn)
            if len(lane.turns) > LANE_MAX:
                last = lane.turns.pop()
                last.keep_until = 0.0
                lane.overflow.append(last)
                self._schedule(turn.creator_id, lane)
            self._held += 1
            return True

    def take(self) -> Turn[T] | None:
        """The next message whose turn it is, as soon as there is one; None after `close`.

        Its creator's other messages wait until `done` or `later` is called for it.
        """
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                while self._times and self._times[0][0] <= now:
                    _, creator_id = heapq.heappop(self._times)
                    turn = self._first(creator_id, now)
                    if turn is not None:
                        return turn
                self._changed.wait(self._times[0][0] - now if self._times else None)
            return None

    def done(self, turn: Turn[T]) -> None:
        """It has been handled to its end."""
        with self._changed:
            lane = self._lanes[turn.creator_id]
            at = time.monotonic() + lane.gap
            lane.reply_not_before = max(at, lane.reply_not_before)
            lane.campaign_not_before = max(at, lane.campaign_not_before)
            self._held -= 1
            self._free(turn)

    def later(self, turn: Turn[T], *, seconds: float, alone: bool, gap: float = 0.0) -> bool:
        """It waits, and with it, unless `alone`, whatever of its creator needs as many tokens or more.

        Whether it could be kept; not after `close`.
        """
        at = time.monotonic() + seconds
        with self._changed:
            lane = self._lanes[turn.creator_id]
            lane.gap = gap
            if alone:
                turn.not_before = at
            elif turn.campaign:
                lane.campaign_not_before = at
            else:
                lane.reply_not_before = at
                lane.campaign_not_before = max(at, lane.campaign_not_before)
            if self._closed:
                self._held -= 1
                self._free(turn)
                return False
            self._insert(lane, turn)
            self._free(turn)
            return True

    def close(self) -> list[T]:
        """Hand out nothing more; gives what waits."""
        with self._changed:
            self._closed = True
            waiting = [turn.item for lane in self._lanes.values() for turn in (*lane.turns, *lane.overflow)]
            for lane in self._lanes.values():
                lane.turns.clear()
                lane.overflow.clear()
            self._held -= len(waiting)
            self._changed.notify_all()
            return waiting

    @property
    def held(self) -> int:
        """How many are in hand: waiting and being handled."""
        with self._changed:
            return self._held

    def ready(self) -> int:
        """How many creators have something to be handled now."""
        now = time.monotonic()
        with self._changed:
            return sum((at := lane.next_at()) is not None and at <= now for lane in self._lanes.values())

    def _insert(self, lane: _Lane[T], turn: Turn[T]) -> None:
        # Somebody who is typing goes before a campaign; otherwise what was written first goes first.
        insort(lane.turns, turn, key=lambda each: (each.campaign, each.order))
        self._schedule(turn.creator_id, lane)

    def _schedule(self, creator_id: int, lane: _Lane[T]) -> None:
        at = lane.next_at()
        if at is not None:
            heapq.heappush(self._times, (at, creator_id))
            self._changed.notify()

    def _first(self, creator_id: int, now: float) -> Turn[T] | None:
        lane = self._lanes.get(creator_id)
        if lane is None or lane.busy:
            return None
        turn = lane.pop(now)
        if turn is None:
            self._schedule(creator_id, lane)
        else:
            lane.busy = True
        return turn

    def _free(self, turn: Turn[T]) -> None:
        lane = self._lanes[turn.creator_id]
        lane.busy = False
        if lane.turns or lane.overflow:
            self._schedule(turn.creator_id, lane)
        else:
            # What the lane knew of the limiter is asked anew.
            del self._lanes[turn.creator_id]
