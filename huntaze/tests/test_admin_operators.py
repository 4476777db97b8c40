"""Answers what operators and support see and may do in the admin, and what nobody may."""

import re
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin import site
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from unfold.paginator import InfinitePaginator

from analytics.models import RevenueMonth
from crm.models import Creator, Fan, MessageStatus, Role, SignIn, User
from crm.tests.factories import PASSWORD, CreatorFactory, FanFactory, MembershipFactory, UserFactory
from messaging import services
from messaging.models import Campaign, CampaignStatus, Delivery, Kind, SendingProfile
from messaging.tests.factories import delivery_make
from onlyfans.csv_import import fans_import
from onlyfans.models import ImportBatch

pytestmark = pytest.mark.django_db
OURS = ("crm", "messaging", "onlyfans", "analytics")
# Two tables whose key is of several columns, which Django's admin cannot show, and the bytes of files that wait.
UNSHOWN = {
    "crm.FanBefore",
    "crm.TransactionBatch",
    "crm.TransactionBefore",
    "analytics.KeptDay",
    "analytics.RevenueDay",
    "onlyfans.ImportPart",
}


@pytest.fixture
def groups() -> None:
    call_command("provision_groups")


def member(group: str) -> Client:
    user = UserFactory(is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def root() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def models() -> list[Any]:
    return [model for app in OURS for model in apps.get_app_config(app).get_models()]


def test_every_table_is_in_the_admin() -> None:
    missing = {model._meta.label for model in models() if not site.is_registered(model)}
    assert missing - {"crm.Creator_members"} == UNSHOWN


def test_no_name_of_a_table_is_misspelt_in_the_plural() -> None:
    plurals = {str(model._meta.verbose_name_plural) for model in site._registry}
    assert {"quick replies", "ended sign-ins", "deliveries"} <= plurals
    assert not [plural for plural in plurals if re.search("[^aeiou]ys$|chs$", plural)]


def test_every_list_opens(root: Client, sqs_queues: Any) -> None:
    delivery_make(state=MessageStatus.FAILED)
    for model in models():
        if site.is_registered(model):
            answer = root.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
            assert answer.status_code == 200, model


def test_a_large_tables_list_is_drawn_without_counting_it(root: Client) -> None:
    delivery_make()
    large = {model for model in models() if getattr(site._registry.get(model), "paginator", None) is InfinitePaginator}
    assert {Campaign, Delivery, ImportBatch, RevenueMonth} <= large
    for model in models():
        if model in large:
            with CaptureQueriesContext(connection) as asked:
                root.get(reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"))
            assert not [each for each in asked.captured_queries if "COUNT(" in each["sql"]], model


# Its rows are sums, found by their creator.
UNSEARCHED = {"analytics.RevenueMonth"}
SEARCHED = [model for model in site._registry if model._meta.label not in UNSEARCHED]


def test_every_list_has_a_search() -> None:
    assert {model._meta.label for model, of in site._registry.items() if not of.get_search_fields(None)} == UNSEARCHED  # type: ignore[arg-type]  # none of them looks at it


@pytest.mark.parametrize("model", SEARCHED, ids=lambda model: model._meta.label)
def test_a_search_is_answered_by_an_index(model: Any) -> None:
    """Where nothing but a bitmap of an index may be asked, no table is read, but the list of tenants in a condition."""
    admin: Any = site._registry[model]
    tenants = {model._meta.get_field(name) for name in getattr(admin, "search_exact", {}).values() if name}
    with connection.cursor() as cursor:
        for other in ("seqscan", "indexscan", "indexonlyscan"):
            cursor.execute(f"SET LOCAL enable_{other} = off")
    for term in ("amy", "4711", "0192f0c1-2345-7000-8000-000000000000"):
        found, _ = admin.get_search_results(None, model.objects.order_by(), term)
        read = set(re.findall(r"Seq Scan on (\w+)", found.explain()))
        assert read <= {field.related_model._meta.db_table for field in tenants}


@pytest.mark.parametrize("group", ["Operators", "Support"])
def test_no_group_may_add_change_or_delete_what_services_write(groups: None, group: str) -> None:
    client = member(group)
    delivery = delivery_make(state=MessageStatus.FAILED)
    for name, key in (
        ("messaging_delivery", delivery.pk),
        ("crm_message", delivery.pk),
        ("crm_creator", delivery.creator_id),
    ):
        assert client.get(reverse(f"admin:{name}_change", args=[key])).status_code == 200
        assert client.post(reverse(f"admin:{name}_change", args=[key]), {"state": "sent"}).status_code == 403
        assert client.post(reverse(f"admin:{name}_delete", args=[key]), {"post": "yes"}).status_code == 403
    delivery.refresh_from_db()
    assert delivery.state == MessageStatus.FAILED


# Forms of people and of settings, which services save where they write the table.
EDITED = {"auth.Group", "crm.User", "crm.Creator", "messaging.SendingProfile", "onlyfans.Account"}


@pytest.mark.parametrize(
    "model", [m for m in site._registry if m._meta.label not in EDITED], ids=lambda m: m._meta.label
)
def test_not_even_a_superuser_writes_what_services_write(root: Client, model: Any) -> None:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    addresses = [reverse(f"{name}_add"), *(reverse(f"{name}_{door}", args=[1]) for door in ("change", "delete"))]
    assert [root.post(address, {"post": "yes"}).status_code for address in addresses] == [403, 403, 403]
    asked = root.get(reverse(f"{name}_changelist")).wsgi_request
    assert "delete_selected" not in site._registry[model].get_actions(asked)


def test_an_operator_lowers_a_limit_and_raises_none_above_the_platforms(groups: None, sqs_queues: Any) -> None:
    creator = delivery_make().creator
    address = reverse("admin:messaging_sendingprofile_change", args=[creator.pk])
    client, booked = member("Operators"), SendingProfile.objects.get(pk=creator.pk).reply_slots
    client.post(address, {"limit_messages": 4, "min_gap_ms": 5_000, "window_ms": 100})
    refused = client.post(address, {"limit_messages": 1_000, "min_gap_ms": 0}, follow=True).content.decode()
    assert "the platform allows no more" in refused
    profile = SendingProfile.objects.get(pk=creator.pk)
    assert (profile.limit_messages, profile.min_gap_ms, profile.window_ms) == (4, 5_000, 60_000)
    assert profile.reply_slots == booked


def creator_form(creator: Creator, *memberships: dict[str, Any], **values: Any) -> dict[str, Any]:
    """What the page of a creator sends, each membership with what is changed of it."""
    formset = {"TOTAL_FORMS": len(memberships), "INITIAL_FORMS": sum("id" in each for each in memberships)}
    rows = [
        (f"{number}-{name}", value)
        for number, each in enumerate(memberships)
        for name, value in ({"creator": creator.pk} | each).items()
    ]
    inline = {f"memberships-{name}": value for name, value in [*formset.items(), *rows]}
    return {"name": creator.name, "platform": "onlyfans", "time_zone": creator.time_zone, **values, **inline}


def test_a_creator_keeps_an_owner_and_gets_a_time_zone_that_there_is(root: Client) -> None:
    owner = MembershipFactory()
    creator, other = owner.creator, UserFactory()
    address = reverse("admin:crm_creator_change", args=[creator.pk])
    leaving = {"id": owner.pk, "user": owner.user_id, "role": "owner", "DELETE": "on"}
    told = root.post(address, creator_form(creator, leaving, name="Other"), follow=True).content.decode()
    assert "This is the last owner" in told
    creator.refresh_from_db()
    assert creator.name != "Other"
    root.post(address, creator_form(creator, leaving, {"user": other.pk, "role": "owner"}, time_zone="Europe/Paris"))
    assert [(each.user, each.role) for each in creator.memberships.all()] == [(other, "owner")]
    assert "Select a valid choice" in root.post(address, creator_form(creator, time_zone="Mars/Base")).content.decode()
    creator.refresh_from_db()
    assert creator.time_zone == "Europe/Paris"


DELETIONS = pytest.mark.parametrize("by_list", [False, True], ids=["page", "list"])


def delete_users(client: Client, *users: User, by_list: bool) -> Any:
    """What the page of one user sends, or the action of the list, once it is confirmed."""
    if not by_list:
        [user] = users
        return client.post(reverse("admin:crm_user_delete", args=[user.pk]), {"post": "yes"})
    values = {"action": "delete_selected", "_selected_action": [user.pk for user in users], "post": "yes"}
    return client.post(reverse("admin:crm_user_changelist"), values)


@DELETIONS
def test_a_user_who_owns_a_creator_alone_is_not_deleted(root: Client, by_list: bool) -> None:
    alone = MembershipFactory(creator__name="Ava & Co")
    MembershipFactory(creator=alone.creator, role=Role.CHATTER)
    shared = MembershipFactory(user=alone.user, creator__name="Mila")
    MembershipFactory(creator=shared.creator)
    told = delete_users(root, alone.user, by_list=by_list).content.decode()
    assert (
        f'{alone.user} is the only owner of <a class="underline"'
        f' href="/admin/crm/creator/{alone.creator_id}/change/">Ava &amp; Co</a>' in told
    )
    assert "is the only owner of" not in told.split("Ava &amp; Co</a>")[1]
    assert User.objects.filter(pk=alone.user_id).exists()


@DELETIONS
def test_a_user_is_deleted_with_memberships_and_sign_ins(root: Client, by_list: bool) -> None:
    leaving = MembershipFactory()
    MembershipFactory(creator=leaving.creator)
    SignIn.objects.create(user=leaving.user, session_key="k")
    assert delete_users(root, leaving.user, by_list=by_list).status_code == 302
    assert not User.objects.filter(pk=leaving.user_id).exists()


def test_all_owners_of_a_creator_are_not_deleted_together(root: Client) -> None:
    one = MembershipFactory()
    other = MembershipFactory(creator=one.creator)
    assert delete_users(root, one.user, other.user, by_list=True).status_code == 200
    assert one.creator.memberships.count() == 2


@DELETIONS
def test_an_owner_who_leaves_meanwhile_is_noticed(root: Client, by_list: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page looked while there was another owner; the service looks again, and its refusal is told."""
    alone = MembershipFactory(creator__name="Ava")
    monkeypatch.setattr("crm.admin.owned_alone_list", lambda **_: [])
    answer = delete_users(root, alone.user, by_list=by_list)
    assert "Nobody else owns Ava." in root.get(reverse("admin:index"), follow=True).content.decode()
    assert (answer.status_code, alone.creator.memberships.count()) == (302, 1)


@pytest.mark.parametrize("group", ["Operators", "Support"])
def test_no_group_may_make_itself_more(groups: None, group: str) -> None:
    client = member(group)
    user = UserFactory()
    answer = client.post(reverse("admin:crm_user_change", args=[user.pk]), {"is_superuser": "on", "email": user.email})
    assert answer.status_code == 403
    assert client.get(reverse("admin:auth_group_changelist")).status_code == 403


def act(client: Client, name: str, action: str, key: Any) -> None:
    client.post(reverse(f"admin:{name}_changelist"), {"action": action, "_selected_action": [key]})


def test_operators_send_again_and_support_does_not(groups: None, sqs_queues: Any) -> None:
    delivery = delivery_make(state=MessageStatus.FAILED)
    act(member("Support"), "messaging_delivery", "retry", delivery.pk)
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.FAILED
    act(member("Operators"), "messaging_delivery", "retry", delivery.pk)
    assert Delivery.objects.get(pk=delivery.pk).state == MessageStatus.QUEUED


def test_a_job_is_cancelled_by_whom_may_change_jobs_alone() -> None:
    app.configure_task("huntaze.forget_jobs").defer(timestamp=0)
    user = UserFactory(is_staff=True)
    client = Client()
    client.force_login(user)
    for right, status in (("view", "todo"), ("change", "cancelled")):
        user.user_permissions.add(Permission.objects.get(codename=f"{right}_procrastinatejob"))
        act(client, "procrastinate_procrastinatejob", "cancel", ProcrastinateJob.objects.get().pk)
        assert ProcrastinateJob.objects.get().status == status


def test_an_empty_list_says_what_to_do(root: Client) -> None:
    def told(name: str, query: str = "") -> str:
        return root.get(reverse(f"admin:{name}_changelist") + query).content.decode()

    assert "It fills by itself" in told("messaging_campaign")
    assert "Show all" in told("messaging_campaign", "?q=amy")
    assert "Show all" not in told("messaging_campaign")
    assert "Add creator" in told("crm_creator")


def test_operators_pause_a_creator(groups: None, sqs_queues: Any) -> None:
    creator = delivery_make().creator
    act(member("Support"), "messaging_sendingprofile", "pause", creator.pk)
    assert SendingProfile.objects.get(pk=creator.pk).paused_at is None
    act(member("Operators"), "messaging_sendingprofile", "pause", creator.pk)
    assert SendingProfile.objects.get(pk=creator.pk).paused_at is not None


def test_operators_cancel_a_campaign(groups: None, sqs_queues: Any) -> None:
    delivery = delivery_make(state=MessageStatus.PARKED)
    campaign = Campaign.objects.create(creator=delivery.creator, name="News", content="Hello", status="paused")
    Delivery.objects.filter(pk=delivery.pk).update(campaign=campaign, kind=Kind.CAMPAIGN)
    act(member("Support"), "messaging_campaign", "cancel", campaign.pk)
    assert Campaign.objects.get().status == CampaignStatus.PAUSED
    act(member("Operators"), "messaging_campaign", "cancel", campaign.pk)
    assert Campaign.objects.get().status == CampaignStatus.CANCELLED
    assert Delivery.objects.get().state == MessageStatus.CANCELLED


def test_operators_undo_an_import(groups: None, sqs_queues: Any) -> None:
    batch = fans_import(
        creator=CreatorFactory(), user=None, filename="fans.csv", content=b"Fan ID,Username,Name\n1,amy,Amy\n"
    ).batch
    act(member("Support"), "onlyfans_importbatch", "undo", batch.pk)
    assert ImportBatch.objects.get().undone_at is None
    act(member("Operators"), "onlyfans_importbatch", "undo", batch.pk)
    assert ImportBatch.objects.get().undone_at is not None
    assert not Fan.objects.filter(deleted_at=None).exists()


def test_operators_sign_somebody_out_everywhere(groups: None) -> None:
    user = MembershipFactory().user
    client = Client()
    client.post("/sign-in", {"username": user.email, "password": PASSWORD})
    act(member("Support"), "crm_user", "sign_out", user.pk)
    assert client.get("/sign-ins").status_code == 200
    act(member("Operators"), "crm_user", "sign_out", user.pk)
    assert client.get("/sign-ins").status_code == 302


def test_the_first_page_tells_what_is_wrong_and_whose(groups: None, sqs_queues: Any) -> None:
    fan = FanFactory(creator__name="Ava Noir")
    delivery_make(fan=fan, state=MessageStatus.FAILED, reason="The session has ended.")
    services.sending_pause(creator=fan.creator, reason="Paused by an operator.")
    sqs_queues.client.send_message(QueueUrl=sqs_queues.dead_letter_url, MessageBody="{}")
    text = member("Operators").get("/admin/").content.decode()
    for words in ("Failing creators", "Ava Noir", "The session has ended.", "Paused by an operator.", "Redrive"):
        assert words in text
    assert "Redrive" not in member("Support").get("/admin/").content.decode()


def test_who_has_no_rights_sees_an_empty_first_page(sqs_queues: Any) -> None:
    FanFactory(creator__name="Ava Noir")
    client = Client()
    client.force_login(UserFactory(is_staff=True))
    text = client.get("/admin/").content.decode()
    assert "Failing creators" not in text
    assert "Ava Noir" not in text


def test_redriving_asks_for_the_right_and_for_a_yes(groups: None, sqs_queues: Any) -> None:
    assert member("Support").post("/admin/redrive", {"sure": "yes"}).status_code == 403
    assert Client().post("/admin/redrive", {"sure": "yes"}).status_code == 302
    operator = member("Operators")
    assert b"Tick the box" in operator.post("/admin/redrive", follow=True).content
    assert b"0 sent again" in operator.post("/admin/redrive", {"sure": "yes"}, follow=True).content
