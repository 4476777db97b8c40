"""Answers whether changes are written down with who made them, and only owners read those of their creator."""

import csv
import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from crm.acting import acting
from crm.audit import audit_purge
from crm.audit_selectors import Asked, Entry, audit_all, audit_list
from crm.fan_export import fan_export
from crm.fan_services import fan_bulk_tag, fan_delete, fan_erase, fan_restore, fan_update
from crm.fan_upsert import fan_bulk_upsert
from crm.models import Creator, Fan, FanEvent, Membership, MembershipEvent, Role, User
from crm.payloads import FanRow
from crm.team import member_add, member_change, member_remove
from crm.tests.factories import PASSWORD, FanFactory, MembershipFactory, UserFactory
from messaging.campaign_steps import campaign_cancel, campaign_pause
from messaging.models import CampaignEvent
from messaging.tests.campaigns import launch
from onlyfans.models import AccountEvent
from onlyfans.services import account_connect, account_disconnect

pytestmark = pytest.mark.django_db
PAGE, FILE = "/settings/changes", "/settings/changes.csv"


@pytest.fixture
def owner() -> Membership:
    membership: Membership = MembershipFactory(role=Role.OWNER)
    MembershipEvent.objects.all().delete()
    return membership


def entries(creator: Creator, **asked: Any) -> list[Entry]:
    return audit_list(creator=creator, asked=Asked(**asked), after=None, limit=100)


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def bearer(user: User) -> APIClient:
    client = APIClient()
    access = client.post("/api/auth/token", {"email": user.email, "password": PASSWORD}).json()["access"]
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {access}")
    return client


def test_a_fans_change_says_what_was_and_what_is(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator, name="Amy", tags=[], notes="old")
    fan_update(fan=fan, seen=None, name="Amelia", tags=["vip"])
    [entry] = entries(owner.creator)
    assert (entry.action, entry.subject, entry.by_user) == ("changed", "Amelia", False)
    assert [(each.field, each.before, each.after) for each in entry.changes] == [
        ("name", "Amy", "Amelia"),
        ("tags", [], ["vip"]),
    ]


def test_each_of_many_fans_tagged_at_once_is_written_down(owner: Membership) -> None:
    fans = FanFactory.create_batch(3, creator=owner.creator, tags=["a"])
    fan_bulk_tag(creator=owner.creator, fan_ids=[fan.pk for fan in fans], add=["b"], most=10)
    found = entries(owner.creator)
    assert {entry.row_id for entry in found} == {fan.pk for fan in fans}
    assert all([(each.before, each.after) for each in entry.changes] == [(["a"], ["a", "b"])] for entry in found)


def test_deleting_restoring_and_erasing_are_called_so(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator)
    fan_erase(fan=fan_restore(fan=fan_delete(fan=fan)))
    assert sorted(entry.action for entry in entries(owner.creator)) == ["deleted", "erased", "restored"]


def test_of_an_erased_fan_no_word_is_kept(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator, name="Amy Unmistakable", email="unmistakable@example.com")
    fan_update(fan=fan, seen=None, notes="Unmistakable", tags=["unmistakable"])
    fan_erase(fan=fan)
    assert "nmistakable" not in str(list(FanEvent.objects.values()))
    assert "nmistakable" not in browser(owner.user).get(PAGE).content.decode()
    assert FanEvent.objects.filter(id=fan.pk).count() == 4


def test_what_was_changed_is_in_the_fans_export(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator, name="Amy")
    fan_update(fan=fan, seen=None, name="Amelia")
    found = json.loads("".join(fan_export(fan=fan)))["changes"]
    assert [(each["state"], each["name"]) for each in found] == [("before", "Amy"), ("changed", "Amelia")]


def test_what_files_and_the_platform_bring_fires_nothing(owner: Membership) -> None:
    stored = FanFactory(creator=owner.creator, platform_id="7", name="Amy", value_cents=5)
    rows = [FanRow(platform_id=str(number), name="From a file", value_cents=900) for number in range(5, 10)]
    fan_bulk_upsert(creator=owner.creator, rows=rows, overwrite={"name"})
    stored.refresh_from_db()
    assert (stored.name, stored.value_cents, Fan.objects.count()) == ("From a file", 900, 5)
    assert not FanEvent.objects.exists()
    fan_update(fan=stored, seen=None, name="By hand")
    assert FanEvent.objects.count() == 2


def test_a_new_value_and_a_new_fan_are_not_looked_at(owner: Membership) -> None:
    """What PostgreSQL ran: an insert meets no trigger of ours, and an update of the value none that fires."""
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN (ANALYZE, FORMAT TEXT) INSERT INTO crm_fan"
            " (creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents)"
            " VALUES (%s, 'onlyfans', '1', '', 'A', '', '', '{}', '', 0)",
            [owner.creator_id],
        )
        inserted = str(cursor.fetchall())
        cursor.execute("EXPLAIN (ANALYZE, FORMAT TEXT) UPDATE crm_fan SET value_cents = 9, last_seen_at = now()")
        valued = str(cursor.fetchall())
        cursor.execute("EXPLAIN (ANALYZE, FORMAT TEXT) UPDATE crm_fan SET name = 'B'")
        named = str(cursor.fetchall())
    assert "pgtrigger" not in inserted + valued
    assert named.count("pgtrigger") == 2


def test_the_team_is_written_down(owner: Membership) -> None:
    user = UserFactory(name="Mia")
    member = member_add(creator=owner.creator, email=user.email, role=Role.CHATTER)
    member_change(creator=owner.creator, membership_id=member.pk, role=Role.ANALYST)
    member_remove(creator=owner.creator, membership_id=member.pk)
    found = {entry.action: entry for entry in entries(owner.creator)}
    assert {entry.subject for entry in found.values()} == {"Mia"}
    assert {action: [(c.before, c.after) for c in entry.changes] for action, entry in found.items()} == {
        "added": [(None, "chatter")],
        "changed": [("chatter", "analyst")],
        "removed": [("analyst", None)],
    }


@pytest.mark.usefixtures("sqs_queues")
def test_a_campaign_is_written_down_without_its_text(owner: Membership) -> None:
    FanFactory(creator=owner.creator)
    campaign = launch(owner.creator, name="Autumn", content="Unmistakable")
    campaign_pause(creator=owner.creator, campaign_id=campaign.pk)
    campaign_cancel(creator=owner.creator, campaign_id=campaign.pk)
    found = [entry for entry in entries(owner.creator, kind="campaign") if entry.action == "changed"]
    assert {(c.before, c.after) for entry in found for c in entry.changes} == {
        ("running", "paused"),
        ("paused", "cancelled"),
    }
    assert "Unmistakable" not in str(list(CampaignEvent.objects.values()))


def test_a_stored_key_is_written_down_and_never_kept(owner: Membership) -> None:
    account_connect(creator=owner.creator, account_id="acct_1a", api_key="unmistakable")
    account_connect(creator=owner.creator, account_id="acct_1a", api_key="unmistakable-too")
    account_connect(creator=owner.creator, account_id="acct_1a", api_key="unmistakable-too")
    account_disconnect(creator=owner.creator)
    actions = [entry.action for entry in entries(owner.creator, kind="account")]
    assert sorted(actions) == ["added", "changed", "key_stored"]
    kept = {field.name for field in AccountEvent._meta.fields}
    assert not kept & {"api_key", "webhook_secret", "webhook_secret_previous"}


def test_it_says_which_door_and_which_request(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator)
    by_page = browser(owner.user).patch(
        f"/api/crm/fans/{fan.pk}", {"name": "A"}, "application/json", headers={"If-Match": "*", "X-Request-Id": "one"}
    )
    by_program = bearer(owner.user).patch(f"/api/crm/fans/{fan.pk}", {"name": "B"}, headers={"If-Match": "*"})
    assert (by_page.status_code, by_program.status_code) == (200, 200)
    with acting(lambda: {"door": "command", "command": "import_fans"}):
        fan_update(fan=fan, seen=None, name="C")
    last, program, page = sorted(entries(owner.creator), key=lambda each: -each.position.event_id)
    assert (page.user, page.door, page.request) == (owner.user, "page", "one")
    assert (program.user, program.door, program.request) == (owner.user, "api", by_program["X-Request-Id"])
    assert (last.by_user, last.command) == (False, "import_fans")


def test_who_acted_does_not_stay_for_the_next(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator)
    with acting(lambda: {"user": owner.user_id, "door": "page"}):
        pass
    fan_update(fan=fan, seen=None, name="C")
    assert [entry.by_user for entry in entries(owner.creator)] == [False]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("address", [PAGE, FILE])
def test_owners_alone_see_it(owner: Membership, role: Role, address: str) -> None:
    teammate = MembershipFactory(creator=owner.creator, role=role)
    answer = browser(teammate.user).get(address)
    assert answer.status_code == (200 if role == Role.OWNER else 403)


@pytest.mark.parametrize("address", [PAGE, FILE])
def test_an_owner_elsewhere_sees_none_of_it(owner: Membership, address: str) -> None:
    fan_update(fan=FanFactory(creator=owner.creator), seen=None, name="Unmistakable")
    elsewhere = MembershipFactory(role=Role.OWNER)
    text = read(browser(elsewhere.user).get(address, {"who": owner.user_id}))
    assert "Unmistakable" not in text
    assert "Unmistakable" in read(browser(owner.user).get(address))


def read(answer: Any) -> str:
    return (b"".join(answer) if answer.streaming else answer.content).decode()


@pytest.fixture
def changes(owner: Membership) -> Fan:
    """120 of a fan, and 3 of the team, of one moment each ten."""
    fan = FanFactory(creator=owner.creator, name="0")
    for number in range(1, 121):
        fan_update(fan=fan, seen=None, name=str(number))
    MembershipFactory.create_batch(3, creator=owner.creator)
    moment = timezone.now()
    for event in FanEvent.objects.all():
        event.pgh_created_at = moment - timedelta(seconds=event.pgh_id // 20)
        event.save()
    return fan


def test_pages_follow_each_other_without_gap_or_repetition(owner: Membership, changes: Fan) -> None:
    client, seen, query = browser(owner.user), [], ""
    for _ in range(4):
        answer = client.get(f"{PAGE}?{query}")
        seen += [(each["kind"], each["row_id"], tuple(each["changes"])) for each in answer.context["entries"]]
        query = answer.context["older"]
        if not query:
            break
    assert len(seen) == len(set(seen)) == 123
    assert len(list(audit_all(creator=owner.creator, asked=Asked(), page=7))) == 123


def test_filters_choose_who_what_and_when(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator)
    with acting(lambda: {"user": owner.user_id}):
        fan_update(fan=fan, seen=None, name="Mine")
    fan_update(fan=fan, seen=None, name="Its own")
    MembershipFactory(creator=owner.creator)
    client, today = browser(owner.user), timezone.now().date()

    def count(**query: Any) -> int:
        return len(client.get(PAGE, query).context["entries"])

    assert count(who=owner.user_id) == 1
    assert count(who=0) == 2
    assert count(kind="membership") == 1
    assert count(kind="fan", who=0) == 1
    assert count(since=str(today), until=str(today)) == 3
    assert count(until=str(today - timedelta(days=1))) == 0


@pytest.mark.parametrize(
    "query",
    [
        {"who": "999999"},
        {"who": "x"},
        {"kind": "message"},
        {"since": "2026-02-31"},
        {"after": "x"},
        {"after": "2026-01-01T00:00:00_fan_1"},
        {"after": "2026-02-31T00:00:00+00:00_fan_1"},
        {"after": "2026-01-01T00:00:00+00:00_fan_x"},
    ],
)
def test_a_filter_that_is_none_is_refused_in_words(owner: Membership, query: dict[str, str]) -> None:
    client = browser(owner.user)
    assert (client.get(PAGE, query).status_code, client.get(FILE, query).status_code) == (400, 400)


def test_an_empty_list_says_what_will_stand_there(owner: Membership) -> None:
    client = browser(owner.user)
    assert "Nothing was changed yet" in client.get(PAGE).content.decode()
    assert "Nothing was changed that fits" in client.get(PAGE, {"kind": "fan"}).content.decode()


def test_the_file_runs_no_formula(owner: Membership) -> None:
    fan = FanFactory(creator=owner.creator, name="Amy")
    fan_update(fan=fan, seen=None, name='=HYPERLINK("https://evil.example.com")', notes="+1\n-2")
    text = read(browser(owner.user).get(FILE)).removeprefix("\ufeff")
    rows = list(csv.DictReader(StringIO(text)))
    assert [row["field"] for row in rows] == ["Name", "Notes"]
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_names_are_escaped_on_the_page(owner: Membership) -> None:
    fan_update(fan=FanFactory(creator=owner.creator), seen=None, name="<script>alert(1)</script>")
    assert "<script>alert" not in browser(owner.user).get(PAGE).content.decode()


def test_who_left_or_whose_account_is_gone_is_still_told_of(owner: Membership) -> None:
    chatter = MembershipFactory(creator=owner.creator, role=Role.CHATTER, user__name="Mia")
    fan = FanFactory(creator=owner.creator)
    with acting(lambda: {"user": chatter.user_id}):
        fan_update(fan=fan, seen=None, name="Hers")
    member_remove(creator=owner.creator, membership_id=chatter.pk)
    client = browser(owner.user)
    assert len(client.get(PAGE, {"who": chatter.user_id}).context["entries"]) == 1
    chatter.user.delete()
    assert "Somebody whose account is gone" in client.get(PAGE).content.decode()


def test_old_changes_are_forgotten(owner: Membership, settings: Any) -> None:
    fan = FanFactory(creator=owner.creator)
    fan_update(fan=fan, seen=None, name="Old")
    FanEvent.objects.update(pgh_created_at=timezone.now() - timedelta(days=731))
    fan_update(fan=fan, seen=None, name="New")
    assert audit_purge() == 2
    assert [[each.after for each in entry.changes] for entry in entries(owner.creator)] == [["New"]]


def test_a_page_takes_a_fixed_number_of_queries(
    owner: Membership, changes: Fan, django_assert_max_num_queries: Any
) -> None:
    client = browser(owner.user)
    with django_assert_max_num_queries(19):
        client.get(PAGE)
