"""Answers whether the OpenAPI document says what a client's generator needs."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest
from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

from crm.tests.factories import FanFactory, MembershipFactory
from huntaze.schema import UPLOAD
from huntaze.schema_examples import example_of
from messaging.tests.campaigns import launch
from onlyfans.csv_import import fans_import


@cache
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def resolved(response: dict[str, Any]) -> dict[str, Any]:
    name = response.get("$ref", "").rpartition("/")[2]
    return document()["components"]["responses"][name] if name else response


def test_every_error_is_a_problem() -> None:
    for name, operation in operations():
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(resolved(response)["content"]) == ["application/problem+json"], (name, status)


def test_every_operation_says_who_may_and_how_often() -> None:
    for name, operation in operations():
        assert "401" in operation["responses"], name
        assert "429" in operation["responses"] or "webhooks" in name, name


def test_a_429_says_how_long_to_wait() -> None:
    assert {"Retry-After", "RateLimit"} <= set(document()["components"]["responses"]["Problem429"]["headers"])


def test_every_operation_has_a_tag_a_name_and_a_summary() -> None:
    described = {tag["name"] for tag in document()["tags"]}
    assert all(operation["summary"] and set(operation["tags"]) <= described for _, operation in operations())
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)


def test_a_patch_shows_no_default_that_a_client_would_send() -> None:
    patched = document()["components"]["schemas"]["PatchedFanRequest"]["properties"]
    assert [name for name, field in patched.items() if "default" in str(field)] == []


def test_a_list_comes_in_pages() -> None:
    answer = document()["paths"]["/api/crm/fans"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    pages = document()["components"]["schemas"][answer["$ref"].rpartition("/")[2]]
    assert pages["required"] == ["next", "previous", "results"]


def test_what_sends_takes_a_key_and_may_be_told_to_come_back() -> None:
    send = document()["paths"]["/api/onlyfans/messages/send"]["post"]
    assert {"Idempotency-Key", "X-Creator"} <= {parameter["name"] for parameter in send["parameters"]}
    assert {"409", "413", "415", "429", "503"} <= set(send["responses"])


def test_every_operation_says_whether_one_must_sign_in() -> None:
    open_to_all = {name for name, operation in operations() if operation["security"] == []}
    tokens = {f"post /api/auth/{each}" for each in ("token", "token/refresh", "token/verify", "logout")}
    assert open_to_all == tokens | {"post /api/onlyfans/webhooks/{account_key}"}


@pytest.mark.django_db
def test_an_example_of_a_file_begins_as_the_file_does(sqs_queues: Any) -> None:
    membership = MembershipFactory()
    FanFactory(creator=membership.creator)
    content = b"Username,Total Spent\nautumn_leaf,much\n"
    batch = fans_import(creator=membership.creator, user=None, filename="fans.csv", content=content).batch
    ids = {"campaign_id": launch(membership.creator).pk, "import_id": batch.pk}
    client = APIClient()
    client.force_authenticate(membership.user)
    for path, methods in document()["paths"].items():
        if example := methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}).get("text/csv"):
            header, row = example["example"].splitlines()
            answer = client.get(path.format(**ids), headers={"Accept": "text/csv"})
            found = answer.content.decode("utf-8-sig").splitlines()[0]
            # A file of rejected rows names its import.
            assert found.replace(f"as in import {batch.pk},", "as in import 1,") == header, path
            assert row.count(",") == header.count(","), path


def test_every_body_but_an_upload_has_an_example_that_fits() -> None:
    components = document()["components"]
    for name, operation in operations():
        for body in (operation.get("requestBody", {}), *map(resolved, operation["responses"].values())):
            for kind, media in body.get("content", {}).items():
                if kind == UPLOAD:
                    continue
                assert "example" in media, (name, kind)
                schema = _as_json_schema(media["schema"] | {"components": components})
                assert list(jsonschema_rs.iter_errors(schema, media["example"])) == [], (name, kind)


def _as_json_schema(schema: Any) -> Any:
    """OpenAPI 3.0's own word for null, in JSON Schema's."""
    if isinstance(schema, list):
        return [_as_json_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _as_json_schema(each) for name, each in schema.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "integer", "minimum": 300}, 300),
        ({"type": "string", "format": "date"}, "2026-03-01"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["a"]),
        ({"type": "object", "properties": {"handle": {"type": "string"}}}, {"handle": "autumn_leaf"}),
        ({"type": "object", "properties": {"handle": {"type": "integer"}}}, {"handle": 1}),
    ],
)
def test_an_example_is_made_from_the_name_or_the_type(schema: dict[str, Any], example: Any) -> None:
    assert example_of(schema, {}) == example
