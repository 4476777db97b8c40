"""Answers whether quick replies are kept by those who may, and shown to all who write. Touches the test database."""

from typing import Any

import pytest
from django.test import Client

from crm.models import Creator, QuickReply, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, MembershipFactory, QuickReplyFactory

pytestmark = pytest.mark.django_db
REPLIES = "/api/crm/quick-replies"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def errors(answer: Any) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


def test_a_manager_keeps_changes_and_forgets_one(creator: Creator) -> None:
    client = signed_in(creator, Role.MANAGER)
    made = client.post(REPLIES, {"shortcut": "hi", "text": "Hey {name}"})
    assert made.status_code == 201
    one = f"{REPLIES}/{made.json()['id']}"
    assert client.put(one, {"shortcut": "hello", "text": "Hello"}).json()["shortcut"] == "hello"
    assert client.delete(one).status_code == 204
    assert client.get(REPLIES).json() == []


def test_a_chatter_reads_them_by_shortcut_and_changes_none(creator: Creator) -> None:
    for shortcut in ("b", "a"):
        QuickReplyFactory.create(creator=creator, shortcut=shortcut)
    client = signed_in(creator, Role.CHATTER)
    assert [reply["shortcut"] for reply in client.get(REPLIES).json()] == ["a", "b"]
    assert client.post(REPLIES, {"shortcut": "c", "text": "hi"}).status_code == 403


def test_a_stranger_sees_and_changes_none(creator: Creator) -> None:
    reply = QuickReplyFactory.create(creator=creator)
    stranger = signed_in(CreatorFactory.create())
    assert stranger.get(REPLIES).json() == []
    assert stranger.put(f"{REPLIES}/{reply.pk}", {"shortcut": "x", "text": "x"}).status_code == 404
    assert stranger.delete(f"{REPLIES}/{reply.pk}").status_code == 404
    assert QuickReply.objects.get().text == reply.text


def test_a_shortcut_is_taken_once_per_creator(creator: Creator) -> None:
    QuickReplyFactory.create(shortcut="hi")
    first = QuickReplyFactory.create(creator=creator, shortcut="hi")
    other = QuickReplyFactory.create(creator=creator)
    client = signed_in(creator)
    again = client.post(REPLIES, {"shortcut": "hi", "text": "x"})
    assert (again.status_code, errors(again)) == (409, ["shortcut"])
    assert client.put(f"{REPLIES}/{other.pk}", {"shortcut": "hi", "text": "x"}).status_code == 409
    assert client.put(f"{REPLIES}/{first.pk}", {"shortcut": "hi", "text": "x"}).status_code == 200


@pytest.mark.parametrize(
    ("shortcut", "text", "field"),
    [("Big One", "x", "shortcut"), ("", "x", "shortcut"), ("x", " ", "text"), ("x", "Hey {nickname}", "text")],
)
def test_what_is_wrong_is_named(creator: Creator, shortcut: str, text: str, field: str) -> None:
    answer = signed_in(creator).post(REPLIES, {"shortcut": shortcut, "text": text})
    assert (answer.status_code, errors(answer)) == (400, [field])
    assert not QuickReply.objects.exists()


def test_there_is_an_end_to_them(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crm.quick_replies.MAX_PER_CREATOR", 1)
    QuickReplyFactory.create(creator=creator)
    answer = signed_in(creator).post(REPLIES, {"shortcut": "x", "text": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many")


@pytest.mark.parametrize(("role", "edits"), [(Role.OWNER, True), (Role.CHATTER, False)])
def test_the_settings_show_them_and_a_form_to_who_may_change_them(creator: Creator, role: Role, edits: bool) -> None:
    QuickReplyFactory.create(creator=creator, shortcut="welcome-back")
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=role).user)
    page = client.get("/settings").content.decode()
    assert "welcome-back" in page
    assert ("hx-put" in page, "hx-post" in page, "hx-delete" in page) == (edits,) * 3


def test_the_composers_menu_asks_for_them_as_buttons(creator: Creator) -> None:
    QuickReplyFactory.create(creator=creator, shortcut="hi", text='"quoted" & {name}')
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=Role.CHATTER).user)
    menu = client.get(REPLIES, headers={"Accept": "text/html", "HX-Request": "true", "HX-Target": "quick-menu"})
    assert 'data-text="&quot;quoted&quot; &amp; {name}"' in menu.content.decode()
