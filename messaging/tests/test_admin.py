"""Answers whether operators see in the admin how campaigns get on, as their owners do."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm.models import MessageStatus
from crm.tests.factories import UserFactory
from messaging.models import Campaign
from messaging.tests.factories import delivery_make

pytestmark = pytest.mark.django_db
LIST = "admin:messaging_campaign_changelist"


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


def campaign(state: MessageStatus = MessageStatus.SENT, **fields: Any) -> Campaign:
    delivery = delivery_make(state=state)
    found = Campaign.objects.create(creator=delivery.creator, name="News", content="Hello", **fields)
    delivery.campaign = found
    delivery.save(update_fields=["campaign"])
    return found


@pytest.mark.parametrize(
    ("state", "fields", "words"),
    [
        (MessageStatus.SENT, {}, "Finished"),
        (MessageStatus.QUEUED, {}, "Running"),
        (MessageStatus.PARKED, {"status": "paused"}, "Paused"),
        (MessageStatus.PARKED, {"scheduled_at": timedelta(hours=1)}, "Scheduled"),
    ],
)
def test_a_campaign_shows_how_it_is_and_not_what_was_decided(
    operator: Client, state: MessageStatus, fields: dict[str, Any], words: str
) -> None:
    now = timezone.now()
    made = campaign(
        state, **{name: now + value if isinstance(value, timedelta) else value for name, value in fields.items()}
    )
    [row] = operator.get(reverse(LIST)).context["cl"].result_list
    assert site.get_model_admin(Campaign).getting_on(row) == words
    page = operator.get(reverse("admin:messaging_campaign_change", args=[made.pk]))
    assert words in page.content.decode()


def test_the_list_of_campaigns_costs_the_same_queries_however_long_it_is(
    operator: Client, django_assert_num_queries: Any
) -> None:
    campaign()
    with CaptureQueriesContext(connection) as one:
        operator.get(reverse(LIST))
    for _ in range(5):
        campaign()
    with django_assert_num_queries(len(one)):
        assert operator.get(reverse(LIST)).status_code == 200


def test_campaigns_are_found_by_what_was_decided(operator: Client) -> None:
    campaign()
    paused = campaign(MessageStatus.PARKED, status="paused")
    page = operator.get(reverse(LIST), {"decision": "paused"})
    assert [each.pk for each in page.context["cl"].result_list] == [paused.pk]
