"""Answers whether reads find what the caller means and nothing of another creator."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from crm import selectors
from crm.models import Fan, MessageStatus
from crm.tests.factories import CreatorFactory, FanFactory, MessageFactory

pytestmark = pytest.mark.django_db


def found(fan: Fan, recipient_id: str) -> Fan | None:
    return selectors.fan_map_by_recipient(creator=fan.creator, recipient_ids=[recipient_id]).get(recipient_id)


def test_a_recipient_is_found_by_each_of_its_names() -> None:
    fan = FanFactory(platform_id="123", handle="Ada")
    for name in ("123", "ada", "@ADA", f"fan_{fan.pk}"):
        assert found(fan, name) == fan


def test_a_handle_that_two_fans_have_names_neither() -> None:
    fan = FanFactory(platform_id="123", handle="ada")
    FanFactory(creator=fan.creator, platform_id="124", handle="ADA")
    assert found(fan, "ada") is None


@pytest.mark.parametrize("name", ["fan_0", "fan_x", "fan_" + "9" * 30, "", "@", "nobody"])
def test_an_odd_recipient_is_not_found(name: str) -> None:
    assert found(FanFactory(handle=""), name) is None


def test_a_recipient_of_another_creator_is_not_found() -> None:
    fan = FanFactory(handle="ada")
    names = [fan.platform_id, fan.handle, f"fan_{fan.pk}"]
    assert selectors.fan_map_by_recipient(creator=CreatorFactory(), recipient_ids=names) == {}


def test_many_recipients_are_found_in_three_queries(django_assert_num_queries: Any) -> None:
    fan = FanFactory(platform_id="123", handle="Ada")
    FanFactory(creator=fan.creator, handle="eve")
    FanFactory(creator=fan.creator, handle="EVE")
    foreign = FanFactory(handle="bob")
    names = ["123", "ada", "@ADA", f"fan_{fan.pk}"]
    strange = ["eve", "bob", "fan_0", "fan_x", "fan_" + "9" * 30, "", "@", foreign.platform_id, f"fan_{foreign.pk}"]
    with django_assert_num_queries(3):
        found = selectors.fan_map_by_recipient(creator=fan.creator, recipient_ids=names + strange)
    assert found == dict.fromkeys(names, fan)


def test_an_audience_without_conditions_is_every_fan_of_the_creator_the_most_valuable_first() -> None:
    low = FanFactory(value_cents=1)
    high = FanFactory(creator=low.creator, value_cents=2)
    FanFactory()
    assert list(selectors.fan_audience(creator=low.creator)) == [high, low]


def test_an_audience_leaves_out_whom_somebody_wrote_to() -> None:
    now = timezone.now()
    answered, silent, failed = FanFactory.create_batch(3, creator=CreatorFactory())
    MessageFactory(conversation__fan=answered, outbound=True, created_at=now)
    MessageFactory(conversation__fan=silent, created_at=now)
    MessageFactory(conversation__fan=failed, outbound=True, status=MessageStatus.FAILED, created_at=now)
    found = selectors.fan_audience(creator=answered.creator, not_messaged_since=now - timedelta(hours=1))
    assert set(found) == {silent, failed}
    later = selectors.fan_audience(creator=answered.creator, not_messaged_since=now + timedelta(hours=1))
    assert set(later) == {answered, silent, failed}
