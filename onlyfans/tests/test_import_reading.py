"""Whether every door says how a file was read, lets a person say it, and reads mended rows as the others were."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from crm.models import Creator, Fan, Role, Transaction
from crm.tests.factories import CreatorFactory, MembershipFactory
from onlyfans import csv_reader
from onlyfans.csv_import import fans_import, file_preview, rejected_csv
from onlyfans.csv_layout import Layout
from onlyfans.earnings_import import earnings_import
from onlyfans.import_jobs import import_run, import_soon
from onlyfans.models import ImportBatch, ImportKind
from onlyfans.selectors import import_notices, import_problems

FILES = Path(__file__).parent / "files"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen() -> object:
    with time_machine.travel(datetime(2026, 11, 30, 12, tzinfo=UTC), tick=True):
        yield


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


@pytest.fixture
def api(creator: Creator) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(creator=creator, role=Role.OWNER).user)
    return client


def fans(creator: Creator, text: str, **options: object) -> ImportBatch:
    content = text.encode()
    return fans_import(creator=creator, user=None, filename="f.csv", content=content, **options).batch  # type: ignore[arg-type]


def money(creator: Creator, text: str, **options: object) -> ImportBatch:
    content = text.encode()
    return earnings_import(creator=creator, user=None, filename="e.csv", content=content, **options)  # type: ignore[arg-type]


def texts(batch: ImportBatch) -> str:
    return " ".join(str(notice["text"]) for notice in import_notices(batch))


def upload(name: str, text: str | bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, text.encode() if isinstance(text, str) else text)


def test_mended_rows_are_read_with_the_decimal_comma_of_their_file(creator: Creator) -> None:
    batch = fans(creator, 'Username,Total Spent,Email\nada,"1.250,00",\nbo,2.500,not-an-address\n')
    again = fans(creator, "".join(rejected_csv(batch)).replace("not-an-address", "bo@example.com"))
    assert (again.inserted, again.rejected_rows) == (1, 0)
    assert Fan.objects.get(handle="bo").value_cents == 250_000
    assert f"rejected rows of import {batch.pk}" in texts(again)


def test_mended_rows_are_read_with_the_columns_and_dates_of_their_import(creator: Creator) -> None:
    text = "Who,Money,Mail,Seen\nada,5.00,ada@example.com,3/4/2026\nbo,6.00,wrong,5/6/2026\n"
    mapping = {"handle": "Who", "value_cents": "Money", "email": "Mail", "last_seen_at": "Seen"}
    batch = fans(creator, text, mapping=mapping, day_first=True)
    mended = "".join(rejected_csv(batch)).replace("wrong", "bo@example.com")
    preview = file_preview(creator=creator, content=mended.encode())
    assert preview.mapping["value_cents"] == "Money"
    assert fans(creator, mended).inserted == 1
    fan = Fan.objects.get(handle="bo")
    assert (fan.value_cents, fan.last_seen_at) == (600, datetime(2026, 6, 5, tzinfo=UTC))


def test_mended_transactions_are_known_as_such_and_read_as_the_others(creator: Creator) -> None:
    text = "When;Brutto;Gebühr;Netto\n13.11.2026 10:00;20,00;4,00;16,00\n05.11.2026 10:00;2.000;400;wrong\n"
    batch = money(creator, text, mapping={
        "occurred_at": "When", "gross_cents": "Brutto", "fee_cents": "Gebühr", "net_cents": "Netto"
    })  # fmt: skip
    mended = "".join(rejected_csv(batch)).replace("wrong", "1.600")
    assert file_preview(creator=creator, content=mended.encode()).kind is ImportKind.EARNINGS
    assert money(creator, mended).inserted == 1
    found = Transaction.objects.order_by("occurred_at").first()
    assert found is not None
    assert (found.gross_cents, found.net_cents, found.occurred_at.day) == (200_000, 160_000, 5)


def test_rejected_rows_of_another_creator_are_any_file(creator: Creator) -> None:
    batch = fans(creator, 'Username,Total Spent,Email\nbo,2.500,wrong\nada,"1,5",\n')
    stranger = CreatorFactory.create()
    again = fans(stranger, "".join(rejected_csv(batch)).replace("wrong", ""))
    assert "rejected rows of import" not in texts(again)


def test_a_file_of_rejected_rows_names_its_import_once(creator: Creator) -> None:
    batch = fans(creator, "Username,Email\nbo,wrong\n")
    again = fans(creator, "".join(rejected_csv(batch)))
    header, row = list(csv.reader(io.StringIO("".join(rejected_csv(again)).removeprefix("\ufeff"))))
    assert header == ["error", f"as in import {again.pk}", "Username", "Email"]
    assert row[1:] == ["", "bo", "wrong"]
    assert again.contents["leftOut"] == []


def test_what_cannot_be_seen_of_a_value_is_shown(creator: Creator) -> None:
    batch = fans(creator, "Username,Email\nada,a\u2060da@example.com\u200b.\x07\n")
    [problem] = import_problems(batch)
    assert problem["value"] == "a\\u2060da@example.com\\u200b.\\u0007"
    text = "".join(rejected_csv(batch))
    assert "(a\\u2060da@" in text
    assert "a\u2060da@" in text


def test_columns_that_were_not_read_are_told(creator: Creator) -> None:
    batch = fans(creator, "Username,Shoe Size,,\nada,38,,x\n")
    assert batch.contents["leftOut"] == ["Shoe Size", "(D)"]
    assert "not read: Shoe Size, (D)." in texts(batch)


def test_the_sums_are_told_by_month_and_currency(creator: Creator) -> None:
    header = "Date,Gross,Fee,Net,Currency"
    rows = ["2026-11-01 10:00,20,4,16,USD", "2026-11-02 10:00,5,1,4,USD", "2026-11-02 11:00,7,1,6,EUR",
            "2026-10-31 10:00,1,0,1,USD", "2026-10-31 10:00,wrong,0,1,USD"]  # fmt: skip
    batch = money(creator, "\n".join([header, *rows]) + "\n", dry_run=True)
    assert [(s["month"], s["currency"], s["rows"], s["grossCents"], s["netCents"]) for s in batch.contents["sums"]] == [
        ("2026-11", "EUR", 1, 700, 600), ("2026-11", "USD", 2, 2_500, 2_000), ("2026-10", "USD", 1, 100, 100)
    ]  # fmt: skip
    assert fans(creator, "Username,Total Spent\nada,5\nbo,\ncy,2.50\n").contents["sums"] == [
        {"month": None, "currency": "USD", "rows": 2, "valueCents": 750}
    ]


def test_rows_of_the_second_sheet_are_told_with_it(creator: Creator) -> None:
    content = (FILES / "workbook_two_sheets_of_fans.xlsx").read_bytes()
    batch = fans_import(creator=creator, user=None, filename="w.xlsx", content=content).batch
    assert (batch.inserted, batch.reading["sheetsRead"]) == (3, ["October", "November"])
    one = fans_import(
        creator=creator,
        user=None,
        filename="w.xlsx",
        content=content,
        mapping={"handle": "Display Name", "email": "Username"},
    ).batch
    assert [(p["row"], p["sheet"]) for p in import_problems(one)] == [(2, "October"), (2, "November"), (3, "November")]


def test_the_api_takes_what_the_file_leaves_open(api: APIClient) -> None:
    name = "fans_without_a_header.csv"
    content = (FILES / name).read_bytes()
    answer = api.post("/api/onlyfans/import/csv", {"file": upload(name, content)}, format="multipart")
    assert (answer.status_code, answer.json()["code"]) == (422, "no_header")
    mapping = json.dumps({"handle": "Column 1", "name": "Column 2", "valueCents": "Column 3"})
    asked: dict[str, Any] = {"file": upload(name, content), "mapping": mapping, "headerRow": "0", "dryRun": "true"}
    answer = api.post("/api/onlyfans/import/csv", asked, format="multipart")
    body = answer.json()
    assert (answer.status_code, body["summary"]["successfulInserts"]) == (200, 2)
    assert body["reading"]["headerRow"] == 0
    assert body["contents"] == {
        "leftOut": ["Column 4"],
        "sums": [{"month": None, "currency": "USD", "rows": 2, "grossCents": None, "feeCents": None, "netCents": None,
                  "valueCents": 1_950}],
    }  # fmt: skip


def test_a_choice_that_does_not_fit_is_named(api: APIClient) -> None:
    for wrong in ({"encoding": "utf-9"}, {"headerRow": "7"}, {"decimalMark": ";"}, {"delimiter": "ab"}):
        asked = {"file": upload("f.csv", "Username,Name\nada,Ada\n"), **wrong}
        answer = api.post("/api/onlyfans/import/csv", asked, format="multipart")
        assert answer.status_code == 400, answer.content
        assert next(iter(wrong)) in answer.content.decode()


def test_the_preview_says_how_the_file_was_read(api: APIClient) -> None:
    name = "fans_utf8_with_one_foreign_byte.csv"
    asked = {"file": upload(name, (FILES / name).read_bytes())}
    body = api.post("/api/onlyfans/import/preview", asked, format="multipart").json()
    assert (body["layout"]["encoding"], body["layout"]["encodingCertain"], body["layout"]["headerRow"]) == (
        "utf-8",
        False,
        1,
    )
    assert "cp1250" in body["layout"]["encodings"]
    assert "cp1252" in body["notices"][0]
    asked = {"file": upload(name, (FILES / name).read_bytes()), "encoding": "cp1250"}
    body = api.post("/api/onlyfans/import/preview", asked, format="multipart").json()
    assert body["firstRows"][0][1] == "ZoĂ«"


def test_the_command_says_how_the_file_was_read(
    creator: Creator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fans.csv"
    path.write_text("A list\n\nUsername^Total Spent\nada^1.234\n")
    call_command(
        "import_fans", str(path), "--creator", str(creator.pk), "--dry-run", "--delimiter", "^", "--decimal-mark", ","
    )
    out = capsys.readouterr().out
    assert "header in row 3" in out
    assert "Sum: USD value 1,234.00" in out


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("ZoÃ«", "Zoë"), ("Adčle", "Adèle"), ("Áîðèñ", "Борис"), ("Ren?", "René"), ("Ada", "Adá"), ("Zo", "Zoë")],
)
def test_a_later_right_file_mends_names_that_were_misread_and_no_others(
    creator: Creator, wrong: str, right: str
) -> None:
    fans(creator, f"Username,Name\nada,{wrong}\nbo,Bo\n")
    later = fans(creator, f"Username,Name\nada,{right}\nbo,Beau\n")
    names = dict(Fan.objects.values_list("handle", "name"))
    mended = right if wrong not in ("Ada", "Zo") else wrong
    assert names == {"ada": mended, "bo": "Bo"}
    assert later.updated == (mended == right)


def test_the_page_reads_an_upload_once(creator: Creator, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    spooled = csv_reader._spooled
    monkeypatch.setattr(csv_reader, "_spooled", lambda *asked: read.append(asked) or spooled(*asked))
    client.force_login(MembershipFactory.create(creator=creator, role=Role.OWNER).user)
    answer = client.post("/platforms/onlyfans/import", {"file": upload("f.csv", "Username\nada\n")}, follow=True)
    assert (answer.status_code, len(read), Fan.objects.count()) == (200, 1, 1)
    assert "What the file says" in answer.content.decode()


def test_a_job_reads_its_file_as_it_was_asked(creator: Creator, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 10
    content = io.BytesIO("A list\nof fans\nUsername|Total Spent\nada|1.234\n".encode("utf-16-le"))
    batch = import_soon(
        creator=creator, user=None, filename="f.csv", content=content, kind=ImportKind.FANS, decimal_mark=",",
        layout=Layout(header_row=3, encoding="utf-16-le", delimiter="|"),
    )  # fmt: skip
    import_run(import_id=batch.pk, stopping=lambda: False)
    batch.refresh_from_db()
    assert (batch.status, batch.reading["headerRow"], Fan.objects.get().value_cents) == ("done", 3, 123_400)
