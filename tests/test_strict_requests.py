"""Whether each operation of openapi.yaml takes what it declares, and names whatever else is sent."""

import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import get_resolver
from django.utils import timezone

from crm.models import Fan, Message, MessageStatus, Role
from crm.strict_api import StrictAPIView, declared
from crm.tests.clients import signed_in
from crm.tests.factories import FanFactory, MembershipFactory
from messaging.models import Campaign, Delivery
from tests.test_access import World, access_token, bearing, quiet_vendor, walk

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues", "quiet_vendor")]
__all__ = ["quiet_vendor"]  # a fixture
# What the vendor sends is the vendor's to extend, and an event that is refused is lost.
NOT_OURS = {"/api/onlyfans/webhooks/{account_key}"}
WRONG = "tpyo"


@cache
def document() -> dict[str, Any]:
    return yaml.load((settings.BASE_DIR / "openapi.yaml").read_text(), yaml.CSafeLoader)  # type: ignore[no-any-return]


def operations() -> Iterator[tuple[str, str]]:
    for path, methods in document()["paths"].items():
        yield from ((method, path) for method in methods if path not in NOT_OURS)


def bodies() -> Iterator[tuple[str, str]]:
    for method, path in operations():
        if "requestBody" in document()["paths"][path][method]:
            yield method, path


@pytest.fixture
def world() -> World:
    return World()


def ask(world: World, method: str, path: str, *, query: str = "", body: Any = None, form: str = "json") -> Any:
    address = re.sub(r"{(\w+?)(_id)?}", lambda found: world.ids[found[1]], path)
    caller = MembershipFactory(creator=world.creator, role=Role.OWNER)
    given = {} if method == "get" else {"format": form}
    return getattr(bearing(access_token(caller.user)), method)(f"{address}{query}", body, **given)


def told(answer: Any) -> dict[str, tuple[str, str]]:
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    return {each["field"]: (each["code"], each["detail"]) for each in answer.json()["errors"]}


@pytest.mark.parametrize(("method", "path"), [*operations()])
def test_an_unknown_query_parameter_is_named(world: World, method: str, path: str) -> None:
    before = world.rows()
    assert told(ask(world, method, path, query=f"?{WRONG}=1"))[WRONG][0] == "unknown_parameter"
    assert world.rows() == before


@pytest.mark.parametrize(("method", "path"), [*operations()])
def test_a_declared_query_parameter_is_known_and_taken_once(world: World, method: str, path: str) -> None:
    parameters = document()["paths"][path][method].get("parameters", [])
    names = {each["name"]: each["schema"].get("type") for each in parameters if each["in"] == "query"}
    before = world.rows()
    for name, kind in names.items():
        # Nothing happens: one other name is wrong. A value need not be right for that.
        found = told(ask(world, method, path, query=f"?{name}=&{WRONG}=1"))
        assert found.keys() == {WRONG}, name
        # A list's come one by one; the creator may be named again as long as it is the same.
        if name != "creator" and kind != "array":
            assert told(ask(world, method, path, query=f"?{name}=1&{name}=2"))[name][0] == "repeated"
    assert world.rows() == before


def test_every_view_is_strict_and_declares_what_the_document_has() -> None:
    known = {
        (path, method): {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }
    seen = 0
    for address, callback in walk(get_resolver().url_patterns):
        path = "/" + re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", address)
        if not path.startswith("/api/") or path in NOT_OURS or not hasattr(callback, "cls") or path == "/api/docs":
            continue
        assert issubclass(callback.cls, StrictAPIView), path
        for method in ("get", "post", "put", "patch", "delete"):
            if takes := declared(callback.cls, method.upper()):
                seen += 1
                assert takes.query == known.get((path, method), set()), (method, path)
    assert seen > 50


@pytest.mark.parametrize(("method", "path"), [*bodies()])
def test_an_unknown_member_is_named(world: World, method: str, path: str) -> None:
    content = document()["paths"][path][method]["requestBody"]["content"]
    before = world.rows()
    if "application/json" in content:
        assert told(ask(world, method, path, body={WRONG: 1}))[WRONG][0] == "unknown_field"
    else:
        body = {"file": SimpleUploadedFile("new.csv", b"Username\nada\n"), WRONG: "1"}
        assert told(ask(world, method, path, body=body, form="multipart"))[WRONG][0] == "unknown_field"
    assert world.rows() == before


@pytest.mark.parametrize(
    ("method", "path"), [each for each in operations() if each not in {*bodies()} and each[0] != "get"]
)
def test_a_body_where_none_is_read_is_named(world: World, method: str, path: str) -> None:
    before = world.rows()
    assert told(ask(world, method, path, body={WRONG: 1}))[WRONG][0] == "unknown_field"
    assert world.rows() == before


def test_the_schemas_of_bodies_are_closed() -> None:
    schemas = document()["components"]["schemas"]
    asked = {name: schema for name, schema in schemas.items() if name.endswith("Request")}
    assert len(asked) > 15
    assert [name for name, schema in asked.items() if schema.get("additionalProperties") is not False] == []


# --- What once went out otherwise than it was meant -------------------------------------------------------------------


@pytest.fixture
def fan() -> Fan:
    return FanFactory(tags=["Basic"])


def post(fan: Fan, address: str, body: Any, **given: Any) -> Any:
    return signed_in(fan.creator).post(address, body, format="json", **given)


SEND, BULK, CAMPAIGNS = "/api/onlyfans/messages/send", "/api/messages/bulk", "/api/messages/campaigns"


@pytest.mark.parametrize("query", ["", "?preview=true"])
def test_a_misspelt_audience_reaches_no_one(fan: Fan, query: str) -> None:
    body = {"name": "News", "content": "hi", "audience": {"tag": "Basic", "minValue": 100}}
    found = told(post(fan, f"{CAMPAIGNS}{query}", body))
    assert "“tags”" in found["audience.tag"][1]
    assert "“minValueCents”" in found["audience.minValue"][1]
    assert not Campaign.objects.exists()


@pytest.mark.parametrize("query", ["", "?preview=true"])
@pytest.mark.parametrize("audience", [{}, {"tags": []}, {"everybody": False}, {"minValueCents": 0}, {"exclude": []}])
def test_every_fan_is_asked_for_as_such(fan: Fan, audience: dict[str, Any], query: str) -> None:
    body = {"name": "News", "content": "hi", "audience": audience}
    code, detail = told(post(fan, f"{CAMPAIGNS}{query}", body))["audience"]
    assert (code, '"everybody": true' in detail) == ("everybody_not_asked", True)
    assert not Message.objects.exists()


def test_every_fan_and_a_condition_contradict_each_other(fan: Fan) -> None:
    body = {"name": "News", "content": "hi", "audience": {"everybody": True, "tags": ["Basic"]}}
    assert told(post(fan, CAMPAIGNS, body))["audience.everybody"][0] == "not_alone"
    left_out = FanFactory(creator=fan.creator)
    body["audience"] = {"everybody": True, "exclude": [left_out.platform_id]}
    answer = post(fan, CAMPAIGNS, body)
    assert (answer.status_code, answer.json()["totalRecipients"]) == (202, 1)
    shown = signed_in(fan.creator).get(f"{CAMPAIGNS}/{answer.json()['campaignId']}").json()
    assert shown["audience"] == body["audience"]


def test_a_campaign_of_before_says_that_it_was_for_every_fan(fan: Fan) -> None:
    campaign = Campaign.objects.create(creator=fan.creator, name="Old", content="hi", audience={})
    shown = signed_in(fan.creator).get(f"{CAMPAIGNS}/{campaign.pk}").json()
    assert shown["audience"] == {"everybody": True}


def test_a_misspelt_price_sends_nothing_free(fan: Fan) -> None:
    body = {"recipientId": fan.platform_id, "content": "hi", "mediaUrls": ["media_1"], "price": 1500}
    assert "“priceCents”" in told(post(fan, SEND, body))["price"][1]
    body = {"recipientId": fan.platform_id, "content": "hi", "media_urls": ["media_1"]}
    assert "“mediaUrls”" in told(post(fan, SEND, body))["media_urls"][1]
    assert not Message.objects.exists()


def test_a_bulk_goes_out_at_its_time_and_priority(fan: Fan) -> None:
    at = (timezone.now() + timedelta(days=2)).replace(microsecond=0)
    body = {"recipientIds": [fan.platform_id], "content": "hi", "scheduledAt": at.isoformat(), "priority": 8}
    answer = post(fan, BULK, body)
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled"), answer.content
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.priority, delivery.scheduled_at) == (MessageStatus.PARKED, 8, at)
    assert at <= delivery.due_at < at + timedelta(minutes=1)
    shown = signed_in(fan.creator).get(f"{CAMPAIGNS}/{answer.json()['campaignId']}").json()
    assert shown["scheduledAt"] == at.isoformat().replace("+00:00", "Z")
    assert told(post(fan, BULK, body | {"priority": 11})).keys() == {"priority"}


@pytest.mark.parametrize(
    ("address", "wish"),
    [
        (SEND, {"recipientId": "{fan}", "content": "hi"}),
        (BULK, {"recipientIds": ["{fan}"], "content": "hi"}),
        (CAMPAIGNS, {"name": "News", "content": "hi", "audience": {"everybody": True}}),
        (f"{CAMPAIGNS}?preview=true", {"name": "News", "content": "hi", "audience": {"everybody": True}}),
    ],
)
@pytest.mark.parametrize(
    ("at", "code"),
    [("2020-01-01T00:00:00Z", "past"), ("2090-01-01T00:00:00", "make_aware"), ("2090-01-01T00:00:00Z", "too_far")],
)
def test_a_time_that_has_passed_or_is_no_moment_is_refused(
    fan: Fan, address: str, wish: dict[str, Any], at: str, code: str
) -> None:
    body = {name: [fan.platform_id] if value == ["{fan}"] else value for name, value in wish.items()}
    body |= {"recipientId": fan.platform_id} if "recipientId" in wish else {}
    assert told(post(fan, address, body | {"scheduledAt": at}))["scheduledAt"][0] == code
    assert not Message.objects.exists()


def test_a_member_that_comes_twice_is_named(fan: Fan) -> None:
    raw = f'{{"recipientId": "{fan.platform_id}", "content": "hi", "priceCents": 1500, "priceCents": 0}}'
    answer = signed_in(fan.creator).post(SEND, raw, content_type="application/json")
    assert told(answer)["priceCents"][0] == "repeated"
    raw = '{"name": "x", "content": "hi", "audience": {"tags": ["a"], "tags": []}}'
    assert told(signed_in(fan.creator).post(CAMPAIGNS, raw, content_type="application/json")).keys() == {"tags"}
    assert not Message.objects.exists()


def test_errors_bear_the_names_of_the_request(fan: Fan) -> None:
    thread = f"/api/crm/conversations/{_conversation(fan)}/messages"
    wrong = [{"type": "image", "url": "http://example.com/a"}]
    found = told(post(fan, thread, {"text": "", "attachments": wrong}))
    assert found.keys() == {"attachments[0].url"}
    assert told(post(fan, thread, {"text": " "})).keys() == {"text"}
    assert told(post(fan, thread, {"text": "hi", "priceCents": 500})).keys() == {"priceCents"}
    body = {"recipientId": fan.platform_id, "content": "", "mediaUrls": ["x", "http://example.com/a"]}
    assert told(post(fan, SEND, body)).keys() == {"mediaUrls[1]"}
    body = {"recipientIds": [fan.platform_id, "404"], "content": "hi", "campaignName": "x" * 201}
    assert told(post(fan, BULK, body)).keys() == {"recipientIds[1]", "campaignName"}
    body = {"name": "News", "content": "hi", "audience": {"recipientIds": ["404"]}}
    assert told(post(fan, CAMPAIGNS, body)).keys() == {"audience.recipientIds[0]"}


def _conversation(fan: Fan) -> int:
    signed_in(fan.creator).post(SEND, {"recipientId": fan.platform_id, "content": "first"}, format="json")
    conversation: int = Message.objects.get().conversation_id
    return conversation


@pytest.mark.parametrize(
    ("address", "name", "choices"),
    [
        ("/api/crm/fans?ordering=price", "ordering", "-valueCents"),
        ("/api/analytics/revenue?interval=year", "interval", "day, week, month"),
        ("/api/crm/conversations?unread=perhaps", "unread", "true or false"),
    ],
)
def test_the_refusal_of_a_choice_names_the_choices(fan: Fan, address: str, name: str, choices: str) -> None:
    assert choices in told(signed_in(fan.creator).get(address))[name][1]


def test_the_kind_of_a_file_names_the_kinds(fan: Fan) -> None:
    body = {"file": SimpleUploadedFile("new.csv", b"Username\nada\n"), "kind": "sales"}
    found = told(signed_in(fan.creator).post("/api/onlyfans/import/csv", body, format="multipart"))
    assert "fans, earnings" in found["kind"][1]


def test_a_page_passes_over_what_a_mailing_put_into_its_address(client: Any) -> None:
    member = MembershipFactory()
    FanFactory.create_batch(60, creator=member.creator)
    client.force_login(member.user)
    answer = client.get("/platforms/onlyfans/fans?utm_source=mail&fbclid=x&ordering=name&ordering=name")
    assert answer.status_code == 200
    html = answer.content.decode()
    [following] = re.findall(r'hx-get="([^"]*cursor=[^"]*)"', html)
    assert "ordering=name" in following
    assert "utm_source" not in following
    assert client.get(following.replace("&amp;", "&")).status_code == 200
    for page in ("/messages/onlyfans?utm_source=x", "/messages/campaigns?utm_source=x", "/settings?utm_source=x"):
        assert client.get(page).status_code == 200, page
    for wrong in ("ordering=price", "minValueCents=lots", "activeSince=soon", "cursor=x", "deleted=perhaps"):
        assert client.get(f"/platforms/onlyfans/fans?{wrong}").status_code in {200, 400}, wrong
