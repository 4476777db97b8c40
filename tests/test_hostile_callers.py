"""Answers what becomes of a request that another site sends, of fields that are nobody's to set, and of markup in
stored texts. Walks the endpoints and pages of tests/test_access.py, so it knows each new one."""

import re
from dataclasses import replace
from html.parser import HTMLParser
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
# What some template language or format would make something else of: Django's and Alpine's, JavaScript's, Python's.
TEMPLATE = "{{ 7*7 }}{% debug %}${7*7}%(x)s%s{0.__class__}"
# Attributes in which a script of the page or of the admin reads code.
CODE = re.compile(r"^(x-|@|:|on|hx-(vals|vars|on|headers|trigger))")


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


def world_of(words: str) -> World:
    """A creator whose every text is this."""
    world = World()
    mine = {"creator": world.creator}
    Fan.objects.filter(**mine).update(name=words, handle=words, tags=[words], notes=words, email=words)
    Message.objects.filter(**mine).update(text=words)
    Delivery.objects.filter(**mine).update(reason=words)
    Campaign.objects.filter(**mine).update(name=words, content=words)
    QuickReply.objects.filter(**mine).update(text=words)
    ImportBatch.objects.filter(**mine).update(filename=words, header=[words])
    Transaction.objects.filter(**mine).update(fan_name=words)
    Creator.objects.filter(pk=world.creator.pk).update(name=words)
    User.objects.update(name=words)
    return world


@pytest.fixture
def marked() -> World:
    return world_of(MARKUP)


@pytest.fixture
def templated() -> World:
    return world_of(TEMPLATE)


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


class Read(HTMLParser):
    """What a reader sees of a page, and what its scripts take for code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.code = "", ""
        self._script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        for name, value in attrs:
            if CODE.match(name):
                self.code += f"{value}\n"
            else:
                self.words += f"{value}\n"

    def handle_data(self, data: str) -> None:
        if self._script:
            self.code += f"{data}\n"
        else:
            self.words += data


def reads_as_it_is(html: str) -> bool:
    """Whether the page shows the text; fails where a script would read it as code."""
    found = Read(html)
    assert "7*7" not in found.code
    assert found.words.count("7*7") == 2 * found.words.count(TEMPLATE)
    return TEMPLATE in found.words


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_reads_no_template_in_what_is_stored(templated: World, page: str) -> None:
    client = Client()
    client.force_login(MembershipFactory(creator=templated.creator, role=Role.OWNER).user)
    answer = client.get(f"/{page.format(**templated.ids)}", follow=True)
    assert answer.status_code != 500
    if answer["Content-Type"].startswith("text/html"):
        reads_as_it_is(text(answer))


@pytest.mark.parametrize(
    ("page", "least"),
    [
        ("messages/onlyfans", 3),
        ("platforms/onlyfans/fans", 4),
        ("platforms/onlyfans/fans/{fan}", 6),
        ("messages/onlyfans/{conversation}", 8),
        ("messages/campaigns", 2),
        ("messages/campaigns/{campaign}", 4),
        ("settings", 3),
    ],
)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_pages_that_show_texts_show_a_template_as_text(templated: World, page: str, least: int, language: str) -> None:
    client = Client()
    client.force_login(MembershipFactory(creator=templated.creator, role=Role.OWNER).user)
    answer = client.get(f"/{page.format(**templated.ids)}", headers={"Accept-Language": language})
    assert reads_as_it_is(text(answer))
    assert Read(text(answer)).words.count(TEMPLATE) >= least


@pytest.mark.filterwarnings("ignore:The default scheme will be changed")
def test_the_admin_reads_no_template_in_what_is_stored(templated: World) -> None:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    shown = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        addresses = [reverse(f"{name}_changelist")]
        addresses += [reverse(f"{name}_change", args=[row.pk]) for row in model._default_manager.all()[:2]]
        shown += [address for address in addresses if reads_as_it_is(text(client.get(address, follow=True)))]
    assert len(shown) > 3
