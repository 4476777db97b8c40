"""Answers whether fans are listed, filtered, created and tagged together by those who may."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from crm.models import Fan, Role
from crm.tests.clients import signed_in
from crm.tests.factories import CreatorFactory, FanFactory

pytestmark = pytest.mark.django_db
FANS = "/api/crm/fans"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def creator() -> Any:
    return CreatorFactory()


def names(client: APIClient, query: str = "") -> list[str]:
    return [fan["name"] for fan in client.get(f"{FANS}?{query}").json()["results"]]


# --- Listing ----------------------------------------------------------------------------------------------------------


def test_a_fan_is_created_once(creator: Any) -> None:
    client = signed_in(creator)
    body = {"platformId": "42", "handle": "ada", "name": "Ada", "tags": ["vip"], "valueCents": 500}
    answer = client.post("/api/crm/fans", body)
    assert answer.status_code == 201
    assert Fan.objects.get(pk=answer.json()["id"]).creator == creator
    again = client.post("/api/crm/fans", body)
    assert (again.status_code, again.json()["code"]) == (409, "fan_exists")


def test_an_analyst_creates_nothing(creator: Any) -> None:
    answer = signed_in(creator, Role.ANALYST).post("/api/crm/fans", {"platformId": "42"})
    assert (answer.status_code, answer.json()["code"]) == (403, "role_not_allowed")
    assert not Fan.objects.exists()


def test_what_is_wrong_with_a_fan_is_named_field_by_field(creator: Any) -> None:
    answer = signed_in(creator).post("/api/crm/fans", {"email": "no", "valueCents": -1, "tags": ["x" * 51]})
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"platformId", "email", "valueCents", "tags[0]"}


def test_the_fans_are_filtered(creator: Any) -> None:
    FanFactory(creator=creator, name="Rich Ada", handle="rich", value_cents=900, tags=["vip"], last_seen_at=NOW)
    FanFactory(creator=creator, name="Poor Bob", handle="poor", value_cents=1, last_seen_at=NOW - timedelta(days=90))
    client = signed_in(creator)

    def found(query: str) -> list[str]:
        return names(client, query)

    assert found("") == ["Rich Ada", "Poor Bob"]
    assert found("search=bob") == ["Poor Bob"]
    assert found("search=@rich") == ["Rich Ada"]
    assert found("tag=vip") == ["Rich Ada"]
    assert found("minValueCents=2") == ["Rich Ada"]
    assert found("activeSince=2026-11-01T00:00:00Z") == ["Rich Ada"]


def test_a_filter_that_cannot_be_is_named(creator: Any) -> None:
    answer = signed_in(creator).get("/api/crm/fans?minValueCents=lots")
    assert [error["field"] for error in answer.json()["errors"]] == ["minValueCents"]


def test_pages_follow_each_other_without_gap_or_double(creator: Any) -> None:
    for value in range(5):
        FanFactory(creator=creator, value_cents=value // 2)
    client = signed_in(creator)
    seen, url = [], "/api/crm/fans?pageSize=2"
    while url:
        page = client.get(url).json()
        seen += [fan["id"] for fan in page["results"]]
        url = page["next"]
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("valueCents", ["Ada", "Bea", "Cleo"]),
        ("-valueCents", ["Cleo", "Bea", "Ada"]),
        ("lastSeenAt", ["Cleo", "Ada", "Bea"]),
        ("-lastSeenAt", ["Bea", "Ada", "Cleo"]),
        ("name", ["Ada", "Bea", "Cleo"]),
        ("-name", ["Cleo", "Bea", "Ada"]),
        ("createdAt", ["Bea", "Cleo", "Ada"]),
        ("-createdAt", ["Ada", "Cleo", "Bea"]),
    ],
)
def test_the_fans_come_in_the_order_asked_for(creator: Any, ordering: str, expected: list[str]) -> None:
    rows = [("Ada", 1, NOW, 3), ("Bea", 2, NOW + timedelta(days=1), 1), ("Cleo", 3, None, 2)]
    for name, value, seen, age in rows:
        made = NOW + timedelta(days=age)
        FanFactory(creator=creator, name=name, value_cents=value, last_seen_at=seen, created_at=made)
    assert names(signed_in(creator), f"ordering={ordering}") == expected


def test_an_unknown_ordering_is_named(creator: Any) -> None:
    answer = signed_in(creator).get(f"{FANS}?ordering=mood")
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert (error["field"], "mood" in error["detail"]) == ("ordering", True)


# --- Tagging many -----------------------------------------------------------------------------------------------------


def tagged(creator: Any, *fans: Fan, **wish: Any) -> Any:
    return signed_in(creator).post(f"{FANS}/tags", {"fanIds": [fan.pk for fan in fans], **wish})


def test_many_fans_are_tagged_at_once_and_who_changed_is_told(creator: Any) -> None:
    plain, vip = FanFactory(creator=creator), FanFactory(creator=creator, tags=["vip"])
    answer = tagged(creator, plain, vip, add=["vip"])
    assert (answer.status_code, answer.json()) == (200, {"changed": [plain.pk]})
    assert tagged(creator, plain, vip, remove=["vip"], add=["old"]).json()["changed"] == [plain.pk, vip.pk]
    assert list(Fan.objects.values_list("tags", flat=True)) == [["old"], ["old"]]


def test_a_tagged_fan_is_another_version(creator: Any) -> None:
    fan = FanFactory(creator=creator)
    seen = {"If-Match": signed_in(creator).get(f"{FANS}/{fan.pk}")["ETag"]}
    tagged(creator, fan, add=["vip"])
    assert signed_in(creator).patch(f"{FANS}/{fan.pk}", {"name": "x"}, headers=seen).status_code == 412


def test_one_unknown_fan_and_none_is_tagged(creator: Any) -> None:
    mine, foreign = FanFactory(creator=creator), FanFactory()
    answer = tagged(creator, mine, foreign, add=["vip"])
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "fanIds[1]")
    assert not Fan.objects.filter(tags=["vip"]).exists()


def test_a_fan_gets_no_more_tags_than_an_import_gives(creator: Any) -> None:
    full = FanFactory(creator=creator, tags=[f"t{n}" for n in range(50)])
    assert tagged(creator, full, add=["one more"]).json()["errors"][0]["code"] == "too_many"
    assert tagged(creator, full, add=["instead"], remove=["t0"]).status_code == 200


def test_tagging_wants_a_tag(creator: Any) -> None:
    answer = tagged(creator, FanFactory(creator=creator))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "add")


def test_an_id_that_no_fan_can_have_is_named(creator: Any) -> None:
    answer = signed_in(creator).post(f"{FANS}/tags", {"fanIds": [10**30], "add": ["vip"]})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "fanIds[0]")
