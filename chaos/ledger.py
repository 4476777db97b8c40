"""Answers what became of every message of a run: what was promised against what the platform has. Touches nothing.

A message is known by who reads it and what they read, never by an id of ours, so that one sent under two keys is seen
to be doubled.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from messaging.rate_limiter import Limit

# Arrivals are noted in whole milliseconds, so two may each be one off.
ROUNDING_MS = 2
# Nobody can say what became of these, and the platform may not remember the key: a person decides.
# The last two: the chat was read after such trouble, and did not settle it.
HONESTLY_UNKNOWN = frozenset({"vendor_trouble", "answer_unreadable", "not_in_chat", "chat_unclear"})
ENDED = frozenset({"sent", "failed", "unknown", "cancelled", "dismissed"})


@dataclass(frozen=True, slots=True)
class Message:
    """Who reads it, at which account, and what."""

    account: str
    fan: str
    text: str

    def __str__(self) -> str:
        return f"{self.account} to {self.fan}: {self.text!r}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for and was told. Times in seconds of one clock.

    answered_at: None where no answer came. accepted: told that it is on its way. refused: told that it failed.
    campaign: whether it may be overtaken by a reply.
    """

    message: Message
    asked_at: float
    answered_at: float | None
    accepted: bool
    refused: bool = False
    campaign: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """How the product says that it stands. `repeatable`: it would send it again by itself.

    stage: where it failed: `enqueue` before SQS had it, `send` after.
    """

    message: Message
    state: str
    reason_code: str = ""
    reason: str = ""
    repeatable: bool = False
    stage: str = ""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The platform took it, at this many milliseconds of the epoch, under this key."""

    message: Message
    at_ms: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end. `dead_letters`: of which message each copy in the dead-letter queue is."""

    wishes: Sequence[Wish]
    rows: Sequence[Row]
    arrivals: Sequence[Arrival]
    dead_letters: Sequence[Message] = ()


# Each name with what it is that must not happen.
PROMISES: dict[str, str] = {
    "doubled": "the fan has it twice",
    "lost": "accepted or said to be sent; the fan does not have it, and nobody says why",
    "unfinished": "still open, or in a doubt that is to be resolved, when all should be quiet",
    "contradicted": "said to have failed, and the fan has it",
    "unexplained": "unknown for a reason that no fault of the platform gives",
    "out of order": "reached the fan before what was asked for earlier",
    "over the limit": "one more than a window may hold",
    "too close": "nearer to the one before than the gap",
    "strange": "the fan has what nobody asked for",
    "misburied": "failed while it was sent, and has not one copy in the DLQ; or did not, and has one",
}


@dataclass(slots=True)
class Ledger:
    """The counts, and under each promise that was broken the messages that it was broken for."""

    accepted: int = 0
    unanswered: int = 0
    refused: int = 0
    delivered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    dead_letters: int = 0
    to_bury: int = 0
    most_in_a_window: int = 0
    smallest_gap_ms: int | None = None
    broken: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in PROMISES})

    @property
    def clean(self) -> bool:
        return not any(self.broken.values())


def ledger_make(evidence: Evidence, *, limit: Limit) -> Ledger:
    ledger = Ledger(dead_letters=len(evidence.dead_letters))
    rows = {row.message: row for row in evidence.rows}
    arrivals: dict[Message, list[Arrival]] = defaultdict(list)
    for arrival in sorted(evidence.arrivals, key=lambda each: each.at_ms):
        arrivals[arrival.message].append(arrival)
    ledger.delivered = len(arrivals)
    wishes = {wish.message: wish for wish in evidence.wishes}
    if len(wishes) != len(evidence.wishes):
        raise ValueError("Two wishes for the same text to the same fan cannot be told apart.")
    for wish in evidence.wishes:
        _judge(ledger, wish, rows.get(wish.message), arrivals.get(wish.message, []))
    ledger.broken["strange"] = [
        f"{message}, at {_times(found)}" for message, found in arrivals.items() if message not in wishes
    ]
    first = {message: found[0].at_ms for message, found in arrivals.items()}
    ledger.broken["out of order"] = list(_overtaken(evidence.wishes, first))
    _pace(ledger, evidence.arrivals, limit)
    _buried(ledger, evidence)
    return ledger


def _buried(ledger: Ledger, evidence: Evidence) -> None:
    """One copy in the dead-letter queue for each message that failed after SQS had taken it, and no other."""
    copies = Counter(evidence.dead_letters)
    rows = {row.message: row for row in evidence.rows}
    for message in {*copies, *rows}:
        row = rows.get(message)
        due = int(row is not None and row.state == "failed" and row.stage == "send")
        ledger.to_bury += due
        if copies[message] != due:
            state = f"{row.state} {row.reason_code}".rstrip() if row else "no row"
            ledger.broken["misburied"].append(f"{message}: {state}, {copies[message]} copies")


def _times(arrivals: Sequence[Arrival]) -> str:
    return ", ".join(f"{each.at_ms} (key {each.key})" for each in arrivals)


def _judge(ledger: Ledger, wish: Wish, row: Row | None, arrived: Sequence[Arrival]) -> None:
    ledger.accepted += wish.accepted
    ledger.refused += wish.refused
    ledger.unanswered += row is not None and not wish.accepted and not wish.refused
    state = row.state if row else "no row"
    said = f"{wish.message}: {state}" + (f", {row.reason_code} {row.reason}".rstrip() if row else "")
    if row is not None:
        if state == "failed":
            ledger.failed[row.reason_code] += 1
        if state == "unknown":
            ledger.unknown[row.reason_code] += 1
            if row.reason_code not in HONESTLY_UNKNOWN and not row.repeatable:
                ledger.broken["unexplained"].append(said)
        if state not in ENDED or (state == "unknown" and row.repeatable):
            ledger.broken["unfinished"].append(said)
    if len(arrived) > 1:
        ledger.broken["doubled"].append(f"{said}, at {_times(arrived)}")
    if arrived and (state in ("failed", "cancelled") or (wish.refused and state != "sent")):
        ledger.broken["contradicted"].append(f"{said}, at {_times(arrived)}")
    if not arrived and (wish.accepted or state == "sent"):
        explained = row is not None and state in ("failed", "unknown") and bool(row.reason)
        if not explained and state not in ("pending", "queued", "parked", "sending"):
            ledger.broken["lost"].append(said)


def _overtaken(wishes: Sequence[Wish], first: Mapping[Message, int]) -> Iterator[str]:
    """A reply comes after the replies, and a campaign's message after all, that were answered before it was asked for.

    Calls that overlap in time, and those that were never answered, have no order.
    """
    by_fan: dict[tuple[str, str], list[Wish]] = defaultdict(list)
    for wish in wishes:
        if wish.message in first:
            by_fan[wish.message.account, wish.message.fan].append(wish)
    for some in by_fan.values():
        for later in some:
            for earlier in some:
                if earlier.answered_at is None or earlier.answered_at >= later.asked_at:
                    continue
                if earlier.campaign and not later.campaign:
                    continue
                if first[earlier.message] > first[later.message]:
                    yield (
                        f"{later.message}, at {first[later.message]}, before {earlier.message.text!r},"
                        f" at {first[earlier.message]}"
                    )


def _pace(ledger: Ledger, arrivals: Sequence[Arrival], limit: Limit) -> None:
    by_account: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in sorted(arrivals, key=lambda each: each.at_ms):
        by_account[arrival.message.account].append(arrival)
    for some in by_account.values():
        times = [each.at_ms for each in some]
        for place, arrival in enumerate(some):
            in_window = place + 1 - bisect_left(times, arrival.at_ms - limit.window_ms + ROUNDING_MS)
            ledger.most_in_a_window = max(ledger.most_in_a_window, in_window)
            if in_window > limit.messages:
                ledger.broken["over the limit"].append(
                    f"{arrival.message}, at {arrival.at_ms}: {in_window} in {limit.window_ms} ms"
                )
            if not place:
                continue
            gap = arrival.at_ms - times[place - 1]
            if ledger.smallest_gap_ms is None or gap < ledger.smallest_gap_ms:
                ledger.smallest_gap_ms = gap
            if gap < limit.gap_ms - ROUNDING_MS:
                ledger.broken["too close"].append(
                    f"{arrival.message}, at {arrival.at_ms}: {gap} ms after {some[place - 1].message.text!r}"
                )


def _line(name: str, value: object, note: str = "") -> str:
    return f"  {name:<22} {value!s:>8}  {note}".rstrip()


def _by_reason(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {code}" for code, number in counts.most_common())


def ledger_text(ledger: Ledger, *, limit: Limit, rows_each: int = 40) -> str:
    """The ledger for people; of each broken promise at most so many rows."""
    lines = [
        _line("accepted", ledger.accepted),
        _line("refused", ledger.refused, "answered as failed"),
        _line("unanswered", ledger.unanswered, "the caller got an error, and yet the row stands"),
        _line("delivered", ledger.delivered),
        _line("failed", ledger.failed.total(), _by_reason(ledger.failed)),
        _line("unknown", ledger.unknown.total(), _by_reason(ledger.unknown)),
        _line(
            "DLQ", ledger.dead_letters, f"copies, for {ledger.to_bury} messages that failed after SQS had taken them"
        ),
        _line("most in any window", ledger.most_in_a_window, f"of {limit.messages} in {limit.window_ms / 1_000:g} s"),
        _line("smallest gap", f"{ledger.smallest_gap_ms} ms", f"of at least {limit.gap_ms} ms"),
    ]
    lines += [_line(name, len(ledger.broken[name]), what) for name, what in PROMISES.items()]
    for name, found in ledger.broken.items():
        if found:
            lines += ["", f"{name.upper()}: {PROMISES[name]}", *(f"  {each}" for each in found[:rows_each])]
            if len(found) > rows_each:
                lines.append(f"  and {len(found) - rows_each} more")
    return "\n".join(lines)
