"""Answers how the demo gets into the database. Touches tables through the services of the apps alone."""

import csv
import io
import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from django.db import transaction
from django.utils import timezone

from crm.models import Creator, Fan, Message, Role, User
from crm.services import (
    conversation_mark_read,
    conversation_open,
    creator_create,
    membership_set,
    message_receive,
    message_record_sent,
    user_create,
)
from crm.transaction_services import transaction_bulk_record
from huntaze.demo_content import (
    AGENCY_EMAIL,
    CREATOR_EMAIL,
    CREATORS,
    DIALOGUES,
    PASSWORD,
    PEOPLE,
    SET,
    SHARED,
    DemoCreator,
)
from huntaze.demo_money import demo_money
from huntaze.env import BASE_DIR
from onlyfans.csv_import import fans_import
from onlyfans.services import account_connect

FANS = BASE_DIR / "onlyfans" / "samples" / "fans_app_format.csv"
SEED = 20_261


@transaction.atomic
def demo_load() -> bool:
    """Load all of the demo, or nothing where its first user exists; answers whether it did."""
    if User.objects.filter(email=CREATOR_EMAIL).exists():
        return False
    chance = Random(SEED)  # noqa: S311  the same demo everywhere, no secret
    users = {
        email: user_create(email=email, password=PASSWORD, name=name, staff=email == CREATOR_EMAIL)
        for email, name, _ in PEOPLE
    }
    for wanted in CREATORS:
        owner = users[wanted.owner]
        creator = creator_create(name=wanted.name, owner=owner, time_zone=wanted.time_zone)
        if wanted.name == SHARED:
            membership_set(user=users[AGENCY_EMAIL], creator=creator, role=Role.MANAGER)
        account_connect(creator=creator, account_id=wanted.account_id, api_key=wanted.api_key)
        fans_import(creator=creator, user=owner, filename=FANS.name, content=_first_rows(FANS, wanted.fans))
        bought = _converse(creator=creator, owner=owner, wanted=wanted, chance=chance)
        fans = list(Fan.objects.filter(creator=creator).order_by("handle"))
        money = demo_money(fans=fans, bought=bought, now=timezone.now(), chance=Random(SEED))  # noqa: S311
        transaction_bulk_record(creator=creator, rows=money)
    return True


def _first_rows(path: Path, count: int) -> bytes:
    """The file's header and its first `count` rows."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(itertools.islice(csv.reader(file), count + 1))
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


def _converse(*, creator: Creator, owner: User, wanted: DemoCreator, chance: Random) -> list[tuple[Message, Fan]]:
    """Begin the conversations, the longest ago first; who spends more is likelier to write.

    Every second one begins with a set that costs something; answers those that the fan could pay for, and the fan.
    """
    bought = []
    fans = list(Fan.objects.filter(creator=creator).order_by("-value_cents", "handle")[: wanted.conversations * 3])
    talking = chance.sample(fans, min(wanted.conversations, len(fans)))
    numbers = itertools.count(1)
    for place, fan in enumerate(talking):
        dialogue = DIALOGUES[(place * 5 + len(wanted.name)) % len(DIALOGUES)]
        ended = timezone.now() - timedelta(days=24 * (1 - (place + 1) / len(talking)), minutes=chance.randint(7, 110))
        times = _times(len(dialogue), ended, chance)
        if place % 2 and fan.value_cents >= SET.price_cents:
            offered = message_record_sent(
                fan=fan,
                text=SET.text,
                sent_at=times[0] - timedelta(hours=5),
                platform_message_id=f"demo-{next(numbers)}",
                sender=owner,
                price_cents=SET.price_cents,
                attachments=[{"type": "media", "url": SET.media}],
            )
            if offered is not None:
                bought.append((offered, fan))
        _speak(fan=fan, owner=owner, dialogue=dialogue, times=times, numbers=numbers)
    return bought


def _times(count: int, ended: datetime, chance: Random) -> list[datetime]:
    """When the lines of a dialogue were written: minutes apart, now and then a night."""
    times = [ended]
    while len(times) < count:
        times.append(times[-1] - timedelta(minutes=chance.choice((2, 3, 5, 9, 14, 31, 600))))
    return times[::-1]


def _speak(*, fan: Fan, owner: User, dialogue: tuple[str, ...], times: list[datetime], numbers: Iterator[int]) -> None:
    """Write the lines; an answer means that what came before it was read."""
    for line, at in zip(dialogue, times, strict=True):
        number = f"demo-{next(numbers)}"
        if line.startswith("<"):
            message_receive(fan=fan, text=line[1:], received_at=at, platform_message_id=number)
        else:
            conversation_mark_read(conversation=conversation_open(fan=fan))
            message_record_sent(fan=fan, text=line[1:], sent_at=at, platform_message_id=number, sender=owner)
