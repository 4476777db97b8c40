"""Answers whether the API writes to many fans for those who may, in the contract's words."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from crm.models import Fan, Message, MessageStatus, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, FanFactory
from messaging.models import Campaign, Delivery, SendingProfile
from messaging.tests.conftest import aws_error

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sqs_queues")]
BULK = "/api/messages/bulk"
CAMPAIGNS = "/api/messages/campaigns"
WISH = {"name": "News", "content": "Hey {name}", "audience": {"everybody": True}}


@pytest.fixture
def fans() -> list[Fan]:
    return FanFactory.create_batch(12, creator=CreatorFactory())


def post(client: APIClient, address: str, body: Any = None, **headers: str) -> Any:
    return client.post(address, body, format="json", headers=headers)


def launch(client: APIClient) -> str:
    """The address of a campaign that the API made."""
    answer = post(client, CAMPAIGNS, WISH)
    assert answer.status_code == 202, answer.content
    return f"{CAMPAIGNS}/{answer.json()['campaignId']}"


def addresses(campaign: str) -> list[tuple[str, str, Any]]:
    return [
        ("post", BULK, {"recipientIds": ["x"], "content": "hi"}),
        ("get", CAMPAIGNS, None),
        ("post", CAMPAIGNS, WISH),
        ("post", f"{CAMPAIGNS}?preview=true", WISH),
        ("get", campaign, None),
        ("get", f"{campaign}/recipients", None),
        ("post", f"{campaign}/pause", None),
        ("post", f"{campaign}/resume", None),
        ("post", f"{campaign}/cancel", None),
    ]


def test_nobody_gets_in_without_a_token(fans: list[Fan]) -> None:
    campaign = launch(signed_in(fans[0].creator))
    for method, address, body in addresses(campaign):
        answer = getattr(APIClient(), method)(address, body, **({"format": "json"} if method == "post" else {}))
        assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json"), address


def test_a_stranger_finds_nothing_and_reaches_nobody(fans: list[Fan]) -> None:
    campaign = launch(signed_in(fans[0].creator))
    stranger = signed_in(CreatorFactory())
    assert stranger.get(CAMPAIGNS).json()["results"] == []
    for method, address, _ in addresses(campaign)[4:]:
        assert getattr(stranger, method)(address).status_code == 404, address
    bulk = post(stranger, BULK, {"recipientIds": [fans[0].platform_id], "content": "hi"})
    assert (bulk.status_code, bulk.json()["errors"][0]["field"]) == (400, "recipientIds[0]")
    excluding = post(stranger, CAMPAIGNS, WISH | {"audience": {"everybody": True, "exclude": [fans[0].platform_id]}})
    assert (excluding.status_code, excluding.json()["errors"][0]["field"]) == (400, "audience.exclude[0]")
    assert post(stranger, f"{CAMPAIGNS}?preview=true", WISH).json()["totalRecipients"] == 0
    assert Campaign.objects.get().status == "running"
    assert Message.objects.count() == 12


def test_a_stranger_who_names_the_creator_finds_nothing(fans: list[Fan]) -> None:
    campaign = launch(signed_in(fans[0].creator))
    stranger = signed_in(CreatorFactory())
    for method, address, body in addresses(campaign):
        answer = getattr(stranger, method)(
            address,
            body,
            headers={"X-Creator": str(fans[0].creator_id)},
            **({"format": "json"} if method == "post" else {}),
        )
        assert answer.status_code == 404, address


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
def test_owners_and_managers_may_run_campaigns(fans: list[Fan], role: Role) -> None:
    client = signed_in(fans[0].creator, role)
    assert post(client, BULK, {"recipientIds": [fans[0].platform_id], "content": "hi"}).status_code == 202
    campaign = launch(client)
    for step, status in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        answer = post(client, f"{campaign}/{step}")
        assert (answer.status_code, answer.json()["status"]) == (200, status)


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_a_chatter_and_an_analyst_read_campaigns_and_run_none(fans: list[Fan], role: Role) -> None:
    campaign = launch(signed_in(fans[0].creator))
    reader = signed_in(fans[0].creator, role)
    for method, address, body in addresses(campaign):
        answer = post(reader, address, body) if method == "post" else reader.get(address)
        assert answer.status_code == (403 if method == "post" else 200), address
    assert Campaign.objects.get().status == "running"
    assert Message.objects.count() == 12


def test_a_bulk_answers_in_the_contracts_words(fans: list[Fan]) -> None:
    body = {
        "recipientIds": [fans[0].platform_id, f"fan_{fans[1].pk}"],
        "content": "hi",
        "mediaUrls": ["https://example.com/a.jpg"],
        "priceCents": 500,
        "campaignName": "Launch",
    }
    answer = post(signed_in(fans[0].creator), BULK, body, **{"X-Request-Id": "trace-me"})
    assert answer.status_code == 202
    found = answer.json()
    assert set(found) == {"campaignId", "totalRecipients", "status", "estimatedCompletionTime", "blocked", "failed"}
    assert (found["totalRecipients"], found["status"], found["failed"]) == (2, "running", [])
    assert found["estimatedCompletionTime"].endswith("Z")
    assert {delivery.trace_id for delivery in Delivery.objects.all()} == {"trace-me"}


@pytest.mark.parametrize("count", [0, 101])
def test_a_bulk_is_for_1_to_100(fans: list[Fan], count: int) -> None:
    answer = post(signed_in(fans[0].creator), BULK, {"recipientIds": ["1"] * count, "content": "hi"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["recipientIds"]
    assert not Message.objects.exists()


def test_the_unknown_of_a_bulk_are_named_and_nothing_is_stored(fans: list[Fan]) -> None:
    recipients = [fan.platform_id for fan in fans[:3]] + ["404", FanFactory().platform_id]
    answer = post(signed_in(fans[0].creator), BULK, {"recipientIds": recipients, "content": "hi"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["recipientIds[3]", "recipientIds[4]"]
    assert not Campaign.objects.exists()
    assert not Message.objects.exists()


def test_a_bulk_that_sqs_took_in_part_names_the_others(fans: list[Fan], sqs_faults: Any) -> None:
    sqs_faults.script = [None, aws_error("AccessDenied", 403)]
    client = signed_in(fans[0].creator)
    answer = post(client, BULK, {"recipientIds": [fan.platform_id for fan in fans], "content": "hi"})
    assert answer.status_code == 202
    failed = answer.json()["failed"]
    # Batches go out side by side, so either may meet the refusal.
    named, known = [each["recipientId"] for each in failed], [fan.platform_id for fan in fans]
    assert named in (known[:10], known[10:])
    assert set(failed[0]) == {"recipientId", "messageId", "code", "reason"}
    again = post(client, f"/api/onlyfans/messages/{failed[0]['messageId']}/retry")
    assert (again.status_code, again.json()["status"]) == (202, "queued")


def test_a_bulk_that_sqs_did_not_take_is_503_with_all_of_it_named(fans: list[Fan], sqs_faults: Any) -> None:
    sqs_faults.script = [aws_error("AccessDenied", 403)]
    answer = post(signed_in(fans[0].creator), BULK, {"recipientIds": [fans[0].platform_id], "content": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["campaignId"] == Campaign.objects.get().pk
    assert answer.json()["failed"][0]["recipientId"] == fans[0].platform_id


def test_a_campaign_answers_as_a_bulk_does(fans: list[Fan]) -> None:
    answer = post(signed_in(fans[0].creator), CAMPAIGNS, WISH)
    assert answer.status_code == 202
    assert set(answer.json()) == {
        "campaignId",
        "totalRecipients",
        "status",
        "estimatedCompletionTime",
        "blocked",
        "failed",
    }
    assert answer.json()["totalRecipients"] == 12


def test_a_preview_shows_three_texts_and_stores_nothing(fans: list[Fan]) -> None:
    answer = post(signed_in(fans[0].creator), f"{CAMPAIGNS}?preview=true", WISH)
    assert answer.status_code == 200
    found = answer.json()
    assert set(found) == {"totalRecipients", "examples", "estimatedCompletionTime", "blocked"}
    assert (found["totalRecipients"], len(found["examples"])) == (12, 3)
    assert set(found["examples"][0]) == {"recipientId", "name", "handle", "text"}
    assert all(example["text"] == f"Hey {example['name']}" for example in found["examples"])
    assert not Campaign.objects.exists()
    assert not SendingProfile.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": None}, "name"),
        ({"content": "Hey {nmae}"}, "content"),
        ({"content": " "}, "content"),
        ({"audience": None}, "audience"),
        ({"audience": {"minValueCents": -1}}, "audience.minValueCents"),
        ({"audience": {"activeSince": "soon"}}, "audience.activeSince"),
        ({"audience": {"everybody": True, "exclude": ["404"]}}, "audience.exclude[0]"),
        ({"audience": {"tags": ["nobody"]}}, "audience"),
        ({"mediaUrls": ["http://a.example"]}, "mediaUrls[0]"),
        ({"priceCents": 500}, "priceCents"),
        ({"scheduledAt": "2999-01-01T00:00:00Z"}, "scheduledAt"),
    ],
)
def test_what_is_wrong_with_a_campaign_is_named(fans: list[Fan], body: dict[str, Any], field: str) -> None:
    answer = post(signed_in(fans[0].creator), CAMPAIGNS, WISH | body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Campaign.objects.exists()


def test_an_audience_must_be_said(fans: list[Fan]) -> None:
    answer = post(signed_in(fans[0].creator), CAMPAIGNS, {"name": "News", "content": "Hey"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "audience")


def test_a_campaign_says_how_it_is_getting_on(fans: list[Fan]) -> None:
    client = signed_in(fans[0].creator)
    campaign = launch(client)
    Delivery.objects.filter(fan__in=fans[:2]).update(state=MessageStatus.SENT)
    found = client.get(campaign).json()
    assert (found["name"], found["content"], found["mediaUrls"], found["audience"]) == (
        "News",
        "Hey {name}",
        [],
        WISH["audience"],
    )
    assert (found["status"], found["totalRecipients"]) == ("running", 12)
    assert (found["progress"]["sent"], found["progress"]["queued"], found["progress"]["failed"]) == (2, 10, 0)
    assert found["estimatedCompletionTime"] is not None
    assert client.get(CAMPAIGNS).json()["results"] == [found]


def test_the_list_costs_the_same_queries_however_long_it_is(
    fans: list[Fan], django_assert_max_num_queries: Any
) -> None:
    client = signed_in(fans[0].creator)
    for _ in range(5):
        launch(client)
    with django_assert_max_num_queries(5):
        assert len(client.get(CAMPAIGNS).json()["results"]) == 5


def test_the_ledger_has_a_row_per_recipient_in_pages(fans: list[Fan], django_assert_max_num_queries: Any) -> None:
    client = signed_in(fans[0].creator)
    campaign = launch(client)
    failed = Delivery.objects.get(fan=fans[0])
    Delivery.objects.filter(pk=failed.pk).update(state=MessageStatus.FAILED, reason="No.", reason_code="refused")
    with django_assert_max_num_queries(5):
        first = client.get(f"{campaign}/recipients?pageSize=8").json()
    second = client.get(first["next"]).json()
    rows = first["results"] + second["results"]
    assert (len(first["results"]), second["next"]) == (8, None)
    assert {row["recipientId"] for row in rows} == {fan.platform_id for fan in fans}
    assert [row["messageId"] for row in rows] == sorted(row["messageId"] for row in rows)
    [row] = client.get(f"{campaign}/recipients?status=failed").json()["results"]
    assert row["fan"] == {"id": fans[0].pk, "name": fans[0].name, "handle": fans[0].handle}
    assert (row["reason"], row["reasonCode"], row["expectedAt"], row["sentAt"]) == ("No.", "refused", None, None)
    assert client.get(f"{campaign}/recipients?status=odd").status_code == 400


def test_a_step_that_makes_no_sense_is_a_conflict(fans: list[Fan]) -> None:
    client = signed_in(fans[0].creator)
    campaign = launch(client)
    assert post(client, f"{campaign}/resume").status_code == 409
    assert post(client, f"{campaign}/cancel").json()["progress"]["cancelled"] == 12
    answer = post(client, f"{campaign}/pause")
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign_cancelled")
    assert client.get(f"{CAMPAIGNS}/0").status_code == 404
