"""Answers whether a creator's time zone is shown to all and changed by those who may. Touches the test database."""

from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from crm.models import Creator, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, MembershipFactory
from crm.time_zones import zone_choices

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
CREATOR = "/api/crm/creator"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create(time_zone="Europe/Paris")


def put(creator: Creator, role: Role, zone: Any) -> Any:
    return signed_in(creator, role).put(CREATOR, {"timeZone": zone})


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
def test_who_manages_gives_the_creator_another_one(creator: Creator, role: Role) -> None:
    answer = put(creator, role, "Asia/Tokyo")
    assert (answer.status_code, answer.json()["timeZone"]) == (200, "Asia/Tokyo")
    creator.refresh_from_db()
    assert creator.time_zone == "Asia/Tokyo"


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_who_does_not_reads_it(creator: Creator, role: Role) -> None:
    assert put(creator, role, "Asia/Tokyo").status_code == 403
    creator.refresh_from_db()
    assert creator.time_zone == "Europe/Paris"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "", "+05", 7, None, "Europe/Paris\x00"])
def test_a_zone_that_nobody_knows_is_named_and_changes_nothing(creator: Creator, zone: Any) -> None:
    answer = put(creator, Role.OWNER, zone)
    assert (answer.status_code, [error["field"] for error in answer.json()["errors"]]) == (400, ["timeZone"])
    creator.refresh_from_db()
    assert creator.time_zone == "Europe/Paris"


def test_places_are_in_the_readers_language_with_their_offset() -> None:
    with translation.override("fr"):
        shown = {zone.name: zone for zone in zone_choices(chosen="UTC")}
    assert shown["Europe/London"].place == "Londres"
    assert shown["Asia/Tokyo"].offset == "+09:00"


def test_whatever_is_set_is_among_the_choices() -> None:
    assert zone_choices(chosen="Etc/GMT-5")[0].name == "Etc/GMT-5"
    assert zone_choices(chosen="Mars/Olympus")[0].offset == ""


@pytest.mark.parametrize(("role", "changes"), [(Role.MANAGER, True), (Role.ANALYST, False)])
def test_the_settings_show_it_and_offer_a_choice_to_who_may(creator: Creator, role: Role, changes: bool) -> None:
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=role).user)
    shown = client.get("/settings").content.decode()
    assert ('<option value="Europe/Paris" selected>' in shown) is changes
    assert ('name="timeZone"' in shown, "Europe/Paris" in shown) == (changes, True)
