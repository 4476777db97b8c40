"""Answers whether a team is changed by owners alone and never loses its last one. Touches the test database."""

from typing import Any

import pytest
from django.test import Client

from crm.models import Creator, Membership, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
TEAM = "/api/crm/team"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def roles(answer: Any) -> dict[str, str]:
    return {member["email"]: member["role"] for member in answer.json()}


def test_an_owner_adds_somebody_with_an_account_whatever_the_case_of_the_address(creator: Creator) -> None:
    UserFactory.create(email="mia@example.com")
    answer = signed_in(creator).post(TEAM, {"email": "Mia@Example.com", "role": "chatter"})
    assert answer.status_code == 201
    assert roles(answer)["mia@example.com"] == "chatter"


@pytest.mark.parametrize(
    ("email", "role", "field"),
    [("nobody@example.com", "chatter", "email"), ("no address", "chatter", "email"), ("a@example.com", "boss", "role")],
)
def test_what_is_wrong_is_named(creator: Creator, email: str, role: str, field: str) -> None:
    answer = signed_in(creator).post(TEAM, {"email": email, "role": role})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


def test_somebody_is_added_once(creator: Creator) -> None:
    member = MembershipFactory.create(creator=creator, role=Role.ANALYST)
    answer = signed_in(creator).post(TEAM, {"email": member.user.email, "role": "owner"})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_member")
    member.refresh_from_db()
    assert member.role == Role.ANALYST


def test_an_owner_changes_a_role_and_removes_a_member(creator: Creator) -> None:
    member, client = MembershipFactory.create(creator=creator, role=Role.CHATTER), signed_in(creator)
    assert roles(client.put(f"{TEAM}/{member.pk}", {"role": "manager"}))[member.user.email] == "manager"
    assert member.user.email not in roles(client.delete(f"{TEAM}/{member.pk}"))


def test_the_last_owner_stays_one(creator: Creator) -> None:
    client = signed_in(creator)
    last = Membership.objects.get(creator=creator)
    for answer in (client.put(f"{TEAM}/{last.pk}", {"role": "chatter"}), client.delete(f"{TEAM}/{last.pk}")):
        assert (answer.status_code, answer.json()["code"]) == (409, "last_owner")
    assert client.put(f"{TEAM}/{last.pk}", {"role": "owner"}).status_code == 200
    MembershipFactory.create(creator=creator, role=Role.OWNER)
    assert client.put(f"{TEAM}/{last.pk}", {"role": "chatter"}).status_code == 200


@pytest.mark.parametrize(("role", "seen"), [(Role.MANAGER, 200), (Role.CHATTER, 403), (Role.ANALYST, 403)])
def test_who_is_no_owner_changes_nobody(creator: Creator, role: Role, seen: int) -> None:
    member, client = MembershipFactory.create(creator=creator, role=Role.CHATTER), signed_in(creator, role)
    assert client.get(TEAM).status_code == seen
    assert client.put(f"{TEAM}/{member.pk}", {"role": "owner"}).status_code == 403
    assert client.delete(f"{TEAM}/{member.pk}").status_code == 403
    assert Membership.objects.get(pk=member.pk).role == Role.CHATTER


def test_a_member_of_another_team_is_nobody(creator: Creator) -> None:
    foreign = MembershipFactory.create(role=Role.CHATTER)
    client = signed_in(creator)
    assert client.put(f"{TEAM}/{foreign.pk}", {"role": "owner"}).status_code == 404
    assert client.delete(f"{TEAM}/{foreign.pk}").status_code == 404


@pytest.mark.parametrize(
    ("role", "shown", "editable"), [(Role.OWNER, True, True), (Role.MANAGER, True, False), (Role.CHATTER, False, False)]
)
def test_the_settings_show_the_team_to_who_may_see_it(
    creator: Creator, role: Role, shown: bool, editable: bool
) -> None:
    MembershipFactory.create(creator=creator, user__name="Mia Chat", role=Role.CHATTER)
    client = Client()
    client.force_login(MembershipFactory.create(creator=creator, role=role).user)
    page = client.get("/settings").content.decode()
    assert ("Mia Chat" in page, 'title="Remove"' in page) == (shown, editable)
