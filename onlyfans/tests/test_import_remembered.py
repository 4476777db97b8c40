"""Answers whether a file is read as the last one with its columns, and whether that is told. Touches the database."""

import json
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.utils.translation import override
from rest_framework.test import APIClient

from crm import stored_words
from crm.errors import Unreadable
from crm.models import Creator, Fan, Membership, Role
from crm.tests.factories import CreatorFactory, FanFactory, MembershipFactory
from onlyfans import csv_choices
from onlyfans.csv_import import fans_import, file_preview
from onlyfans.earnings_import import earnings_import
from onlyfans.import_services import import_undo
from onlyfans.models import ImportBatch, ImportKind

pytestmark = pytest.mark.django_db
HEADER = "Who,Name,Last Seen\n"
MAPPING = {"handle": "Who", "name": None}


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def imported(creator: Creator, text: str = HEADER + "ada,Ada,3/4/2026\n", **options: Any) -> ImportBatch:
    return fans_import(creator=creator, user=None, filename="f.csv", content=text.encode(), **options).batch


def texts(batch: ImportBatch) -> str:
    return " ".join(notice["text"] for notice in batch.notices)


def test_columns_and_the_order_of_dates_are_as_the_last_time(creator: Creator) -> None:
    first = imported(creator, mapping=MAPPING, day_first=True)
    again = imported(creator, HEADER + "bob,Bob,5/6/2026\n", remembered=True)
    assert (again.mapping, again.day_first) == (first.mapping, True)
    assert str(Fan.objects.get(handle="bob").last_seen_at)[:10] == "2026-06-05"
    assert Fan.objects.get(handle="bob").name == ""
    assert (
        f"As in the import of 'f.csv' on {first.created_at:%Y-%m-%d}, columns are read as somebody chose: 'Who'."
        in (texts(again))
    )
    assert "these are left out: Name." in texts(again)
    assert "as in the last import" in texts(again)
    assert imported(creator, HEADER + "eve,Eve,5/6/2026\n", remembered=True).day_first is True


def test_the_dates_in_the_file_count_more(creator: Creator) -> None:
    imported(creator, mapping=MAPPING, day_first=True)
    assert imported(creator, HEADER + "bob,Bob,5/16/2026\n", remembered=True).rejected_rows == 0
    assert str(Fan.objects.get(handle="bob").last_seen_at)[:10] == "2026-05-16"


def test_what_is_given_counts_more(creator: Creator) -> None:
    imported(creator, mapping=MAPPING, overwrite=["tags"], day_first=True)
    batch = imported(creator, mapping={"handle": "Who"}, overwrite=[], day_first=False, remembered=True)
    assert (batch.mapping["name"], batch.overwrite, batch.day_first) == ("Name", [], False)
    assert texts(batch) == ""


def test_fields_are_overwritten_again_and_that_is_told(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="ada", handle="ada", name="Mine")
    imported(creator, "Username,Name\nbob,Bob\n", overwrite=["name"])
    batch = imported(creator, "Username,Name\nada,Theirs\n", remembered=True)
    assert Fan.objects.get(handle="ada").name == "Theirs"
    assert "the file overwrites: Name." in texts(batch)


def test_nothing_is_taken_unasked_but_it_is_told(creator: Creator) -> None:
    imported(creator, "Username,Nom\nada,Ada\n", mapping={"name": None})
    batch = imported(creator, "Username,Nom\nada,Ada\n", dry_run=True)
    assert batch.mapping["name"] == "Nom"
    assert "these were left out: Name; ask for it with `remembered`" in texts(batch)


@pytest.mark.parametrize("kind", ["dry run", "undone", "other columns", "other creator"])
def test_only_a_kept_import_of_the_same_columns_by_this_creator_is_remembered(creator: Creator, kind: str) -> None:
    other = CreatorFactory.create() if kind == "other creator" else creator
    text = (HEADER if kind != "other columns" else "Who,Last Seen,Name\n") + "ada,,\n"
    batch = imported(other, text, mapping=MAPPING, dry_run=kind == "dry run")
    if kind == "undone":
        import_undo(batch=batch)
    with pytest.raises(Unreadable, match="No column says who"):
        imported(creator, remembered=True)
    assert file_preview(creator=creator, content=f"{HEADER}ada,,\n".encode()).remembered is None


def preview(client: APIClient, content: bytes) -> Any:
    return client.post(
        "/api/onlyfans/import/preview", {"file": SimpleUploadedFile("f.csv", content)}, format="multipart"
    )


def client_of(membership: Membership) -> APIClient:
    client = APIClient()
    client.force_authenticate(membership.user)
    return client


def test_a_preview_shows_the_first_rows_and_guesses_and_stores_nothing() -> None:
    body = preview(client_of(MembershipFactory.create()), b"Username;Worth\n" + b"ada;5\n" * 9).json()
    assert (body["header"], body["totalRows"], body["firstRows"]) == (["Username", "Worth"], 9, [["ada", "5"]] * 5)
    assert (body["mapping"]["handle"], body["mapping"]["valueCents"]) == ("Username", None)
    assert (body["overwrite"], body["remembered"]) == ([], None)
    assert not ImportBatch.objects.exists()


def test_a_preview_without_a_known_column_still_shows_the_file() -> None:
    body = preview(client_of(MembershipFactory.create()), b"a,b\n1,2,3\n").json()
    assert set(body["mapping"].values()) == {None}
    assert body["firstRows"] == [["1", "2", "3"]]


def test_a_preview_proposes_what_was_chosen_and_its_answer_can_be_sent_back() -> None:
    membership = MembershipFactory.create()
    batch = imported(membership.creator, mapping=MAPPING, overwrite=["notes"], day_first=True)
    body = preview(client_of(membership), f"{HEADER}bob,Bob,\n".encode()).json()
    assert (body["mapping"]["handle"], body["mapping"]["name"], body["overwrite"]) == ("Who", None, ["notes"])
    assert body["remembered"]["importId"] == batch.pk
    file = SimpleUploadedFile("f.csv", f"{HEADER}bob,Bob,5/6/2026\n".encode())
    fields = {"mapping": json.dumps(body["mapping"]), "overwrite": "notes", "remembered": "true"}
    result = client_of(membership).post("/api/onlyfans/import/csv", {"file": file, **fields}, format="multipart").json()
    assert result["mapping"] == {"handle": "Who", "lastSeenAt": "Last Seen"}
    assert Fan.objects.get(handle="bob").last_seen_at.month == 6  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [(b"", 422, "empty"), (b"\x00\x01", 422, "not_csv"), (b"a" * 2_000, 413, "file_too_large")],
)
def test_a_preview_tells_what_is_wrong_with_the_file(settings: Any, content: bytes, status: int, code: str) -> None:
    settings.IMPORT_MAX_BYTES = 1_000
    response = preview(client_of(MembershipFactory.create()), content)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_a_teammate_who_may_not_import_and_a_stranger_see_no_preview() -> None:
    owner = MembershipFactory.create()
    imported(owner.creator, HEADER + "ada,,\n", mapping=MAPPING)
    chatter = MembershipFactory.create(creator=owner.creator, role=Role.CHATTER)
    assert preview(client_of(chatter), b"Username\nada\n").status_code == 403
    stranger = client_of(MembershipFactory.create())
    assert preview(stranger, f"{HEADER}ada,,\n".encode()).json()["remembered"] is None
    stranger.credentials(HTTP_X_CREATOR=str(owner.creator_id))
    assert preview(stranger, b"Username\nada\n").status_code == 404


def test_the_command_asks_for_it_by_an_option(creator: Creator, tmp_path: Path) -> None:
    imported(creator, mapping=MAPPING, day_first=True)
    file = tmp_path / "fans.csv"
    file.write_text(f"{HEADER}bob,Bob,5/6/2026\n")
    out = StringIO()
    call_command("import_fans", str(file), "--creator", str(creator.pk), "--remembered", stdout=out, no_color=True)
    assert "1 inserted" in out.getvalue()
    assert "columns are read as somebody chose: 'Who'" in out.getvalue()


def test_columns_of_transactions_are_remembered_too(creator: Creator) -> None:
    content = b"Day,Before,After\n2026-06-30,10.00,8.00\n"
    assert file_preview(creator=creator, content=content).kind == ImportKind.FANS
    asked = file_preview(creator=creator, content=content, kind=ImportKind.EARNINGS)
    assert (asked.kind, asked.mapping["gross_cents"], asked.remembered) == (ImportKind.EARNINGS, None, None)
    mapping = {"occurred_at": "Day", "gross_cents": "Before", "net_cents": "After"}
    earnings_import(creator=creator, user=None, filename="e.csv", content=content, mapping=mapping)
    again = file_preview(creator=creator, content=content)
    assert again.kind == ImportKind.EARNINGS
    assert {name: column for name, column in again.mapping.items() if column} == mapping


def test_what_was_as_before_is_told_in_the_readers_language() -> None:
    catalogue = {csv_choices.LEFT_OUT: "Comme %(file)s du %(day)s : sans %(fields)s.", "Name": "Nom", "Notes": "Notes"}
    told = csv_choices.LEFT_OUT % {"file": "'f.csv'", "day": "2026-11-01", "fields": "Name, Notes"}
    with override("fr"), patch.object(stored_words, "gettext", lambda text: catalogue.get(text, text)):
        assert stored_words.in_words(told) == "Comme 'f.csv' du 2026-11-01 : sans Nom, Notes."


def test_a_preview_is_of_the_kind_that_is_asked_for() -> None:
    client = client_of(MembershipFactory.create())
    upload = SimpleUploadedFile("f.csv", b"Date,Gross,Net,Fan ID\n2026-06-30,10,8,7\n")
    body = client.post("/api/onlyfans/import/preview", {"file": upload, "kind": "fans"}, format="multipart").json()
    assert (body["kind"], body["mapping"]["platformId"]) == ("fans", "Fan ID")
