"""Controls: what a page shows somebody, their role may use. Walks each page as each role, and tries what it finds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from django.db import transaction
from django.test import Client
from django.urls import resolve
from django.utils import timezone

from crm.models import MessageStatus, Role
from crm.tests.factories import ConversationFactory, FanFactory, MembershipFactory
from messaging.models import SendingProfile
from messaging.tests.factories import delivery_make
from onlyfans.models import ImportBatch
from tests.test_access import ENDPOINTS, World, quiet_vendor  # noqa: F401  a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues", "quiet_vendor")]
PAGES = (
    "/messages/onlyfans",
    "/messages/onlyfans/{conversation}",
    "/messages/onlyfans/status",
    "/messages/campaigns",
    "/messages/campaigns/{campaign}",
    "/messages/bulk",
    "/platforms/onlyfans/fans",
    "/platforms/onlyfans/fans?deleted=true",
    "/platforms/onlyfans/fans?search=nobody-is-called-so",
    "/platforms/onlyfans/fans/{fan}",
    "/platforms/onlyfans/import",
    "/platforms/onlyfans/import/{import}",
    "/platforms/onlyfans/analytics",
    "/platforms/onlyfans/analytics/fans",
    "/platforms/onlyfans/analytics/sales",
    "/platforms/onlyfans/analytics/definitions",
    "/platforms/connect/onlyfans",
    "/settings",
    "/settings/changes",
    "/sign-ins",
    "/security/",
)
# Of these a role is refused: their page says so, and nothing may lead there.
REFUSED = {403, 404, 405}
# Ends the session, or is about no role.
ELSEWHERE = {"/sign-out", "/language", "/api/docs", "/api/schema"}
METHODS = ("get", "post", "put", "patch", "delete")
# What scripts ask at the address in data-api, by what the element is.
SCRIPTED = {"data-fan": "patch", "data-tagging": "post", "data-campaign": "post", "data-import": "post"}


@dataclass(frozen=True)
class Control:
    method: str
    address: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass
class Controls(HTMLParser):
    """The links, forms, htmx requests and addresses for scripts of a page, each with what it would send."""

    found: set[Control] = field(default_factory=set)
    form: tuple[str, str] | None = None
    fields: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for method in METHODS:
            if address := given.get(f"hx-{method}"):
                self.found.add(Control(method, address))
        if tag == "a" and not given.get("href", "#").startswith("#"):
            self.found.add(Control("get", given["href"]))
        if address := given.get("data-api"):
            [method] = [method for name, method in SCRIPTED.items() if name in given]
            self.found.add(Control(method, address))
        for name in ("data-preview", "data-write"):
            if given.get(name):
                self.found.add(Control("post" if name == "data-preview" else "get", given[name]))
        if tag == "form" and "action" in given:
            self.form, self.fields = (given.get("method", "get").lower(), given["action"]), []
        elif self.form and tag in {"input", "button"} and given.get("name"):
            self.fields.append((given["name"], given.get("value", "")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form" and self.form:
            self.found.add(Control(*self.form, tuple(self.fields)))
            self.form = None


def controls(html: str, page: str) -> Iterator[Control]:
    parser = Controls()
    parser.feed(html)
    for control in parser.found:
        parts = urlsplit(urljoin(f"http://here{page}", control.address))
        if parts.netloc == "here" and parts.path not in ELSEWHERE:
            address = f"{parts.path}?{parts.query}" if parts.query else parts.path
            yield Control(control.method, address, control.fields)


@pytest.fixture
def world() -> World:
    """A creator for whom every control has a reason to be shown."""
    world = World()
    fan = FanFactory(creator=world.creator, name="Gone", deleted_at=timezone.now())
    ConversationFactory(fan=fan)
    for state in (MessageStatus.UNKNOWN, MessageStatus.QUEUED):
        delivery_make(fan=FanFactory(creator=world.creator), state=state)
    SendingProfile.objects.update(paused_at=timezone.now(), paused_reason="Paused.")
    return world


@pytest.fixture
def empty(world: World) -> World:
    """A creator who has nothing yet, where pages say what to do next."""
    world.creator = MembershipFactory().creator
    return world


def allowed(world: World) -> dict[tuple[str, str], frozenset[Role]]:
    """Who may, by the route and the method of an address of the API."""
    return {
        (resolve(f"/api/{address.format(**world.ids)}").route, method): endpoint.roles
        for (address, method), endpoint in ENDPOINTS.items()
    }


def assert_usable(client: Client, role: Role, page: str, control: Control, may: Any) -> None:
    path = urlsplit(control.address).path
    if path.startswith("/api/"):
        # tests/test_access.py proves that the table is right, with a body that works.
        assert role in may[resolve(path).route, control.method], (role, page, control)
    if control.method == "get" or not path.startswith("/api/"):
        # As a browser asks for a link; a page's own request is for HTML first as well.
        accept = {"Accept": "text/html,*/*;q=0.8"}
        with transaction.atomic():
            answer = getattr(client, control.method)(control.address, dict(control.fields), headers=accept)
            transaction.set_rollback(True)
        assert answer.status_code not in REFUSED, (role, page, control)
        assert answer.status_code < 500, (role, page, control)
        assert "/sign-in" not in answer.headers.get("Location", ""), (role, page, control)


def walk(world: World, role: Role) -> int:
    client = Client()
    client.force_login(MembershipFactory(creator=world.creator, role=role).user)
    may, tried = allowed(world), set()
    refused = 0
    for page in (page.format(**world.ids) for page in PAGES):
        answer = client.get(page)
        refused += answer.status_code == 403
        for control in controls(answer.content.decode(), page):
            # The same address again, with another id or filter, is the same control.
            key = (control.method, resolve(urlsplit(control.address).path).route)
            if key not in tried:
                assert_usable(client, role, page, control, may)
                tried.add(key)
    assert len(tried) > 15, (role, tried)
    return refused


@pytest.mark.parametrize("role", list(Role))
def test_nothing_that_is_shown_is_refused(world: World, role: Role) -> None:
    assert ImportBatch.objects.exists()
    refused = walk(world, role)
    assert (refused == 0) == (role == Role.OWNER), (role, refused)


@pytest.mark.parametrize("role", list(Role))
def test_nothing_that_an_empty_page_offers_is_refused(empty: World, role: Role) -> None:
    walk(empty, role)
