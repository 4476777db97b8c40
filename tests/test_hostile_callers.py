"""Answers what becomes of a request that another site sends, of fields that are nobody's to set, and of markup in
stored texts. Walks the endpoints and pages of tests/test_access.py, so it knows each new one."""

from dataclasses import replace
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from crm.models import (
    Conversation,
    Creator,
    Fan,
    Membership,
    Message,
    MessageStatus,
    QuickReply,
    Role,
    Transaction,
    User,
)
from crm.tests.factories import MembershipFactory, UserFactory
from messaging.models import Campaign, CampaignStatus, Delivery
from onlyfans.models import ImportBatch
from tests.test_access import ENDPOINTS, PAGES, World, access_token, bearing, ids, quiet_vendor, text

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues", "quiet_vendor")]
__all__ = ["quiet_vendor"]  # a fixture
WRITES = [key for key in ENDPOINTS if key[1] != "get"]
MARKUP = "\"'><img src=x onerror=alert(1)>"


@pytest.mark.parametrize("key", WRITES, ids=ids)
def test_another_site_changes_nothing_by_somebodys_cookie(key: tuple[str, str]) -> None:
    world, browser = World(), Client(enforce_csrf_checks=True)
    browser.force_login(MembershipFactory(creator=world.creator, role=Role.OWNER).user)
    before = world.rows()
    answer = getattr(browser, key[1])(
        f"/api/{key[0].format(**world.ids)}", "{}", content_type="application/json", headers=ENDPOINTS[key].headers
    )
    assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")
    assert world.rows() == before


@pytest.mark.parametrize("key", [key for key in WRITES if ENDPOINTS[key].format == "json"], ids=ids)
def test_a_field_that_is_nobodys_to_set_sets_nothing(key: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    world, other = World(), World()
    caller = MembershipFactory(creator=world.creator, role=Role.OWNER)
    before, number = other.rows(), other.creator.pk
    extra = {
        **dict.fromkeys(("id", "pk"), 987_654_321),
        **dict.fromkeys(("creator", "creatorId", "creator_id"), number),
        **dict.fromkeys(("state", "status"), "sent"),
        **dict.fromkeys(("isStaff", "is_staff", "isSuperuser", "is_superuser"), True),
        **dict.fromkeys(("user", "userId", "sender", "createdBy"), 987_654_321),
        **dict.fromkeys(("deletedAt", "deleted_at", "sentAt", "createdAt"), "2001-01-01T00:00:00Z"),
        "platform": "elsewhere",
    }
    monkeypatch.setitem(ENDPOINTS, key, replace(ENDPOINTS[key], body={**extra, **(ENDPOINTS[key].body or {})}))
    answer = world.call(bearing(access_token(caller.user)), key)
    assert answer.status_code == 400, text(answer)
    assert {"creator_id", "pk"} <= {each["field"] for each in answer.json()["errors"]}
    assert other.rows() == before
    caller.user.refresh_from_db()
    assert (caller.user.is_staff, caller.user.is_superuser) == (False, False)
    assert list(Membership.objects.filter(user=caller.user).values_list("creator", "role")) == [
        (world.creator.pk, Role.OWNER)
    ]
    for table in (Fan, Conversation, Message, QuickReply, Campaign, Membership):
        assert not table.objects.filter(pk=987_654_321).exists()  # type: ignore[attr-defined]
    assert not Fan.objects.filter(platform="elsewhere").exists()
    assert not Fan.objects.filter(deleted_at__year=2001).exists()
    assert not Message.objects.filter(status=MessageStatus.SENT, conversation__creator=world.creator).exists()
    assert not Campaign.objects.exclude(status__in=CampaignStatus.values).exists()


@pytest.fixture
def marked() -> World:
    """A creator in whose every text there is markup."""
    world = World()
    mine = {"creator": world.creator}
    Fan.objects.filter(**mine).update(name=MARKUP, handle=MARKUP, tags=[MARKUP], notes=MARKUP, email=MARKUP)
    Message.objects.filter(**mine).update(text=MARKUP)
    Delivery.objects.filter(**mine).update(reason=MARKUP)
    Campaign.objects.filter(**mine).update(name=MARKUP, content=MARKUP)
    QuickReply.objects.filter(**mine).update(text=MARKUP)
    ImportBatch.objects.filter(**mine).update(filename=MARKUP, header=[MARKUP])
    Transaction.objects.filter(**mine).update(fan_name=MARKUP)
    Creator.objects.filter(pk=world.creator.pk).update(name=MARKUP)
    User.objects.update(name=MARKUP)
    return world


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_escapes_what_is_stored(marked: World, page: str) -> None:
    client = Client()
    client.force_login(MembershipFactory(creator=marked.creator, role=Role.OWNER).user)
    answer = client.get(f"/{page.format(**marked.ids)}", follow=True)
    if answer["Content-Type"].startswith("text/html"):
        assert "<img src=x" not in text(answer)


def test_pages_that_show_texts_show_the_markup_as_text(marked: World) -> None:
    client = Client()
    client.force_login(MembershipFactory(creator=marked.creator, role=Role.OWNER).user)
    for page in (
        "platforms/onlyfans/fans",
        "platforms/onlyfans/fans/{fan}",
        "messages/onlyfans/{conversation}",
        "messages/campaigns",
        "messages/campaigns/{campaign}",
        "settings",
    ):
        assert "&lt;img src=x" in text(client.get(f"/{page.format(**marked.ids)}")), page


# Django's own form for an address, until 6.0.
@pytest.mark.filterwarnings("ignore:The default scheme will be changed")
def test_the_admin_escapes_what_is_stored(marked: World) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    shown: dict[str, Any] = {}
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses = [reverse(f"{name}_changelist")]
        addresses += [reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:2]]
        for address in addresses:
            html = text(client.get(address, follow=True))
            assert "<img src=x" not in html, address
            shown[address] = "&lt;img src=x" in html
    assert sum(shown.values()) > 3
