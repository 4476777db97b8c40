"""Answers whether the demo is whole, the same everywhere and only where it may be. Touches the tables it fills."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from analytics.sales_selectors import chatters
from crm.models import (
    Conversation,
    Creator,
    Direction,
    Fan,
    Message,
    MessageStatus,
    Role,
    Transaction,
    TransactionKind,
    TransactionStatus,
    User,
)
from huntaze import demo_content
from onlyfans.models import Account, ImportBatch

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(settings):
    settings.LOCAL = True
    call_command("load_demo", verbosity=0)


def state():
    messages = Message.objects.order_by("platform_message_id", "creator_id")
    money = Transaction.objects.order_by("creator__name", "platform_transaction_id")
    return (
        list(money.values_list("creator__name", "fan__handle", "kind", "gross_cents")),
        list(messages.values_list("creator__name", "conversation__fan__handle", "direction", "text", "read")),
        list(Fan.objects.order_by("creator_id", "handle").values_list("creator__name", "handle", "value_cents")),
    )


def test_it_refuses_outside_debug(settings):
    settings.LOCAL = False
    with pytest.raises(CommandError, match="LOCAL"):
        call_command("load_demo")
    assert not User.objects.exists()


def test_the_agency_looks_after_three_creators_of_which_one_is_shared(demo):
    found = {
        (email, name): role
        for email, name, role in Creator.objects.values_list("members__email", "name", "memberships__role")
    }
    assert found[demo_content.CREATOR_EMAIL, demo_content.SHARED] == Role.OWNER
    assert found[demo_content.AGENCY_EMAIL, demo_content.SHARED] == Role.MANAGER
    assert len(found) == 4
    assert Creator.objects.count() == 3


def test_fans_come_by_the_import(demo):
    assert list(ImportBatch.objects.order_by("id").values_list("total_rows", "inserted")) == [
        (500, 500),
        (60, 60),
        (25, 25),
    ]


def test_each_creator_has_an_account_at_the_simulator(demo):
    accounts = [(account.account_id, account.api_key) for account in Account.objects.order_by("account_id")]
    assert accounts == [(f"acct_demo{n}", f"sim_key_demo{n}") for n in (1, 2, 3)]


def test_conversations_go_both_ways_and_lie_in_the_last_weeks(demo):
    now = timezone.now()
    assert Conversation.objects.count() == 25
    assert set(Message.objects.values_list("direction", "status")) == {
        (Direction.IN, MessageStatus.RECEIVED),
        (Direction.OUT, MessageStatus.SENT),
    }
    oldest, newest = (Message.objects.order_by(order).first().created_at for order in ("created_at", "-created_at"))
    assert now - timedelta(days=30) < oldest < newest < now


def test_what_came_before_an_answer_is_read(demo):
    assert 0 < Conversation.objects.filter(unread_count__gt=0).count() < 25
    for conversation in Conversation.objects.all():
        assert conversation.unread_count == conversation.messages.filter(direction=Direction.IN, read=False).count()
        assert conversation.last_message == conversation.messages.order_by("-created_at").first()


def test_every_fan_paid_what_they_are_worth_over_the_last_year(demo):
    now, earned = timezone.now(), (TransactionStatus.LOADING, TransactionStatus.DONE)
    paid = dict.fromkeys(Fan.objects.values_list("pk", flat=True), 0)
    for each in Transaction.objects.filter(status__in=earned):
        paid[each.fan_id] += each.gross_cents
        assert now - timedelta(days=365) < each.occurred_at <= now
        assert each.gross_cents == each.fee_cents + each.net_cents
    assert paid == dict(Fan.objects.values_list("pk", "value_cents"))


def test_analytics_has_something_of_everything(demo):
    assert set(Transaction.objects.values_list("kind", flat=True)) == set(TransactionKind) - {TransactionKind.OTHER}
    statuses = set(Transaction.objects.values_list("status", flat=True))
    assert statuses == {TransactionStatus.LOADING, TransactionStatus.DONE, TransactionStatus.UNDO}
    for creator in Creator.objects.all():
        answered = chatters(creator=creator).results[0]
        assert answered.sales > 0
        assert answered.median_seconds > 0


def test_a_second_run_changes_nothing(demo, settings):
    before = state()
    call_command("load_demo", verbosity=0)
    assert state() == before


def test_the_demo_is_the_same_each_time(demo, settings, django_db_blocker):
    first = state()
    Transaction.objects.all().delete()
    Message.objects.all().delete()
    for model in (Conversation, Fan, ImportBatch, Creator, User):
        model.objects.all().delete()
    call_command("load_demo", verbosity=0)
    assert state() == first


@pytest.mark.parametrize("email", [email for email, *_ in demo_content.PEOPLE])
def test_everybody_can_sign_in(demo, email):
    answer = Client().post("/sign-in", {"username": email, "password": demo_content.PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_only_the_first_user_reaches_the_admin(demo):
    assert list(User.objects.filter(is_staff=True).values_list("email", flat=True)) == [demo_content.CREATOR_EMAIL]
