"""Answers whether reads find what the caller means and nothing of another creator."""

import pytest

from crm import selectors
from crm.errors import NotFound
from crm.models import Fan
from crm.tests.factories import CreatorFactory, FanFactory

pytestmark = pytest.mark.django_db


def found(fan: Fan, recipient_id: str) -> Fan:
    return selectors.fan_get_by_recipient(creator=fan.creator, recipient_id=recipient_id)


def test_a_recipient_is_found_by_each_of_its_names() -> None:
    fan = FanFactory(platform_id="123", handle="Ada")
    for name in ("123", "ada", "@ADA", f"fan_{fan.pk}"):
        assert found(fan, name) == fan


def test_a_handle_that_two_fans_have_names_neither() -> None:
    fan = FanFactory(platform_id="123", handle="ada")
    FanFactory(creator=fan.creator, platform_id="124", handle="ADA")
    with pytest.raises(NotFound):
        found(fan, "ada")


@pytest.mark.parametrize("name", ["fan_0", "fan_x", "fan_" + "9" * 30, "", "@", "nobody"])
def test_an_odd_recipient_is_not_found(name: str) -> None:
    with pytest.raises(NotFound):
        found(FanFactory(handle=""), name)


def test_a_recipient_of_another_creator_is_not_found() -> None:
    fan = FanFactory(handle="ada")
    for name in (fan.platform_id, fan.handle, f"fan_{fan.pk}"):
        with pytest.raises(NotFound):
            selectors.fan_get_by_recipient(creator=CreatorFactory(), recipient_id=name)
