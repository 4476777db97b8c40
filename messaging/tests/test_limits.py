"""Answers whether a creator's own limit is shown, lowered by those who may, and obeyed. Touches tables and Redis."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm.models import Creator, MessageStatus, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, FanFactory
from messaging.delivery import limit_of
from messaging.models import Delivery, SendingProfile
from messaging.rate_limiter import limiter_load
from messaging.tests.factories import delivery_make, profile_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
LIMIT = "/api/onlyfans/messages/limit"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def test_a_new_creator_has_the_platforms_limit(creator: Creator) -> None:
    assert signed_in(creator, Role.ANALYST).get(LIMIT).json() == {
        "messages": 10,
        "windowSeconds": 60.0,
        "minGapSeconds": 3.0,
        "campaignMessages": 8,
        "messagesMost": 10,
        "minGapSecondsLeast": 3.0,
        "sentInWindow": 0,
    }


def test_what_went_out_lately_is_counted(creator: Creator) -> None:
    fan, now = FanFactory.create(creator=creator), timezone.now()
    for ago, state in ((5, MessageStatus.SENT), (50, MessageStatus.UNKNOWN), (70, MessageStatus.SENT)):
        row = delivery_make(fan=fan, state=state)
        Delivery.objects.filter(pk=row.pk).update(finished_at=now - timedelta(seconds=ago))
    assert signed_in(creator).get(LIMIT).json()["sentInWindow"] == 2


def test_a_manager_makes_it_slower_and_back(creator: Creator) -> None:
    client = signed_in(creator, Role.MANAGER)
    for messages, gap in ((4, 5.5), (10, 3)):
        answer = client.put(LIMIT, {"messages": messages, "minGapSeconds": gap})
        assert (answer.status_code, answer.json()["messages"], answer.json()["minGapSeconds"]) == (200, messages, gap)
        profile = SendingProfile.objects.get(creator=creator)
        assert (profile.limit_messages, profile.min_gap_ms) == (messages, gap * 1_000)


@pytest.mark.parametrize(
    ("messages", "gap", "fields"),
    [
        (11, 3, ["messages"]),
        (0, 3, ["messages"]),
        (5, 2.9, ["minGapSeconds"]),
        (5, 61, ["minGapSeconds"]),
        (11, 0, ["messages", "minGapSeconds"]),
        ("ten", "nan", ["messages", "minGapSeconds"]),
        (None, 3, ["messages"]),
    ],
)
def test_nobody_goes_past_the_platforms(creator: Creator, messages: Any, gap: Any, fields: list[str]) -> None:
    profile_make(creator=creator)
    answer = signed_in(creator).put(LIMIT, {"messages": messages, "minGapSeconds": gap})
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, fields)
    assert not SendingProfile.objects.exclude(limit_messages=10).exists()


def test_a_chatter_reads_it_alone(creator: Creator) -> None:
    assert signed_in(creator, Role.CHATTER).put(LIMIT, {"messages": 4, "minGapSeconds": 5}).status_code == 403


def test_a_lower_one_holds_for_the_next_message(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator)
    signed_in(creator).put(LIMIT, {"messages": 1, "minGapSeconds": 3})
    limiter, limit = limiter_load(), limit_of(delivery_make(fan=fan))
    assert limiter.acquire(creator_id=creator.pk, dispatch_id="first", limit=limit).granted
    limiter.settle(creator_id=creator.pk, dispatch_id="first", limit=limit)
    assert limiter.acquire(creator_id=creator.pk, dispatch_id="second", limit=limit).wait_ms > 50_000
