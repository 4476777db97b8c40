"""Answers who may import over the API and what they are told. Touches the database through the API alone."""

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from crm.models import Fan, Membership, Role, Transaction
from crm.tests.factories import FanFactory, MembershipFactory, UserFactory
from onlyfans.import_jobs import import_run
from onlyfans.models import ImportBatch

pytestmark = pytest.mark.django_db
URL = "/api/onlyfans/import/csv"
TEXT = "Username,Total Spent\nada,$5\nb b,$5\nada,$6\n"


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory.create(role=Role.OWNER)


def client_of(membership: Membership | None) -> APIClient:
    client = APIClient()
    if membership:
        client.force_authenticate(membership.user)
    return client


def upload(client: APIClient, content: str | bytes = TEXT, **fields: Any) -> Any:
    data = content.encode() if isinstance(content, str) else content
    return client.post(URL, {"file": SimpleUploadedFile("fans.csv", data), **fields}, format="multipart")


def test_the_owner_imports_and_every_row_is_accounted_for(owner: Membership) -> None:
    response = upload(client_of(owner))
    assert response.status_code == 200
    body = response.json()
    assert body["summary"] == {
        "totalRows": 3, "successfulInserts": 1, "updated": 0, "unchanged": 0, "skipped": 1, "errors": 1,
    }  # fmt: skip
    assert body["mapping"] == {"handle": "Username", "valueCents": "Total Spent"}
    assert [(e["row"], e["column"], e["value"]) for e in body["errors"]] == [(3, "Username", "b b")]
    assert body["notices"][0]["row"] == 2
    assert body["dryRun"] is False
    assert Fan.objects.get().creator == owner.creator
    batch = ImportBatch.objects.get(pk=body["importId"])
    assert (batch.created_by, batch.filename) == (owner.user, "fans.csv")


def test_a_manager_imports_for_the_creator_they_name(owner: Membership) -> None:
    manager = MembershipFactory.create(creator=owner.creator, role=Role.MANAGER)
    MembershipFactory.create(user=manager.user)
    client = client_of(manager)
    assert upload(client).json()["code"] == "creator_not_named"
    client.credentials(HTTP_X_CREATOR=str(owner.creator_id))
    assert upload(client).status_code == 200
    assert Fan.objects.get().creator == owner.creator


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
@pytest.mark.parametrize("method", ["post", "get"])
def test_other_teammates_may_neither_import_nor_look(owner: Membership, role: Role, method: str) -> None:
    client = client_of(MembershipFactory.create(creator=owner.creator, role=role))
    response = upload(client) if method == "post" else client.get("/api/onlyfans/imports")
    assert (response.status_code, response.json()["code"]) == (403, "role_not_allowed")
    assert not Fan.objects.exists()


def test_a_stranger_learns_nothing(owner: Membership) -> None:
    import_id = upload(client_of(owner)).json()["importId"]
    stranger = client_of(MembershipFactory.create())
    for path in (f"imports/{import_id}", f"imports/{import_id}/errors.csv"):
        assert stranger.get(f"/api/onlyfans/{path}").status_code == 404
    assert stranger.get("/api/onlyfans/imports").json()["results"] == []
    stranger.credentials(HTTP_X_CREATOR=str(owner.creator_id))
    assert upload(stranger).status_code == 404
    assert stranger.get("/api/onlyfans/imports").status_code == 404


def test_a_user_without_a_creator_gets_404() -> None:
    client = APIClient()
    client.force_authenticate(UserFactory.create())
    assert upload(client).status_code == 404


@pytest.mark.parametrize("path", ["imports", "imports/1", "imports/1/errors.csv"])
def test_without_a_token_there_is_nothing(path: str) -> None:
    assert APIClient().get(f"/api/onlyfans/{path}").status_code == 401
    assert upload(APIClient()).status_code == 401


def test_a_dry_run_says_so_and_changes_nothing(owner: Membership) -> None:
    body = upload(client_of(owner), dryRun="true").json()
    assert (body["dryRun"], body["summary"]["successfulInserts"]) == (True, 1)
    assert not Fan.objects.exists()


def test_a_mapping_names_columns(owner: Membership) -> None:
    mapping = json.dumps({"handle": "Who", "valueCents": "Worth"})
    body = upload(client_of(owner), "Who,Worth\nada,7\n", mapping=mapping).json()
    assert body["mapping"] == {"handle": "Who", "valueCents": "Worth"}
    assert Fan.objects.get().value_cents == 700


@pytest.mark.parametrize("mapping", ["no json", "[]", '{"handle": 3}', '{"shoe": "Username"}', '{"handle": "Nowhere"}'])
def test_a_mapping_that_does_not_fit_is_invalid(owner: Membership, mapping: str) -> None:
    response = upload(client_of(owner), mapping=mapping)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "mapping"
    assert not ImportBatch.objects.exists()


def test_dates_that_can_be_read_in_two_ways_are_asked_about(owner: Membership) -> None:
    text = "Username,Last Seen\nada,3/4/2026\n"
    response = upload(client_of(owner), text)
    assert (response.status_code, response.json()["code"]) == (422, "date_order_unknown")
    assert response.json()["errors"][0]["field"] == "dayFirst"
    assert "'Last Seen'" in response.json()["detail"]
    assert upload(client_of(owner), text, dayFirst="true").status_code == 200
    assert Fan.objects.get().last_seen_at.month == 4  # type: ignore[union-attr]


def test_a_field_that_people_edit_is_overwritten_only_when_named(owner: Membership) -> None:
    FanFactory.create(creator=owner.creator, platform_id="ada", handle="ada", name="Mine")
    text = "Username,Name\nada,Theirs\n"
    assert upload(client_of(owner), text).json()["summary"]["unchanged"] == 1
    assert upload(client_of(owner), text, overwrite="name, notes").json()["summary"]["updated"] == 1
    assert Fan.objects.get().name == "Theirs"
    assert upload(client_of(owner), text, overwrite="valueCents").status_code == 400


def test_no_file_is_invalid_and_an_empty_one_unreadable(owner: Membership) -> None:
    client = client_of(owner)
    response = client.post(URL, {}, format="multipart")
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "file")
    response = upload(client, b"")
    assert (response.status_code, response.json()["code"]) == (422, "empty")


def test_json_is_no_upload(owner: Membership) -> None:
    assert client_of(owner).post(URL, {}, format="json").status_code == 415


def test_a_file_over_the_limit_is_too_large(owner: Membership, settings: Any) -> None:
    settings.IMPORT_MAX_BYTES = 1_000
    response = upload(client_of(owner), "Username\n" + "a" * 1_000)
    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")
    response = upload(client_of(owner), "Username\n" + "a" * 200_000)
    assert response.status_code == 413
    assert not ImportBatch.objects.exists()


@pytest.mark.parametrize(("content", "code"), [(b"\x00\x01", "not_csv"), (b"Name\nAda\n", "no_key_column")])
def test_a_file_that_cannot_be_read_is_told_in_a_sentence(owner: Membership, content: bytes, code: str) -> None:
    response = upload(client_of(owner), content)
    assert (response.status_code, response.json()["code"]) == (422, code)
    assert response["Content-Type"] == "application/problem+json"


def test_the_history_has_each_import_the_newest_first(owner: Membership) -> None:
    client = client_of(owner)
    first, second = upload(client).json()["importId"], upload(client).json()["importId"]
    body = client.get("/api/onlyfans/imports").json()
    assert [item["importId"] for item in body["results"]] == [second, first]
    assert body["results"][0]["createdBy"] == owner.user.email
    assert body["results"][0]["summary"]["unchanged"] == 1
    assert client.get(f"/api/onlyfans/imports/{first}").json()["errors"][0]["row"] == 3


@pytest.mark.parametrize(
    ("asked", "shown"), [("", [True, False]), ("?dryRun=false", [False]), ("?dryRun=true", [True])]
)
def test_the_history_is_of_imports_or_checks_or_both(owner: Membership, asked: str, shown: list[bool]) -> None:
    client = client_of(owner)
    upload(client)
    upload(client, dryRun="true")
    assert [each["dryRun"] for each in client.get(f"/api/onlyfans/imports{asked}").json()["results"]] == shown


def test_the_history_is_a_piece_of_a_page_too(owner: Membership) -> None:
    client = client_of(owner)
    for _ in range(2):
        upload(client)
    shown = client.get("/api/onlyfans/imports?pageSize=1", headers={"accept": "text/html"}).content.decode()
    assert shown.count("fans.csv") == 1
    assert "More imports" in shown


def test_the_history_costs_the_same_queries_however_long_it_is(
    owner: Membership, django_assert_num_queries: Any
) -> None:
    client, address = client_of(owner), "/api/onlyfans/imports"
    for _ in range(3):
        upload(client)
    client.get(address)  # who the caller is, is known for a moment
    with django_assert_num_queries(1):
        assert len(client.get(address).json()["results"]) == 3


def test_the_rejected_rows_come_back_as_csv(owner: Membership) -> None:
    client = client_of(owner)
    import_id = upload(client, "Username,Name\n=1+1,@x\nada,Ada\n").json()["importId"]
    response = client.get(f"/api/onlyfans/imports/{import_id}/errors.csv", HTTP_ACCEPT="text/csv")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == f'attachment; filename="import-{import_id}-errors.csv"'
    lines = response.content.decode("utf-8-sig").splitlines()
    assert lines[0] == f"error,as in import {import_id},Username,Name"
    assert lines[1].endswith(",'=1+1,'@x")


def test_an_unknown_import_is_a_problem_document_also_for_csv(owner: Membership) -> None:
    response = client_of(owner).get("/api/onlyfans/imports/9/errors.csv", HTTP_ACCEPT="text/csv")
    assert (response.status_code, json.loads(response.content)["code"]) == (404, "import_not_found")


EARNINGS = "Date,Gross,Net,Fan ID\n2026-06-30,10,8,7\n"


def test_transactions_are_known_in_the_preview_and_imported_as_such(owner: Membership) -> None:
    client = client_of(owner)
    file = SimpleUploadedFile("earnings.csv", EARNINGS.encode())
    found = client.post("/api/onlyfans/import/preview", {"file": file}, format="multipart").json()
    assert (found["kind"], found["mapping"]["grossCents"], found["mapping"]["feeCents"]) == ("earnings", "Gross", None)
    assert upload(client, EARNINGS).json()["code"] == "transactions_file"
    body = upload(client, EARNINGS, kind=found["kind"], mapping=json.dumps(found["mapping"])).json()
    assert (body["kind"], body["summary"]["successfulInserts"]) == ("earnings", 1)
    assert Transaction.objects.get(creator=owner.creator).net_cents == 800


def test_a_large_file_of_transactions_is_a_workers_too(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    import_id = upload(client_of(owner), EARNINGS, kind="earnings").json()["importId"]
    import_run(import_id=import_id, stopping=lambda: False)
    assert Transaction.objects.get(creator=owner.creator).net_cents == 800


def test_a_mapping_says_that_a_list_with_amounts_is_one_of_fans(owner: Membership) -> None:
    assert upload(client_of(owner), EARNINGS, mapping='{"valueCents": "Gross"}').status_code == 200
    assert Fan.objects.get().value_cents == 1_000


@pytest.mark.parametrize("mapping", ["[" * 100_000, "[" * 950 + "]" * 950, '{"handle": ' * 900 + "1" + "}" * 900])
def test_a_mapping_that_nests_without_end_is_refused(owner: Membership, mapping: str) -> None:
    answer = upload(client_of(owner), mapping=mapping)
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"mapping"}
    assert not Fan.objects.exists()
