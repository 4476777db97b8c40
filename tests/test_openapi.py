"""Answers whether the API does what openapi.yaml says, asked by schemathesis in the process, as an owner.

Every operation of the file is a test. Each request meets the same rows (test_access's World), which it may change: its
transaction is undone. Where a request is valid, its ids are those of the rows, because an id that is made up answers
404 and shows nothing.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.conf import settings
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation

from crm.tests.factories import MembershipFactory
from huntaze import monitoring
from tests.test_access import World, access_token

EXAMPLES = 4
# Of at most so many requests each.
SEQUENCES, STEPS = 25, 8
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "409", "429", "5xx"]
# What is well formed may still be refused here.
REFUSED = {
    # A price needs media, a text is more than spaces and names known placeholders, a URL is https: rules between and
    # inside of fields that a schema cannot say.
    ("400",): [
        "POST /api/onlyfans/messages/send",
        "POST /api/messages/bulk",
        "POST /api/messages/campaigns",
        "POST /api/crm/conversations/{conversation_id}/messages",
        # What the formats `uri` and `email` let pass, but nothing can be reached by: a host name of 300 letters.
        "POST /api/crm/fans",
        "PUT /api/crm/fans/{fan_id}",
        "PATCH /api/crm/fans/{fan_id}",
        # Fans that there are not, and neither a tag to add nor one to remove.
        "POST /api/crm/fans/tags",
        # An address that nobody signs in with.
        "POST /api/crm/team",
        # Spaces alone, or placeholders that are none.
        "POST /api/crm/quick-replies",
        "PUT /api/crm/quick-replies/{quick_reply_id}",
        # A zone that there is not, and a pace past the platform's, which the environment says.
        "PUT /api/crm/creator",
        "PUT /api/onlyfans/messages/limit",
        # Days outside of the years for which sums are kept, and a first day behind the last.
        "GET /api/analytics/revenue",
        "GET /api/analytics/hours",
        "GET /api/analytics/campaign-revenue",
        "GET /api/analytics/chatters",
    ],
    # The schema sees a file and names of columns; whether they are a list of fans is for the reader of CSV to say.
    ("400", "413", "422"): ["POST /api/onlyfans/import/csv", "POST /api/onlyfans/import/preview"],
}
# Here the vendor is away, which this says as it should; and what no header can carry is no vendor's key.
VENDOR_AWAY = ["POST /api/onlyfans/account"]
CONFIG: dict[str, Any] = {
    "seed": 20_260_301,
    # A text holds any character but NUL, which PostgreSQL cannot store: it is refused by name, wherever it comes.
    "generation": {
        "mode": "all",
        "max-examples": EXAMPLES,
        "database": "none",
        "deterministic": True,
        "allow-x00": False,
    },
    "operations": [
        {
            "include-name": operations,
            "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, *also]}},
        }
        for also, operations in REFUSED.items()
    ]
    + [
        {
            "include-name": VENDOR_AWAY,
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", "503"]},
                "positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "400"]},
            },
        }
    ],
    "phases": {"examples": {"enabled": True}, "coverage": {"enabled": True}, "fuzzing": {"enabled": True}},
}
schema = schemathesis.openapi.from_path(settings.BASE_DIR / "openapi.yaml", config=SchemathesisConfig.from_dict(CONFIG))
schema.app = get_wsgi_application()
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]


@pytest.fixture(scope="module", autouse=True)
def connection_kept() -> Iterator[None]:
    """Django's own client for tests keeps the connection too: another one would not see this transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    # Its threads would not see this transaction.
    well = {name: {"ok": True, "reason": ""} for name in monitoring.CHECKS}
    monkeypatch.setattr(monitoring, "checks_run", lambda: well)
    return World()


@pytest.fixture
def owner(world: World) -> str:
    return f"Bearer {access_token(MembershipFactory(creator=world.creator).user)}"


@schema.parametrize()
@hypothesis_settings(suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
def test_an_operation_does_what_its_description_says(case: Any, world: World, owner: str) -> None:
    lead_to(case, world)
    with transaction.atomic():
        case.call_and_validate(headers={"Authorization": owner})
        transaction.set_rollback(True)


def test_operations_one_after_another_do_what_their_descriptions_say(world: World, owner: str) -> None:
    """An answer's ids are the next request's: what was made is read, changed, deleted, and gone after that."""

    class Sequence(schema.as_state_machine()):  # type: ignore[misc]  # a class made at run time
        def setup(self) -> None:
            self.undone = transaction.atomic()
            self.undone.__enter__()

        def teardown(self) -> None:
            transaction.set_rollback(True)
            self.undone.__exit__(None, None, None)

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": {"Authorization": owner}}

        def validate_response(self, response: Any, case: Any, *args: Any, **kwargs: Any) -> None:
            # As the machine's own, which does not say that the token was meant.
            case.validate_response(response, headers=kwargs["headers"], transport_kwargs=kwargs, recorder=self.recorder)

        def before_call(self, case: Any) -> None:
            lead_to(case, world, linked=True)

    Sequence.run(
        settings=hypothesis_settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            suppress_health_check=list(HealthCheck),
            deadline=None,
            derandomize=True,
            database=None,
        )
    )


def lead_to(case: Any, world: World, *, linked: bool = False) -> None:
    """Where the request means a row of ours, let it be one; what is meant to be wrong stays wrong.

    linked: ids come from the answers before, and stay.
    """
    for location, values in (
        (ParameterLocation.PATH, case.path_parameters),
        (ParameterLocation.HEADER, case.headers),
        (ParameterLocation.QUERY, case.query),
    ):
        for name in values or () if not case.meta.is_negative_at(location) else ():
            if name.removesuffix("_id") in world.ids and not (linked and location is ParameterLocation.PATH):
                values[name] = world.ids[name.removesuffix("_id")]
            elif name in {"X-Creator", "creator"}:
                values[name] = str(world.creator.pk)
            elif name == "cursor":
                values[name] = ""  # none that is made up is one of ours
            elif name == "If-Match":
                values[name] = "*"
    if isinstance(case.body, dict) and not case.meta.is_negative_at(ParameterLocation.BODY):
        fan = f"fan_{world.ids['fan']}"
        known: dict[str, Any] = {"recipientId": fan, "recipientIds": [fan]}
        case.body |= {name: value for name, value in known.items() if name in case.body}
        if (case.body.get("audience") or {}).get("exclude"):
            case.body["audience"]["exclude"] = [fan]
