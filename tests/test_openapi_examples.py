"""Whether the OpenAPI document's examples work: each is sent to a prepared creator and answered as its example says."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from crm.fan_services import fan_delete
from crm.models import Creator, Fan, Message, MessageStatus, Role, User
from crm.tests.factories import (
    CreatorFactory,
    FanFactory,
    MembershipFactory,
    QuickReplyFactory,
    UserFactory,
)
from huntaze.schema_examples import VALUES
from messaging import campaign_steps
from messaging.campaigns import Audience
from messaging.heartbeat import heartbeat_beat
from messaging.models import Campaign, Delivery
from messaging.tests.campaigns import failed, launch
from messaging.tests.factories import delivery_make
from onlyfans.client import pools_close
from onlyfans.csv_import import fans_import
from onlyfans.services import account_connect, account_secret_rotate
from onlyfans.simulator.server import SAMPLE_FANS, SimulatorServer
from onlyfans.webhook_auth import sign

pytestmark = pytest.mark.django_db(transaction=True)
JSON, UPLOAD = "application/json", "multipart/form-data"
SECRET = "the secret of the tests"
# What is another one each time: ids, times, tokens.
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")
ID = re.compile(r"id|[a-z]+Id|changed")
TOKEN = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*")


@cache
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Asked:
    """One operation that writes, and an answer of it; its request's and answer's examples where they have a body."""

    name: str
    method: str
    path: str
    body: Any
    status: int
    example: Any
    query: str = ""


def asked() -> Iterator[Asked]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if method == "get":
                continue
            name = operation["operationId"]
            body = content[JSON]["example"] if JSON in content else UPLOAD if content else None
            [*answers] = [int(status) for status in operation["responses"] if int(status) < 300]
            for status in answers:
                # Two answers of one request: a preview instead of a start, a file that is imported by a worker.
                query = "?preview=true" if (name, status) == ("campaigns_create", 200) else ""
                if (name, status) == ("imports_create", 202):
                    continue
                if (name, status) == ("fans_delete", 204):
                    query = "?erase=true"
                media = operation["responses"][str(status)].get("content", {}).get(JSON, {})
                yield Asked(name, method, path, body, status, media.get("example"), query)


ASKED = {f"{each.name}-{each.status}": each for each in asked()}


@dataclass
class World:
    """A creator as the examples have them, who can send: the fan Autumn, another, a message in doubt, a colleague."""

    creator: Creator = field(default_factory=lambda: CreatorFactory(name="Autumn"))

    def __post_init__(self) -> None:
        self.user: User = UserFactory(email=VALUES["email"], name="Autumn", password=VALUES["password"])
        self.owner = MembershipFactory(creator=self.creator, user=self.user).user
        self.fan = FanFactory(
            creator=self.creator,
            platform_id="184203817",
            handle="autumn_leaf",
            name="Autumn",
            email=VALUES["email"],
            avatar=VALUES["avatar"],
            notes=VALUES["notes"],
            value_cents=12_500,
            tags=["vip"],
        )
        self.other = FanFactory(creator=self.creator)
        # All that sending needs, so that nothing is said to be in its way.
        self.account = account_connect(creator=self.creator, account_id=VALUES["accountId"], api_key=VALUES["apiKey"])
        heartbeat_beat()
        self.doubt = delivery_make(fan=self.fan, state=MessageStatus.UNKNOWN, text=VALUES["text"], attempts=1).message
        Message.objects.filter(pk=self.doubt.pk).update(
            sender=self.user, price_cents=VALUES["priceCents"], attachments=VALUES["attachments"]
        )
        self.reply = QuickReplyFactory(creator=self.creator, shortcut="bye")
        self.colleague = MembershipFactory(creator=self.creator, role=Role.ANALYST, user__name="Autumn")
        self.ids = {
            "fan_id": self.fan.pk,
            "conversation_id": self.doubt.conversation_id,
            "message_id": self.doubt.pk,
            "quick_reply_id": self.reply.pk,
            "member_id": self.colleague.pk,
            "account_key": VALUES["accountId"],
            # Made where they are asked for: a campaign sends, an import stores fans.
            "campaign_id": 0,
            "import_id": 0,
        }
        self.own = {"fanIds": [self.fan.pk], "recipientIds": ["184203817", f"fan_{self.other.pk}"]}


def without_the_fan(world: World) -> None:
    Fan.objects.filter(pk=world.fan.pk).update(platform_id="184203818", handle="autumn")


def with_a_new_colleague(world: World) -> None:
    """Somebody who has an address here and is not of the team yet; who asks has another one."""
    User.objects.filter(pk=world.user.pk).update(email="owner@example.com")
    UserFactory(email=VALUES["email"], name="Autumn")


def with_another_colleague(world: World) -> None:
    User.objects.filter(pk=world.user.pk).update(email="owner@example.com", name="Owner")
    MembershipFactory(creator=world.creator, role=Role.CHATTER, user__email=VALUES["email"], user__name="Autumn")


def with_the_colleagues_address(world: World) -> None:
    User.objects.filter(pk=world.user.pk).update(email="owner@example.com", name="Owner")
    User.objects.filter(pk=world.colleague.user_id).update(email=VALUES["email"])


def with_a_campaign(world: World) -> None:
    campaign = launch(
        world.creator,
        name=VALUES["name"],
        content=VALUES["content"],
        media_urls=VALUES["mediaUrls"],
        price_cents=VALUES["priceCents"],
        audience=Audience(tags=("vip",), min_value_cents=5000),
    )
    world.ids["campaign_id"] = campaign.pk


def with_a_paused_campaign(world: World) -> None:
    with_a_campaign(world)
    campaign_steps.campaign_pause(creator=world.creator, campaign_id=world.ids["campaign_id"])


def with_a_failed_campaign(world: World) -> None:
    with_a_campaign(world)
    failed(Campaign.objects.get(pk=world.ids["campaign_id"]), 1)


def with_an_import(world: World) -> None:
    content = b"Username,Total Spent\nnew_fan,12.50\n"
    batch = fans_import(creator=world.creator, user=None, filename="fans.csv", content=content).batch
    world.ids["import_id"] = batch.pk


def with_a_message_that_waits(world: World) -> None:
    Delivery.objects.filter(pk=world.doubt.pk).update(state=MessageStatus.QUEUED, attempts=0)
    Message.objects.filter(pk=world.doubt.pk).update(status=MessageStatus.QUEUED)


def with_a_deleted_fan(world: World) -> None:
    fan_delete(fan=world.fan)


def without_an_account(world: World) -> None:
    world.account.delete()


def with_a_webhook(world: World) -> None:
    account_secret_rotate(account=world.account, secret=SECRET)


def with_tokens(world: World) -> None:
    found = APIClient().post("/api/auth/token", {"email": VALUES["email"], "password": VALUES["password"]}).json()
    world.own |= {"refresh": found["refresh"], "token": found["access"]}


# What must be so before, of operations for which the world alone is not enough.
PREPARED: dict[str, Callable[[World], None]] = {
    "fans_create": without_the_fan,
    "campaigns_cancel": with_a_campaign,
    "campaigns_pause": with_a_campaign,
    "campaigns_resume": with_a_paused_campaign,
    "campaigns_retry": with_a_failed_campaign,
    "fans_restore": with_a_deleted_fan,
    "imports_undo": with_an_import,
    "messages_cancel": with_a_message_that_waits,
    "account_connect": without_an_account,
    "team_add": with_a_new_colleague,
    "team_remove": with_another_colleague,
    "team_change": with_the_colleagues_address,
    "webhooks_receive": with_a_webhook,
    "auth_token_refresh": with_tokens,
    "auth_token_verify": with_tokens,
    "auth_logout": with_tokens,
}


def send(client: APIClient, world: World, each: Asked) -> Any:
    address = each.path.format(**world.ids) + each.query
    if each.body == UPLOAD:
        file = SimpleUploadedFile(VALUES["filename"], SAMPLE_FANS.read_bytes())
        return client.post(address, {"file": file}, format="multipart")
    body = None if each.body is None else {name: world.own.get(name, value) for name, value in each.body.items()}
    headers = {}
    if each.name == "webhooks_receive":
        content = json.dumps(body)
        headers = {"Signature": sign(content.encode(), SECRET), "X-OFAPI-Idempotency-Key": "evt_1"}
        return client.post(address, content, content_type=JSON, headers=headers)
    return getattr(client, each.method)(address, body)


def differences(example: Any, found: Any, name: str = "", where: str = "") -> list[str]:
    """Where an answer is not as its example: other members, other types, other values of what is the same each time."""
    if isinstance(example, dict) and isinstance(found, dict):
        if example.keys() != found.keys():
            return [f"{where}: {sorted(example.keys() ^ found.keys())} in one of them alone"]
        return [text for key in example for text in differences(example[key], found[key], key, f"{where}.{key}")]
    if isinstance(example, list) and isinstance(found, list):
        # Each item of the example is among those found.
        tried = [[differences(item, each, name, f"{where}[]") for each in found] for item in example]
        missing = [several for several in tried if [] not in several]
        return [text for several in missing for text in (several[0] if several else [f"{where}: nothing in it"])]
    if isinstance(example, str) and TIME.fullmatch(example):
        # What has not happened yet is null.
        return [] if found is None or datetime.fromisoformat(found) else [f"{where}: {found!r} is no time"]
    if isinstance(example, str) and TOKEN.fullmatch(example):
        return [] if TOKEN.fullmatch(str(found)) else [f"{where}: {found!r} is no token"]
    if ID.fullmatch(name) and isinstance(example, int):
        return [] if isinstance(found, int) else [f"{where}: {found!r} is no id"]
    if ID.fullmatch(name) and isinstance(example, str) and len(example) == 36:
        return [] if str(UUID(found)) == found else [f"{where}: {found!r} is no id"]
    return [] if example == found else [f"{where}: {example!r} in the example, {found!r} in the answer"]


@pytest.mark.parametrize("name", ASKED)
def test_an_example_is_answered_as_its_answers_example_says(
    name: str, sqs_queues: Any, simulator: SimulatorServer, settings: Any
) -> None:
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    each, world = ASKED[name], World()
    PREPARED.get(each.name, lambda _: None)(world)
    client = APIClient()
    if not each.path.startswith(("/api/auth/", "/api/onlyfans/webhooks/")):
        client.force_authenticate(User.objects.get(pk=world.user.pk))
    try:
        answer = send(client, world, each)
    finally:
        pools_close()
    assert answer.status_code == each.status, answer.content
    # How a file was read has its own members; the two samples share no value but their form.
    if each.example is not None and each.body != UPLOAD:
        assert differences(each.example, answer.json()) == []
    elif each.body == UPLOAD:
        assert answer.json().keys() == each.example.keys()


def test_every_operation_that_writes_is_asked_for() -> None:
    writing = {
        operation["operationId"]
        for methods in document()["paths"].values()
        for method, operation in methods.items()
        if method != "get"
    }
    assert {each.name for each in ASKED.values()} == writing


def test_a_difference_is_seen() -> None:
    example = {"id": 1, "status": "queued", "at": "2026-03-01T18:30:00Z", "tags": ["vip"]}
    assert differences(example, {"id": 7, "status": "queued", "at": None, "tags": ["new", "vip"]}) == []
    for wrong in ({"id": "7"}, {"status": "sent"}, {"tags": []}, {"more": 1}):
        assert differences(example, example | wrong) != [], wrong
