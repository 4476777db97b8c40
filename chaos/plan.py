"""Answers what a chaos run does, all of it drawn from one seed: who writes what when, what fails, who is killed when.

Touches nothing. The seed fixes what is drawn and in which order; how the processes interleave is the machine's doing.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from messaging.rate_limiter import Limit
from onlyfans.simulator.faults import Fault, Kind
from onlyfans.simulator.store import Account

# A part of one of microburst's rules: what happens.
SqsFault = dict[str, object]
CREATORS = 8
FANS = 12
PRODUCERS = 2
WORKERS = 3
MESSAGES_PER_MINUTE = 1_000
# The platform's own shape at a thirtieth of its time, so that thousands of messages go out in minutes.
LIMIT = Limit(messages=10, window_ms=2_000, gap_ms=50, lease_ms=3_000)
SEND_TIMEOUT_SECONDS = 2
# The last part of the run in which nothing new is asked for, while faults and kills go on.
CLOSING = 0.1
BATCH_SIZES = (2, 10)
BULK_SIZES = (3, FANS)

ACCOUNTS = tuple(
    Account(f"acct_chaos{number}", f"sim_key_chaos{number}", f"Creator {number}", f"creator{number}", 800_000 + number)
    for number in range(CREATORS)
)


class Victim(StrEnum):
    """What is killed, by the name that its part begins with."""

    WORKER = "worker"
    SWEEPER = "sweeper"
    PRODUCER = "producer"
    VALKEY = "valkey"
    POSTGRES = "postgres"


KILLS_PER_MINUTE = {
    Victim.WORKER: 5.0,
    Victim.SWEEPER: 2.0,
    Victim.PRODUCER: 1.5,
    Victim.VALKEY: 1.5,
    Victim.POSTGRES: 1.5,
}
COUNTS = {Victim.WORKER: WORKERS, Victim.PRODUCER: PRODUCERS}


@dataclass(frozen=True, slots=True)
class Kill:
    """`part` gets SIGKILL `at` seconds after the beginning."""

    at: float
    part: str


class Way(StrEnum):
    """Through which service a step writes."""

    SINGLE = "single"
    BATCH = "batch"
    BULK = "bulk"
    CAMPAIGN = "campaign"


WAYS = {Way.SINGLE: 0.72, Way.BATCH: 0.12, Way.BULK: 0.1, Way.CAMPAIGN: 0.06}


@dataclass(frozen=True, slots=True)
class Step:
    """One call of one producer, `at` seconds after the beginning.

    creator: position in ACCOUNTS. fans: positions among the creator's fans; a batch may write to one several times.
    texts: one for each fan, unique in the run for its fan.
    """

    number: int
    at: float
    way: Way
    creator: int
    fans: tuple[int, ...]
    texts: tuple[str, ...]

    @property
    def campaign(self) -> bool:
        return self.way in (Way.BULK, Way.CAMPAIGN)


@dataclass(frozen=True, slots=True)
class Outage:
    """The platform fails every send of one account, from and to in seconds after the beginning."""

    account: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class VendorFault:
    probability: float
    fault: Fault


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole run. `steps` are by producer; `sqs_rules` are microburst's."""

    seed: int
    seconds: float
    steps: tuple[tuple[Step, ...], ...]
    kills: tuple[Kill, ...]
    outages: tuple[Outage, ...]
    vendor_faults: tuple[VendorFault, ...]
    latency_ms: int
    sqs_rules: tuple[SqsFault, ...]

    @property
    def messages(self) -> int:
        return sum(len(step.fans) for steps in self.steps for step in steps)


def plan_make(*, seed: int, minutes: float) -> Plan:
    """The same plan for the same two numbers."""

    def chance(of: str) -> random.Random:
        # One stream for each part, so that a change to one leaves the others as they were.
        return random.Random(f"{seed}:{of}")

    seconds = minutes * 60
    vendor = chance("vendor")
    return Plan(
        seed=seed,
        seconds=seconds,
        steps=tuple(_steps(number, seconds, chance(f"producer {number}")) for number in range(PRODUCERS)),
        kills=_kills(seconds, chance("kills")),
        outages=_outages(minutes, chance("outages")),
        vendor_faults=_vendor_faults(vendor),
        latency_ms=vendor.randrange(10, 60),
        sqs_rules=_sqs_rules(chance("sqs")),
    )


def _steps(producer: int, seconds: float, chance: random.Random) -> tuple[Step, ...]:
    wanted = MESSAGES_PER_MINUTE * seconds / 60 / PRODUCERS
    drafts: list[tuple[Way, tuple[int, ...]]] = []
    total = 0
    while total < wanted:
        way = chance.choices(list(WAYS), list(WAYS.values()))[0]
        drafts.append((way, _fans(way, chance)))
        total += len(drafts[-1][1])
    times = sorted(chance.uniform(0, seconds * (1 - CLOSING)) for _ in drafts)
    return tuple(
        Step(number, at, way, chance.randrange(CREATORS), fans, _texts(producer, number, way, len(fans)))
        for number, ((way, fans), at) in enumerate(zip(drafts, times, strict=True))
    )


def _fans(way: Way, chance: random.Random) -> tuple[int, ...]:
    match way:
        case Way.SINGLE:
            return (chance.randrange(FANS),)
        case Way.BATCH:
            return tuple(chance.randrange(FANS) for _ in range(chance.randint(*BATCH_SIZES)))
        case Way.BULK:
            return tuple(chance.sample(range(FANS), chance.randint(*BULK_SIZES)))
    return tuple(range(FANS))


def _texts(producer: int, number: int, way: Way, count: int) -> tuple[str, ...]:
    """A campaign's fans all read the same."""
    if way is Way.BATCH:
        return tuple(f"{way} {producer}.{number}.{place}" for place in range(count))
    return (f"{way} {producer}.{number}",) * count


def _kills(seconds: float, chance: random.Random) -> tuple[Kill, ...]:
    kills = []
    for victim, per_minute in KILLS_PER_MINUTE.items():
        # Each at least once, however short the run is.
        for _ in range(max(1, round(per_minute * seconds / 60))):
            count = COUNTS.get(victim)
            part = victim if count is None else f"{victim}-{chance.randrange(count)}"
            kills.append(Kill(chance.uniform(0.05, 0.98) * seconds, part))
    return tuple(sorted(kills, key=lambda kill: kill.at))


def _outages(minutes: float, chance: random.Random) -> tuple[Outage, ...]:
    found = []
    for _ in range(max(1, round(minutes))):
        begin = chance.uniform(0, minutes * 60 * 0.8)
        found.append(Outage(chance.choice(ACCOUNTS).id, begin, begin + chance.uniform(3, 8)))
    return tuple(found)


NOT_SENT = {"error": "UPSTREAM_UNAVAILABLE", "message": "Not sent.", "request_outcome": "not_sent"}


def _vendor_faults(chance: random.Random) -> tuple[VendorFault, ...]:
    """What the platform does instead of its own answer, each with a probability of its own."""
    faults = {
        # Slow, and yet in time.
        0.03: Fault(Kind.DELAY, delay_ms=chance.randrange(300, 1_200)),
        # Taken, and answered when nobody waits any more.
        0.015: Fault(Kind.DELAY, delay_ms=SEND_TIMEOUT_SECONDS * 1_000 + 700, take=True),
        0.02: Fault(status=429, retry_after="1"),
        0.011: Fault(status=429, retry_after="0"),
        0.006: Fault(status=429),
        0.021: Fault(status=503, body=NOT_SENT),
        # Nobody can say what became of these: not taken, taken and forgotten, a page of HTML.
        0.008: Fault(status=500),
        0.005: Fault(status=500, take=True, kept=False),
        0.007: Fault(Kind.HTML, status=502),
        0.004: Fault(Kind.HTML, status=200, take=True, kept=False),
        # The connection closes before and after the message was taken.
        0.016: Fault(Kind.DROP),
        0.022: Fault(Kind.DROP, take=True),
    }
    return tuple(VendorFault(base * chance.uniform(0.5, 1.5), fault) for base, fault in faults.items())


def _sqs_rules(chance: random.Random) -> tuple[SqsFault, ...]:
    """What happens to requests to SQS on the wire, in microburst's terms; the first rule that strikes counts."""
    throttled: SqsFault = {"error": {"code": "ThrottlingException", "status": 400}}
    # Some throttling codes come with the status of a refusal.
    throttled_403: SqsFault = {"error": {"code": "RequestThrottled", "status": 403}}
    broken: SqsFault = {"error": {"code": "InternalError", "status": 500}}
    away: SqsFault = {"error": {"code": "ServiceUnavailable", "status": 503}}
    refused: SqsFault = {"error": {"code": "AccessDeniedException", "status": 403}}
    reset: SqsFault = {"reset": True}
    # SQS did what it was asked, and its answer never arrives.
    unheard: SqsFault = {"response": {"abort_bytes": 0}}
    slow: SqsFault = {"latency": {"min": 100, "max": 1_500}}
    # Past the client's patience of 3 s; SQS never hears of it.
    hung: SqsFault = {"timeout_ms": 4_000}
    faults: dict[str, list[tuple[float, SqsFault]]] = {
        "SendMessageBatch": [
            (0.03, throttled), (0.01, throttled_403), (0.02, broken), (0.01, away), (0.02, reset), (0.03, unheard),
            (0.03, slow), (0.005, hung), (0.003, refused),
        ],
        "ReceiveMessage": [(0.01, throttled), (0.02, broken), (0.02, reset), (0.015, unheard), (0.03, slow)],
        "DeleteMessageBatch": [(0.02, throttled), (0.03, broken), (0.03, reset), (0.03, unheard), (0.03, slow)],
        "ChangeMessageVisibilityBatch": [(0.05, broken), (0.03, unheard)],
        "GetQueueAttributes": [(0.05, broken), (0.03, reset)],
    }  # fmt: skip
    return tuple(
        {"service": "sqs", "operation": operation, "probability": round(base * chance.uniform(0.5, 1.5), 4), **what}
        for operation, some in faults.items()
        for base, what in some
    )
