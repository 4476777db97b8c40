"""Answers whether every row of a file is accounted for and stored once. Touches the database as the import does."""

import csv
import io
import threading
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest
import time_machine
from django.db import connections
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crm.errors import InvalidInput, TooLarge, Unreadable
from crm.models import Creator, Fan
from crm.tests.factories import CreatorFactory, FanFactory
from onlyfans import csv_workbook, payloads
from onlyfans.csv_import import fans_import, rejected_csv
from onlyfans.csv_reader import ENDS_EARLY, sheet_read
from onlyfans.models import ImportBatch, ImportStatus
from onlyfans.selectors import import_notices, import_problems, import_rejected

SAMPLES = Path(__file__).parent.parent / "samples"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen() -> object:
    """The samples' newest dates are of November 2026."""
    with time_machine.travel(datetime(2026, 11, 23, 12, tzinfo=UTC), tick=True):
        yield


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def import_text(creator: Creator, text: str, encoding: str = "utf-8", **options: object) -> ImportBatch:
    return fans_import(
        creator=creator,
        user=None,
        filename="fans.csv",
        content=text.encode(encoding),
        **options,  # type: ignore[arg-type]
    ).batch


def import_sample(creator: Creator, name: str) -> ImportBatch:
    with (SAMPLES / name).open("rb") as file:
        return fans_import(creator=creator, user=None, filename=name, content=file).batch


def counts(batch: ImportBatch) -> tuple[int, ...]:
    return (batch.inserted, batch.updated, batch.unchanged, batch.skipped, batch.rejected_rows)


@pytest.mark.parametrize(
    ("name", "rows"), [("fans_app_format.csv", 500), ("fans_vendor_like.csv", 300), ("fans_fr_cp1252.csv", 60)]
)
def test_a_clean_sample_is_taken_whole_and_again_changes_nothing(creator: Creator, name: str, rows: int) -> None:
    assert counts(import_sample(creator, name)) == (rows, 0, 0, 0, 0)
    before = list(Fan.objects.order_by("pk").values())
    assert counts(import_sample(creator, name)) == (0, 0, rows, 0, 0)
    assert list(Fan.objects.order_by("pk").values()) == before


def test_the_app_format_is_read_to_the_cent(creator: Creator) -> None:
    import_sample(creator, "fans_app_format.csv")
    fan = Fan.objects.get(platform_id="nokaya499")
    assert (fan.name, fan.email, fan.tags, fan.value_cents) == ("Noé Kaya", "", ["Basic"], 178_192)
    assert fan.last_seen_at == datetime(2026, 10, 16, tzinfo=UTC)


def test_the_vendor_sample_is_keyed_by_id(creator: Creator) -> None:
    import_sample(creator, "fans_vendor_like.csv")
    fan = Fan.objects.get(platform_id="70000000")
    assert (fan.handle, fan.value_cents, fan.last_seen_at) == ("danasmith2000", 1_331, datetime(2026, 5, 2, tzinfo=UTC))


def test_the_french_sample_is_read_in_its_own_way(creator: Creator) -> None:
    batch = import_sample(creator, "fans_fr_cp1252.csv")
    assert batch.mapping["value_cents"] == "Total dépensé"
    fan = Fan.objects.get(platform_id="caseynowak1000")
    assert (fan.value_cents, fan.last_seen_at) == (1_085, datetime(2026, 11, 20, tzinfo=UTC))
    assert fan.notes == "Aime le café\nà relancer"


DIRTY = {
    4: ("Username", "", "does not say who"),
    5: ("Email", "not-an-email", "e-mail"),
    6: ("Total Spent", "five dollars", "no amount"),
    7: ("Total Spent", "-$5.00", "negative"),
    8: ("Last Seen", "2026-13-45", "no such date"),
    10: ("Username", "=cmd|' /C calc'!A0", "no username"),
    12: ("", "", "7 cells where the header has 5"),
    13: ("Username", "multi\nline", "no username"),
    14: ("Last Seen", "2031-01-01", "future"),
    15: ("Total Spent", "$99999999999999999999", "at most"),
}


def test_the_dirty_sample_is_accounted_for_row_by_row(creator: Creator) -> None:
    batch = import_sample(creator, "fans_dirty.csv")
    assert batch.total_rows == 14
    assert counts(batch) == (3, 0, 0, 1, 10)
    problems = {problem["row"]: problem for problem in import_problems(batch)}
    assert list(problems) == list(DIRTY)
    for line, (column, value, reason) in DIRTY.items():
        assert (problems[line]["column"], problems[line]["value"]) == (column, value)
        assert reason in str(problems[line]["error"])
    assert list(import_notices(batch)) == [
        {"row": None, "sheet": "", "text": ENDS_EARLY % {"number": 1, "row": 11}},
        {"row": 2, "sheet": "", "text": "Skipped: row 9 is about the same fan, and the last one counts."},
    ]
    fans = dict(Fan.objects.values_list("handle", "value_cents"))
    assert fans == {"good1": 1_200, "good2": 123_456, "short": 0}


def test_the_rejected_rows_can_be_mended_and_imported(creator: Creator) -> None:
    batch = import_sample(creator, "fans_dirty.csv")
    text = "".join(rejected_csv(batch))
    lines = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert lines[0] == ["error", f"as in import {batch.pk}", *batch.header]
    assert [line[2] for line in lines[1:4]] == ["", "badmail", "badmoney"]
    assert "'=cmd\\|' /C calc'!A0" in text
    mended = text.replace("five dollars", "$5").replace("-$5.00", "$5.00")
    again = import_text(creator, mended)
    assert (again.total_rows, again.inserted, again.rejected_rows) == (10, 2, 8)
    assert list(import_rejected(again))[3].cells[2] == "'=cmd\\|' /C calc'!A0"
    assert "".join(rejected_csv(again)).count("error") == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_is_read_as_its_program_wrote_it(creator: Creator, encoding: str, delimiter: str) -> None:
    text = delimiter.join(["Username", "Display Name", "Notes"]) + "\r\n" + delimiter.join(["ada", "Adá", '"a\r\nb"'])
    assert import_text(creator, text, encoding).inserted == 1
    fan = Fan.objects.get()
    assert (fan.handle, fan.name, fan.notes) == ("ada", "Adá", "a\nb")


def test_rows_are_numbered_as_a_spreadsheet_numbers_them(creator: Creator) -> None:
    text = 'sep=;\n\nUsername;Notes\nada;"one\ntwo"\n\n;;;\nb c;\n"d\ne";\nf g;x'
    batch = import_text(creator, text)
    assert [problem["row"] for problem in import_problems(batch)] == [6, 7, 8]
    assert batch.total_rows == 4


def test_empty_cells_beyond_the_header_are_no_fault(creator: Creator) -> None:
    assert import_text(creator, "Username,Name\nada,Ada,,,\n").inserted == 1


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b",,\n,,\n", "empty"),
        (b"Username\n", "no_rows"),
        (b"Username,Name\n,\n", "no_rows"),
        (b"PK\x03\x04rest", "not_csv"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not_csv"),
        (bytes(range(256)), "not_csv"),
        (b"\xfe\xff\xd8\x41\x41\x41", "unknown_encoding"),
        (b"Name,Email\nAda,a@example.com\n", "no_key_column"),
        (b'Username,Notes\nada,"never closed\nb,c\n', "quote_not_closed"),
        (b'Username,Notes\nada,"' + b"x" * 200_000, "cell_too_long"),
        (b"," * 500 + b"Username\na\n", "unreadable"),
    ],
)
def test_a_file_that_is_no_list_of_fans_stores_nothing(creator: Creator, content: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        fans_import(creator=creator, user=None, filename="x", content=content)
    assert caught.value.code == code
    assert "\n" not in caught.value.detail
    assert not ImportBatch.objects.exists()


def test_a_file_over_the_limit_is_refused_before_it_is_read(creator: Creator) -> None:
    with pytest.raises(TooLarge, match="larger than 1 MB"):
        fans_import(creator=creator, user=None, filename="x", content=io.BytesIO(b"a" * 1_000_001), max_bytes=1_000_000)


def test_a_dry_run_counts_the_same_and_keeps_nothing(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="ada", handle="ada", name="")
    text = "Username,Name\nada,Ada\nbob,Bob\nbob,Bob\n"
    dry = import_text(creator, text, dry_run=True)
    assert (dry.status, Fan.objects.count(), Fan.objects.get().name) == (ImportStatus.DRY_RUN, 1, "")
    done = import_text(creator, text)
    assert counts(dry) == counts(done) == (1, 1, 0, 1, 0)
    assert list(import_notices(dry)) == list(import_notices(done)) != []


def test_a_chosen_order_of_dates_is_told(creator: Creator) -> None:
    batch = import_text(creator, "Pseudo,Vu le\nada,3/4/2026\n")
    assert batch.notices[0]["row"] is None
    assert "D/M/YYYY" in batch.notices[0]["text"]


def test_dates_that_nothing_settles_are_asked_about(creator: Creator) -> None:
    text = "Username,Last Seen\nada,3/4/2026\n"
    with pytest.raises(Unreadable, match="'Last Seen'") as caught:
        import_text(creator, text)
    assert (caught.value.code, caught.value.errors[0].field) == ("date_order_unknown", "day_first")
    assert not ImportBatch.objects.exists()
    import_text(creator, text, day_first=True)
    assert Fan.objects.get().last_seen_at == datetime(2026, 4, 3, tzinfo=UTC)


def test_what_people_wrote_here_goes_where_the_import_is_told_so(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="ada", name="My Ada", notes="mine", tags=["vip"])
    text = "Fan ID,Name,Notes,Tags\n7,Their Ada,,basic\n"
    assert counts(import_text(creator, text, overwrite=["name", "notes"])) == (0, 1, 0, 0, 0)
    fan = Fan.objects.get()
    assert (fan.name, fan.notes, fan.tags) == ("Their Ada", "mine", ["vip"])
    assert counts(import_text(creator, text, overwrite=["tags"])) == (0, 1, 0, 0, 0)
    assert Fan.objects.get().tags == ["basic"]
    with pytest.raises(InvalidInput):
        import_text(creator, text, overwrite=["value_cents"])


def workbook(*rows: tuple[object, ...]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(["About this file"])
    sheet = book.create_sheet("Fans")
    for row in rows:
        sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def test_a_workbook_is_read_like_a_file_of_text(creator: Creator) -> None:
    content = workbook(
        ("Username", "Name", "Total Spent", "Last Seen"),
        ("ada", "=1+1 Ada", 0.1 + 0.2, datetime(2026, 10, 2, 13, 5)),  # noqa: DTZ001  workbooks know no time zones
        (None, None, None, None),
        ("b b", None, 5, None),
    )
    batch = fans_import(creator=creator, user=None, filename="fans.xlsx", content=content).batch
    assert counts(batch) == (1, 0, 0, 0, 1)
    assert [problem["row"] for problem in import_problems(batch)] == [4]
    assert Fan.objects.values_list("value_cents", "last_seen_at").get() == (
        30,
        datetime(2026, 10, 2, 13, 5, tzinfo=UTC),
    )


def test_a_workbook_that_unpacks_to_far_too_much_is_refused(creator: Creator) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/workbook.xml", "w") as member:
        for _ in range(csv_workbook.UNPACKED_MAX_BYTES // 10_000_000 + 1):
            member.write(bytes(10_000_000))
    with pytest.raises(Unreadable, match="unpacks to more than") as caught:
        fans_import(creator=creator, user=None, filename="fans.xlsx", content=file.getvalue())
    assert caught.value.code == "workbook_too_large"


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("xl/sharedStrings.xml", "<sst>" + "<si><t>ab</t></si>" * 20 + "</sst>"),
        ("anything", "<sst>" + "<a/>" * 40 + "</sst>"),
        ("xl/worksheets/sheet1.xml", "<worksheet>" + "<row/><a/>" * 20 + "</worksheet>"),
        ("xl/worksheets/sheet1.xml", "<worksheet><x:row xmlns:x='x'>" + '<a b="" c=""/>' * 14 + "</x:row></worksheet>"),
    ],
)
def test_a_small_workbook_that_would_fill_the_memory_is_refused(
    creator: Creator, monkeypatch: pytest.MonkeyPatch, member: str, content: str
) -> None:
    monkeypatch.setattr(csv_workbook, "PIECES_MAX", 38)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr(member, content)
    with pytest.raises(Unreadable, match="more parts"):
        fans_import(creator=creator, user=None, filename="fans.xlsx", content=file.getvalue())


def test_a_workbook_may_have_any_number_of_rows(creator: Creator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_workbook, "PIECES_MAX", 3_000)
    content = workbook(("Username", "Display Name"), *((f"fan{n}", "Ada") for n in range(900)))
    assert fans_import(creator=creator, user=None, filename="fans.xlsx", content=content).batch.inserted == 900


def test_a_mapping_reads_headers_that_say_nothing(creator: Creator) -> None:
    batch = import_text(creator, "Who,Worth\nada,12\n", mapping={"handle": "Who", "value_cents": "Worth"})
    assert batch.mapping == {"handle": "Who", "value_cents": "Worth"}
    assert Fan.objects.get().value_cents == 1_200


def test_a_file_with_ids_finds_the_fan_that_came_by_handle(creator: Creator) -> None:
    import_text(creator, "Username,Total Spent\n@Ada,$5\n")
    fan = Fan.objects.get()
    batch = import_text(creator, "Fan ID,Username,Total Spent\n7,Ada,$6\n")
    assert counts(batch) == (0, 1, 0, 0, 0)
    assert Fan.objects.values_list("pk", "platform_id", "handle", "value_cents").get() == (fan.pk, "7", "ada", 600)


def test_a_file_with_handles_finds_the_fan_whose_id_is_known(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", handle="Ada", name="")
    batch = import_text(creator, "Username,Name\n@ADA,Ada L\n")
    assert counts(batch) == (0, 1, 0, 0, 0)
    assert Fan.objects.values_list("pk", "platform_id", "handle", "name").get() == (fan.pk, "7", "Ada", "Ada L")


def test_a_file_that_names_a_fan_by_id_and_by_handle_stores_one(creator: Creator) -> None:
    batch = import_text(creator, "Fan ID,Username,Total Spent\n7,ada,$1\n,ada,$2\n")
    assert counts(batch) == (1, 0, 0, 1, 0)
    assert Fan.objects.values_list("platform_id", "value_cents").get() == ("7", 200)


def test_what_people_wrote_here_stays(creator: Creator) -> None:
    FanFactory.create(
        creator=creator,
        platform_id="7",
        handle="ada",
        name="My Ada",
        email="a@example.com",
        tags=["vip"],
        notes="mine",
        value_cents=900,
        last_seen_at=datetime(2026, 11, 1, tzinfo=UTC),
    )
    header = "Fan ID,Username,Name,Email,Tags,Notes,Total Spent,Last Seen\n"
    batch = import_text(creator, f"{header}7,ada2,Other,o@example.com,basic,theirs,$8,2026-10-01\n")
    assert counts(batch) == (0, 1, 0, 0, 0)
    fan = Fan.objects.get()
    assert (fan.name, fan.email, fan.tags, fan.notes) == ("My Ada", "a@example.com", ["vip"], "mine")
    # The handle and the value follow the file; the day never goes back.
    assert (fan.handle, fan.value_cents, fan.last_seen_at) == ("ada2", 800, datetime(2026, 11, 1, tzinfo=UTC))


def test_an_empty_cell_changes_nothing(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="ada", value_cents=900)
    assert counts(import_text(creator, "Fan ID,Total Spent,Last Seen\n7,,—\n")) == (0, 0, 1, 0, 0)
    assert Fan.objects.get().value_cents == 900


def test_creators_do_not_share_fans(creator: Creator) -> None:
    other = CreatorFactory.create()
    import_text(creator, "Username\nada\n")
    assert import_text(other, "Username\nada\n").inserted == 1
    assert Fan.objects.filter(creator=creator).count() == Fan.objects.filter(creator=other).count() == 1


def test_the_name_of_the_file_is_kept_without_its_folders(creator: Creator) -> None:
    batch = fans_import(creator=creator, user=None, filename="C:\\x\\a\x00b.csv", content=b"Username\nada\n").batch
    assert batch.filename == "ab.csv"


@settings(max_examples=500, deadline=None)  # the first one imports Arrow
@given(st.text(alphabet=',"\n xy', max_size=25))
@example('x","\nx')
def test_every_text_is_split_as_the_csv_module_splits_it(text: str) -> None:
    text = f"username,b\n{text}"
    try:
        with sheet_read(text.encode(), recognised=payloads.headers_known) as sheet:
            found = [
                (raw, position in chunk.ragged)
                for chunk in sheet.chunks()
                for position, raw in enumerate(chunk.raw(range(len(chunk.lines))))
            ]
    except Unreadable as error:
        assert error.code in {"no_rows", "quote_not_closed"}  # noqa: PT017
        return
    records = [record for record in csv.reader(io.StringIO(text, newline="")) if any(map(str.strip, record))][1:]
    assert len(found) == sheet.rows == len(records)
    for record, (raw, ragged) in zip(records, found, strict=True):
        assert raw == (record if ragged else [cell.strip() for cell in (*record, "")[:2]])


@pytest.mark.django_db(transaction=True)
def test_two_imports_at_once_store_every_fan_once() -> None:
    creator = CreatorFactory.create()
    # Opposite orders would deadlock without the lock.
    names = [f"fan{number}" for number in range(2_000)]
    ready = threading.Barrier(4)
    results: list[ImportBatch] = []
    errors: list[Exception] = []

    def run(order: list[str]) -> None:
        try:
            ready.wait()
            results.append(import_text(creator, "\n".join(["Username,Name", *(f"{name},{name}" for name in order)])))
        except Exception as error:  # a thread cannot fail the test by itself
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(names[:: 1 if number % 2 else -1],)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(counts(batch) for batch in results) == [(0, 0, 2_000, 0, 0)] * 3 + [(2_000, 0, 0, 0, 0)]
    assert Fan.objects.count() == 2_000
