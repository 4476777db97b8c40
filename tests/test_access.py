"""Answers who gets in at every address of the project. Walks the URL table, so a new address must say here who may.

To add one: a line in ENDPOINTS (address below /api and method, who may, the body of a call that works), or in PAGES.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from crm.models import Creator, Fan, Membership, Message, MessageStatus, QuickReply, Role, User
from crm.selectors import EXPORTERS, MANAGERS, WRITERS
from crm.tests.factories import (
    ConversationFactory,
    CreatorFactory,
    FanFactory,
    MembershipFactory,
    QuickReplyFactory,
    TransactionFactory,
    UserFactory,
)
from huntaze import monitoring
from huntaze.tokens import ObtainSerializer
from messaging.models import Campaign, SendingProfile
from messaging.tests.campaigns import launch
from messaging.tests.factories import delivery_make
from onlyfans.csv_import import fans_import
from onlyfans.models import Account, ImportBatch
from onlyfans.services import account_connect
from onlyfans.simulator.server import SimulatorServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues", "quiet_vendor")]

EVERYBODY = frozenset(Role)
OWNERS = frozenset({Role.OWNER})
# Stands in every row of the creator who is looked at, and so in each answer that shows one.
MARK = "Unmistakable"
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Endpoint:
    """Who may. `tenant` is False where the answer is about no creator."""

    roles: frozenset[Role]
    body: dict[str, Any] | None = None
    format: str = "json"
    tenant: bool = True
    headers: dict[str, str] = field(default_factory=dict)


ALL = {"everybody": True}
# Changes whatever version of the fan is stored.
ANY_VERSION = {"If-Match": "*"}
# Addresses that ask for no user, because they are how one becomes one, or say nothing about anybody.
# The webhook asks for a signature.
OPEN = {
    ("onlyfans/webhooks/{account_key}", "post"),
    ("auth/token", "post"),
    ("auth/token/refresh", "post"),
    ("auth/token/verify", "post"),
    ("auth/logout", "post"),
    ("schema", "get"),
    ("docs", "get"),
}
ENDPOINTS = {
    ("auth/me", "get"): Endpoint(EVERYBODY, tenant=False),
    ("monitoring/onlyfans", "get"): Endpoint(EVERYBODY, tenant=False),
    ("analytics/overview", "get"): Endpoint(EVERYBODY),
    ("analytics/top-fans", "get"): Endpoint(EVERYBODY),
    ("analytics/revenue", "get"): Endpoint(EVERYBODY),
    ("analytics/tiers", "get"): Endpoint(EVERYBODY),
    ("analytics/cohorts", "get"): Endpoint(EVERYBODY),
    ("analytics/churn", "get"): Endpoint(EVERYBODY),
    ("analytics/hours", "get"): Endpoint(EVERYBODY),
    ("analytics/campaign-revenue", "get"): Endpoint(EVERYBODY),
    ("analytics/chatters", "get"): Endpoint(EVERYBODY),
    ("crm/fans", "get"): Endpoint(EVERYBODY),
    ("crm/fans", "post"): Endpoint(WRITERS, {"platformId": "77", "name": "New"}),
    ("crm/fans/{fan}", "get"): Endpoint(EVERYBODY),
    ("crm/fans/{fan}", "put"): Endpoint(WRITERS, {"platformId": "77", "name": "New"}, headers=ANY_VERSION),
    ("crm/fans/{fan}", "patch"): Endpoint(WRITERS, {"name": "New"}, headers=ANY_VERSION),
    ("crm/fans/{fan}", "delete"): Endpoint(MANAGERS),
    ("crm/fans/{fan}/restore", "post"): Endpoint(MANAGERS),
    ("crm/fans/{fan}/export", "get"): Endpoint(MANAGERS),
    ("crm/fans/tags", "post"): Endpoint(WRITERS, {"fanIds": ["{fan}"], "add": ["new"]}),
    ("crm/fans/{fan}/purchases", "get"): Endpoint(EVERYBODY),
    ("crm/creator", "get"): Endpoint(EVERYBODY),
    ("crm/creator", "put"): Endpoint(MANAGERS, {"timeZone": "Asia/Tokyo"}),
    ("crm/team", "get"): Endpoint(MANAGERS),
    ("crm/team", "post"): Endpoint(OWNERS, {"email": "new@example.com", "role": "chatter"}),
    ("crm/team/{member}", "put"): Endpoint(OWNERS, {"role": "analyst"}),
    ("crm/team/{member}", "delete"): Endpoint(OWNERS),
    ("crm/quick-replies", "get"): Endpoint(EVERYBODY),
    ("crm/quick-replies", "post"): Endpoint(MANAGERS, {"shortcut": "new", "text": "hi"}),
    ("crm/quick-replies/{quick_reply}", "put"): Endpoint(MANAGERS, {"shortcut": "other", "text": "hi"}),
    ("crm/quick-replies/{quick_reply}", "delete"): Endpoint(MANAGERS),
    ("crm/conversations", "get"): Endpoint(EVERYBODY),
    ("crm/conversations/{conversation}/read", "post"): Endpoint(WRITERS),
    ("crm/conversations/{conversation}/messages", "get"): Endpoint(EVERYBODY),
    ("crm/conversations/{conversation}/messages", "post"): Endpoint(WRITERS, {"text": "hi"}),
    ("onlyfans/messages/send", "post"): Endpoint(WRITERS, {"recipientId": "fan_{fan}", "content": "hi"}),
    ("onlyfans/messages/status", "get"): Endpoint(EVERYBODY),
    ("onlyfans/messages/limit", "get"): Endpoint(EVERYBODY),
    ("onlyfans/messages/limit", "put"): Endpoint(MANAGERS, {"messages": 6, "minGapSeconds": 5}),
    ("onlyfans/messages/failed", "get"): Endpoint(EVERYBODY),
    ("onlyfans/messages", "get"): Endpoint(EVERYBODY),
    ("onlyfans/messages/{message}", "get"): Endpoint(EVERYBODY),
    ("onlyfans/messages/{message}/cancel", "post"): Endpoint(WRITERS),
    ("onlyfans/messages/{message}/settle", "post"): Endpoint(WRITERS, {"outcome": "dismissed"}),
    ("onlyfans/messages/{message}/retry", "post"): Endpoint(WRITERS),
    ("messages/bulk", "post"): Endpoint(MANAGERS, {"recipientIds": ["fan_{fan}"], "content": "hi"}),
    ("messages/campaigns", "get"): Endpoint(EVERYBODY),
    ("messages/campaigns", "post"): Endpoint(MANAGERS, {"name": "New", "content": "hi", "audience": ALL}),
    ("messages/campaigns/{campaign}", "get"): Endpoint(EVERYBODY),
    ("messages/campaigns/{campaign}/recipients", "get"): Endpoint(EVERYBODY),
    ("messages/campaigns/{campaign}/recipients.csv", "get"): Endpoint(EXPORTERS),
    ("messages/campaigns/{campaign}/retry", "post"): Endpoint(MANAGERS),
    ("messages/campaigns/{campaign}/pause", "post"): Endpoint(MANAGERS),
    ("messages/campaigns/{campaign}/resume", "post"): Endpoint(MANAGERS),
    ("messages/campaigns/{campaign}/cancel", "post"): Endpoint(MANAGERS),
    ("onlyfans/account", "get"): Endpoint(EVERYBODY),
    ("onlyfans/account", "post"): Endpoint(MANAGERS, {"apiKey": "sim_key_demo1", "accountId": "acct_demo1"}),
    ("onlyfans/account", "delete"): Endpoint(MANAGERS),
    ("onlyfans/import/csv", "post"): Endpoint(MANAGERS, {"file": b"Username\nada\n"}, format="multipart"),
    ("onlyfans/import/preview", "post"): Endpoint(MANAGERS, {"file": b"Username\nada\n"}, format="multipart"),
    ("onlyfans/imports", "get"): Endpoint(MANAGERS),
    ("onlyfans/imports/{import}", "get"): Endpoint(MANAGERS),
    ("onlyfans/imports/{import}/errors.csv", "get"): Endpoint(MANAGERS),
    ("onlyfans/imports/{import}/undo", "post"): Endpoint(MANAGERS),
}
PAGES = {
    "",
    "live/{creator}",
    "creator",
    "platforms/onlyfans/fans",
    "platforms/onlyfans/fans/{fan}",
    "platforms/onlyfans/fans/{fan}/write",
    "settings",
    "settings/changes",
    "settings/changes.csv",
    "messages/onlyfans",
    "messages/onlyfans/resume",
    "messages/onlyfans/sign",
    "messages/onlyfans/state",
    "messages/onlyfans/status",
    "messages/onlyfans/{conversation}",
    "messages/bulk",
    "messages/campaigns",
    "messages/campaigns/{campaign}",
    "platforms/connect/onlyfans",
    "platforms/connect/onlyfans/check",
    "platforms/connect/onlyfans/disconnect",
    "platforms/onlyfans/import",
    "platforms/onlyfans/import/{import}",
    "platforms/onlyfans/import/{import}/errors.csv",
    "platforms/onlyfans/import/{import}/undo",
    "platforms/onlyfans/analytics",
    "platforms/onlyfans/analytics/fans",
    "platforms/onlyfans/analytics/sales",
    "platforms/onlyfans/analytics/definitions",
    "platforms/onlyfans/analytics/overview.csv",
    "platforms/onlyfans/analytics/revenue.csv",
    "platforms/onlyfans/analytics/top-fans.csv",
    "platforms/onlyfans/analytics/tiers.csv",
    "platforms/onlyfans/analytics/cohorts.csv",
    "platforms/onlyfans/analytics/churn.csv",
    "platforms/onlyfans/analytics/hours.csv",
    "platforms/onlyfans/analytics/campaign-revenue.csv",
    "platforms/onlyfans/analytics/chatters.csv",
    "sign-ins",
    "sign-ins/end",
    "security/",
    "security/password/",
    "security/reauthenticate/",
    "security/totp/activate/",
    "security/totp/deactivate/",
    "security/recovery-codes/",
    "security/recovery-codes/generate/",
    "security/recovery-codes/download/",
    "security/webauthn/",
    "security/webauthn/add/",
    "security/webauthn/reauthenticate/",
    "security/webauthn/keys/{pk}/edit/",
    "security/webauthn/keys/{pk}/remove/",
}
# `metrics` asks for a token of its own, and browsers report without signing in.
OPEN_PAGES = {
    "sign-in",
    "security/authenticate/",
    "security/webauthn/login/",
    "sign-out",
    "language",
    "words.js",
    "livez",
    "readyz",
    "metrics",
    "browser-reports",
}


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, address)
        else:
            yield address, pattern.callback


def named(address: str) -> str:
    """`fans/<int:fan_id>` as `fans/{fan}`."""
    parts = [part.partition(">") for part in address.split("<")]
    rest = (f"{{{inside.split(':')[-1].removesuffix('_id')}}}{after}" for inside, _, after in parts[1:])
    return parts[0][0] + "".join(rest)


def addresses() -> dict[str, Any]:
    found = {named(address): callback for address, callback in walk(get_resolver().url_patterns)}
    return {address: callback for address, callback in found.items() if not address.startswith(("admin/", "^"))}


def test_every_endpoint_says_here_who_may() -> None:
    found = {
        (address.removeprefix("api/"), method)
        for address, callback in addresses().items()
        if address.startswith("api/")
        for method in METHODS
        if hasattr(callback.cls, method)
    }
    assert found == OPEN | set(ENDPOINTS)


def test_every_page_says_here_whether_one_must_sign_in() -> None:
    assert {address for address in addresses() if not address.startswith("api/")} == PAGES | OPEN_PAGES


@pytest.fixture
def quiet_vendor(monkeypatch: pytest.MonkeyPatch, simulator: SimulatorServer, settings: Any) -> None:
    """What monitoring finds is tested with it; its threads would keep connections to the database."""
    settings.ONLYFANS_API_BASE_URL = simulator.base_url
    monkeypatch.setattr(
        monitoring, "checks_run", lambda: {name: {"ok": True, "reason": ""} for name in monitoring.CHECKS}
    )


@dataclass
class World:
    """A creator with one row of everything, and the ids of the rows."""

    creator: Creator = field(default_factory=lambda: CreatorFactory(name=MARK))
    ids: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fan = FanFactory(creator=self.creator, name=MARK, handle=MARK)
        conversation = ConversationFactory(fan=fan)
        message = delivery_make(fan=fan, text=MARK, state=MessageStatus.FAILED, reason=MARK)
        account_connect(creator=self.creator, account_id=f"acct_{MARK}{self.creator.pk}", api_key=MARK)
        campaign = launch(self.creator, name=MARK, content=MARK)
        content = f"Username,Total\n{MARK},{MARK}\n".encode()
        batch = fans_import(creator=self.creator, user=None, filename=f"{MARK}.csv", content=content).batch
        quick_reply = QuickReplyFactory(creator=self.creator, text=MARK)
        TransactionFactory(fan=fan, fan_name=MARK)
        member = MembershipFactory(creator=self.creator, user__name=MARK, role=Role.CHATTER)
        # Somebody whom an owner may add.
        if not User.objects.filter(email="new@example.com").exists():
            UserFactory(email="new@example.com")
        rows = {
            "creator": self.creator,
            "fan": fan,
            "conversation": conversation,
            "message": message,
            "campaign": campaign,
            "import": batch,
        }
        self.ids = {name: str(row.pk) for name, row in rows.items()} | {
            "quick_reply": str(quick_reply.pk),
            # Of a passkey: whose it is comes after the proof of who asks (huntaze/tests/test_second_step.py).
            "pk": "0",
            "member": str(member.pk),
        }

    def rows(self) -> list[Any]:
        """What a caller who may not must leave as it is."""
        mine = {"creator": self.creator}
        return [
            list(Message.objects.filter(**mine).order_by("pk").values_list("pk", "status", "read")),
            list(Campaign.objects.filter(**mine).values_list("pk", "status")),
            list(Fan.objects.filter(**mine).order_by("pk").values()),
            ImportBatch.objects.filter(**mine).count(),
            sorted(Membership.objects.filter(**mine, user__name=MARK).values_list("pk", "role")),
            list(QuickReply.objects.filter(**mine).order_by("pk").values()),
            list(Account.objects.filter(**mine).values_list("account_id", "state")),
            list(Creator.objects.filter(pk=self.creator.pk).values()),
            list(SendingProfile.objects.filter(**mine).values_list("limit_messages", "min_gap_ms")),
        ]

    def call(self, client: APIClient, key: tuple[str, str], creator: Creator | None = None) -> Any:
        address, method = key
        endpoint = ENDPOINTS[key]
        headers = endpoint.headers | ({} if creator is None else {"X-Creator": str(creator.pk)})
        body = None if endpoint.body is None else {name: self._filled(value) for name, value in endpoint.body.items()}
        form = {} if method == "get" else {"format": endpoint.format}
        return getattr(client, method)(f"/api/{address.format(**self.ids)}", body, headers=headers, **form)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, bytes):
            return SimpleUploadedFile("new.csv", value)
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, str) and value.startswith("{"):
            return int(value.format(**self.ids))
        return value.format(**self.ids) if isinstance(value, str) else value


def access_token(user: User) -> AccessToken:
    return ObtainSerializer.get_token(user).access_token  # type: ignore[attr-defined]


def bearing(token: Any) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def assert_problem(answer: Any, status: int) -> None:
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json"), answer.content
    assert {"type", "title", "status", "detail", "code"} <= set(answer.json())
    assert MARK not in answer.content.decode()


def text(answer: Any) -> str:
    return (b"".join(answer) if answer.streaming else answer.content).decode()


def ids(key: tuple[str, str]) -> str:
    return f"{key[1].upper()} {key[0]}"


each_endpoint = pytest.mark.parametrize("key", list(ENDPOINTS), ids=ids)


@each_endpoint
def test_nobody_gets_in_without_a_token_that_counts(key: tuple[str, str]) -> None:
    world, expired = World(), access_token(MembershipFactory().user)
    expired.set_exp(lifetime=timedelta(seconds=-1))
    before = world.rows()
    for client in (APIClient(), bearing(expired), bearing("nonsense")):
        answer = world.call(client, key)
        assert_problem(answer, 401)
        assert answer["WWW-Authenticate"].startswith("Bearer")
    assert world.rows() == before


@each_endpoint
def test_each_role_may_what_it_may(key: tuple[str, str]) -> None:
    world, may = World(), ENDPOINTS[key].roles
    before = world.rows()
    for role in sorted(Role, key=lambda each: each in may):
        if key[1] == "delete" and role in may:
            # What is deleted is nobody's any more.
            world = World()
        answer = world.call(bearing(access_token(MembershipFactory(creator=world.creator, role=role).user)), key)
        if role in may:
            # A conflict is an answer to somebody who may: what one did the next cannot do again.
            assert answer.status_code in {200, 201, 202, 204, 409}, (role, text(answer))
        else:
            assert_problem(answer, 403)
            assert world.rows() == before


@pytest.mark.parametrize("key", [key for key in ENDPOINTS if key[0].startswith("analytics/")], ids=ids)
def test_all_but_chatters_take_figures_along_as_a_file(key: tuple[str, str]) -> None:
    creator = CreatorFactory()
    for role in Role:
        client = bearing(access_token(MembershipFactory(creator=creator, role=role).user))
        answer = client.get(f"/api/{key[0]}", headers={"Accept": "text/csv"})
        assert (role, answer.status_code) == (role, 200 if role in EXPORTERS else 403)


@each_endpoint
def test_a_stranger_sees_and_changes_nothing(key: tuple[str, str]) -> None:
    world, stranger = World(), bearing(access_token(MembershipFactory().user))
    before = world.rows()
    own = world.call(stranger, key)
    assert own.status_code < 500
    assert MARK not in text(own)
    if "{" in key[0]:
        assert_problem(own, 404)
    if ENDPOINTS[key].tenant:
        assert_problem(world.call(stranger, key, creator=world.creator), 404)
    assert world.rows() == before


@each_endpoint
def test_who_works_for_another_creator_too_finds_only_the_named_ones_rows(key: tuple[str, str]) -> None:
    """A member of both: the wrong one of them named."""
    world, membership = World(), MembershipFactory()
    MembershipFactory(user=membership.user, creator=world.creator)
    before = world.rows()
    answer = world.call(bearing(access_token(membership.user)), key, creator=membership.creator)
    if "{" in key[0]:
        assert_problem(answer, 404)
    assert world.rows() == before


@pytest.mark.parametrize("key", [key for key, endpoint in ENDPOINTS.items() if endpoint.tenant], ids=ids)
def test_who_has_no_creator_finds_none(key: tuple[str, str]) -> None:
    assert_problem(World().call(bearing(access_token(UserFactory())), key), 404)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_a_page_asks_who_is_not_signed_in_to_do_so(page: str) -> None:
    address = f"/{page.format(**World().ids)}"
    answers = [getattr(Client(), method)(address, follow=True) for method in ("get", "post")]
    assert all(answer.redirect_chain[-1][0].startswith("/sign-in") for answer in answers)
    assert all(MARK not in answer.content.decode() for answer in answers)


@pytest.mark.parametrize("page", sorted(PAGES - {""}))
def test_a_page_shows_a_stranger_nothing(page: str) -> None:
    world, client = World(), Client()
    client.force_login(MembershipFactory().user)
    before = world.rows()
    for method in ("get", "post"):
        answer = getattr(client, method)(f"/{page.format(**world.ids)}", {"creator": world.creator.pk})
        assert MARK not in text(answer)
        if "{" in page:
            assert answer.status_code in {404, 405} or answer["Location"].startswith("/security/password/")
    assert world.rows() == before
