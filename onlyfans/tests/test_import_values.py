"""Whether ids, money and dates mean what they did before a spreadsheet had them, in files of fans and transactions."""

import io
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from crm.errors import Unreadable
from crm.models import Creator, Fan, Transaction
from crm.tests.factories import CreatorFactory, FanFactory
from onlyfans.csv_import import fans_import
from onlyfans.earnings_import import earnings_import
from onlyfans.import_services import import_undo
from onlyfans.models import ImportBatch

pytestmark = pytest.mark.django_db
# Files as their writers left them: SheetJS 0.20, polars 1.x through XlsxWriter, LibreOffice 24.
TRIALS = Path(__file__).parent / "trials"
HEADER = "transaction_id,created_at,type,amount,fee_amount,net_amount,fan_name"
PLAIN = "DateTime,Gross,OF Fee,Net,Type,Display Name"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create(name="Nora")


def earnings(creator: Creator, *content: str | bytes, **choices: Any) -> ImportBatch:
    [first, *more] = content
    data = first if isinstance(first, bytes) else "\n".join([first, *map(str, more), ""]).encode()
    return earnings_import(creator=creator, user=None, filename="e", content=data, **choices)


def fans(creator: Creator, *content: str | bytes, **choices: Any) -> ImportBatch:
    [first, *more] = content
    data = first if isinstance(first, bytes) else "\n".join([first, *map(str, more), ""]).encode()
    return fans_import(creator=creator, user=None, filename="f", content=data, **choices).batch


def workbook(header: list[str], *rows: list[Any], formats: dict[str, str] | None = None) -> bytes:
    """With number formats by the header of their column."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(header)
    for row in rows:
        sheet.append(row)
    for name, code in (formats or {}).items():
        for cell in next(sheet.iter_cols(min_col=header.index(name) + 1, max_col=header.index(name) + 1, min_row=2)):
            cell.number_format = code
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def counts(batch: ImportBatch) -> tuple[int, ...]:
    return (batch.inserted, batch.updated, batch.unchanged, batch.skipped, batch.rejected_rows)


def problems(batch: ImportBatch) -> str:
    return " ".join(str(problem) for row in batch.rows.all() for problem in row.problems)


def money() -> list[tuple[Any, ...]]:
    fields = ("occurred_at", "gross_cents", "fee_cents", "net_cents", "currency", "status")
    return [(f"{when:%F %T}", *rest) for when, *rest in Transaction.objects.order_by("pk").values_list(*fields)]


def notices(batch: ImportBatch) -> str:
    return " ".join(str(notice["text"]) for notice in batch.notices)


# --- Identities ---


@pytest.mark.parametrize(
    "text", ["8123456789.0", "'8123456789", '"=""8123456789"""', "8.123456789E+09", '"8,123,456,789"']
)
def test_an_id_that_a_spreadsheet_had_is_recovered_where_that_is_certain(creator: Creator, text: str) -> None:
    earnings(creator, HEADER, "8123456789,2026-11-01 10:00:05,tip,10.00,2.00,8.00,Ada")
    again = earnings(creator, HEADER, f"{text},2026-11-01 10:00:05,tip,10.0,2,8,Ada")
    assert counts(again) == (0, 0, 1, 0, 0)
    assert Transaction.objects.get().platform_transaction_id == "8123456789"


@pytest.mark.parametrize(
    "text", ["1.23457E+16", "1.23456789012346E+016", "1,23457E+16", "12345678901234600", "12345678901234567.0", "1E+05"]
)
def test_an_id_that_was_rounded_is_refused(creator: Creator, text: str) -> None:
    rows = [f'"{text}",2026-10-0{day} 10:00:00,tip,{day}0.00,2.00,,Ada' for day in (1, 2, 3)]
    batch = earnings(creator, HEADER, *rows)
    assert counts(batch) == (0, 0, 0, 0, 3)
    assert "rounded this id" in problems(batch)


@pytest.mark.parametrize("text", ["68P22", "12E45", "e7", "tx_1", "0x1F"])
def test_an_id_of_letters_stays_as_it_is(creator: Creator, text: str) -> None:
    assert counts(earnings(creator, HEADER, f"{text},2026-10-01 10:00:00,tip,10.00,2.00,,Ada")) == (1, 0, 0, 0, 0)
    assert Transaction.objects.get().platform_transaction_id == text


def test_long_ids_of_which_one_does_not_end_in_zeros_were_not_rounded(creator: Creator) -> None:
    rows = [f"{number},2026-10-01 10:00:00,tip,10.00,2.00,,Ada" for number in (12345678901234600, 12345678901234567)]
    assert counts(earnings(creator, HEADER, *rows)) == (2, 0, 0, 0, 0)


@pytest.mark.parametrize("name", ["earnings_ids_as_numbers_by_polars", "earnings_ids_as_numbers_by_sheetjs"])
def test_a_number_cell_of_more_than_fifteen_digits_is_no_transaction(creator: Creator, name: str) -> None:
    batch = earnings(creator, (TRIALS / f"{name}.xlsx").read_bytes())
    assert batch.inserted == 0
    assert "rounded this id" in problems(batch)


def test_a_number_cell_of_more_than_fifteen_digits_is_no_fan(creator: Creator) -> None:
    fans(creator, (TRIALS / "fans_17_digit_ids_by_sheetjs.xlsx").read_bytes())
    assert not Fan.objects.exists()
    fans(creator, (TRIALS / "workbook_17_digit_id_as_number.xlsx").read_bytes())
    assert set(Fan.objects.values_list("platform_id", flat=True)) >= {"80000001", "80000003"}
    assert not Fan.objects.filter(handle="ada_k").exists()


def test_guards_against_spreadsheets_are_no_part_of_a_fan(creator: Creator) -> None:
    fans(
        creator, "Fan ID,Username,Display Name,Total Spent", "'12345678901234567,ada_k,'Ada,12.50",
        "'00123,bo.w,O'Neil,'7.00", '"=""98765432101234567""",cy_3,\'t Hooft,3',
    )  # fmt: skip
    assert list(Fan.objects.order_by("handle").values_list("platform_id", "name", "value_cents")) == [
        ("12345678901234567", "Ada", 1_250),
        ("123", "O'Neil", 700),
        ("98765432101234567", "'t Hooft", 300),
    ]


def test_what_a_spreadsheet_made_of_a_name_is_refused(creator: Creator) -> None:
    batch = fans(creator, (TRIALS / "fans_usernames_turned_to_dates.xlsx").read_bytes())
    assert (list(Fan.objects.values_list("handle", flat=True)), batch.rejected_rows) == (["bo"], 2)
    batch = fans(creator, "Username,Name,Tags", "ada,#REF!,", "cy,Cy,#NAME?", "di,Di,2026-05-01", "el,#N/A,vip")
    assert batch.rejected_rows == 3
    assert Fan.objects.get(handle="el").tags == ["vip"]


@pytest.mark.parametrize(
    "text", ["\u200bada_k", "ada_k\u200e", "\u202aada_k\u202c", "\u00a0ada_k\u00a0", "\ufeffada_k"]
)
def test_what_cannot_be_seen_is_no_part_of_a_username(creator: Creator, text: str) -> None:
    fans(creator, "Name,Username", f"Ada\u200b,{text}")
    assert Fan.objects.values_list("handle", "name").get() == ("ada_k", "Ada")


@pytest.mark.parametrize(
    "text",
    [
        '{vip,"big spender"}',
        "[vip, big spender]",
        '["vip","big spender"]',
        "['vip', 'big spender']",
        "['vip' 'big spender']",
    ],
)
def test_tags_are_read_from_arrays(creator: Creator, text: str) -> None:
    quoted = text.replace('"', '""')
    fans(creator, "Username,Tags", f'ada,"{quoted}"', "bo,{}", "cy,[]")
    assert list(Fan.objects.order_by("handle").values_list("tags", flat=True)) == [["vip", "big spender"], [], []]


# --- Money counted once ---


def test_money_saved_again_without_seconds_or_ids_is_counted_once(creator: Creator) -> None:
    rows = [
        "2026-11-14 10:00:05,10.00,2.00,8.00,tip,Ada",
        "2026-11-15 11:00:36,20.00,4.00,16.00,tip,Bo",
        "2026-11-15 11:00:36,20.00,4.00,16.00,tip,Bo",
    ]
    earnings(creator, PLAIN, *rows)
    before = money()
    cut = ["11/14/2026 10:00,10,2,8,tip,Ada", "11/15/2026 11:00,20,4,16,tip,Bo", "11/15/2026 11:00,20,4,16,tip,Bo"]
    assert counts(earnings(creator, PLAIN, *cut)) == (0, 0, 3, 0, 0)
    assert money() == before
    days = [row.replace(" 10:00:05", "").replace(" 11:00:36", "") for row in rows]
    assert counts(earnings(creator, PLAIN, *days)) == (0, 0, 3, 0, 0)
    assert counts(earnings(creator, PLAIN, *days, days[2])) == (1, 0, 3, 0, 0)


def test_a_file_without_the_ids_of_one_before_is_of_the_same_money(creator: Creator) -> None:
    row = "2026-11-01 10:00:05,tip,10.00,2.00,8.00,Ada"
    earnings(creator, HEADER, f"81,{row}", f"82,{row}")
    assert counts(earnings(creator, HEADER, f",{row}", f",{row}")) == (0, 0, 2, 0, 0)
    assert counts(earnings(creator, HEADER, f"83,{row}")) == (1, 0, 0, 0, 0)


def test_a_file_with_ids_gives_them_to_one_that_had_none(creator: Creator) -> None:
    row = "tip,10.00,2.00,8.00,Ada"
    earnings(creator, HEADER, f",2026-11-01 10:00,{row}")
    assert counts(earnings(creator, HEADER, f"81,2026-11-01 10:00:05,{row}")) == (0, 1, 0, 0, 0)
    assert counts(earnings(creator, HEADER, f"81,2026-11-01 10:00,{row}")) == (0, 0, 1, 0, 0)
    assert [(when, gross) for when, gross, *_ in money()] == [("2026-11-01 10:00:05", 1_000)]


def test_payouts_and_totals_are_no_money_and_no_fan(creator: Creator) -> None:
    batch = earnings(
        creator, PLAIN, "2026-11-14 10:00:00,20.00,4.00,16.00,tip,Ada", "2026-11-16 10:00:00,16.00,0.00,16.00,Payout,",
        "Total,36.00,4.00,32.00,,",
    )  # fmt: skip
    assert counts(batch) == (1, 0, 0, 1, 0)
    assert "payouts" in notices(batch)
    assert "is a total" in notices(batch)
    batch = fans(creator, "Username,Display Name,Total Spent", "ada_k,Ada,$12.50", "total,Mr Total,$1", "Total,,$13.50")
    assert counts(batch) == (2, 0, 0, 0, 0)
    assert set(Fan.objects.values_list("handle", flat=True)) == {"ada_k", "total"}


def test_a_negative_row_takes_a_payment_back_once(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, name="Ada", handle="ada", platform_id="7", value_cents=0)
    header = f"{PLAIN},Username"
    rows = [
        "2026-11-14 10:00:00,20.00,4.00,16.00,tip,Ada,ada",
        "2026-11-15 10:00:00,20.00,4.00,16.00,tip,Ada,ada",
        "2026-11-20 10:00:00,-20.00,-4.00,-16.00,Chargeback,Ada,ada",
        "2026-11-21 10:00:00,(5.00),(1.00),(4.00),Refund,Bo,bo",
    ]
    batch = earnings(creator, header, *rows)
    assert counts(batch) == (2, 1, 0, 0, 1)
    assert "no earlier one" in problems(batch)
    assert [each[-1] for each in money()] == ["done", "undo"]
    fan.refresh_from_db()
    assert fan.value_cents == 2_000
    assert counts(earnings(creator, header, *rows)) == (0, 0, 3, 0, 1)
    assert [each[-1] for each in money()] == ["done", "undo"]


# --- Undo ---


def test_an_import_of_transactions_is_undone_to_the_cent(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", handle="ada", value_cents=900)
    header = f"{HEADER},fan_id"
    first = earnings(creator, header, "1,2026-11-01 10:00:05,tip,20.00,4.00,16.00,Ada,7")
    second = earnings(
        creator, header, "1,2026-11-01 10:00:05,tip,30.00,6.00,24.00,Ada,7", "2,2026-11-02 10:00,tip,5,1,4,Ada,7"
    )
    fan.refresh_from_db()
    assert (counts(second), fan.value_cents) == ((1, 1, 0, 0, 0), 3_500)
    undone = import_undo(batch=second)
    assert (undone.deleted, undone.restored, undone.kept) == (1, 1, 0)
    fan.refresh_from_db()
    assert ([each[1] for each in money()], fan.value_cents) == ([2_000], 2_000)
    undone = import_undo(batch=first)
    assert (undone.deleted, undone.restored, undone.kept) == (1, 0, 0)
    fan.refresh_from_db()
    assert (money(), fan.value_cents) == ([], 900)


def test_undone_in_the_other_order_nothing_is_left_either(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", handle="ada", value_cents=900)
    header = f"{HEADER},fan_id"
    first = earnings(creator, header, "1,2026-11-01 10:00:05,tip,20.00,4.00,16.00,Ada,7")
    second = earnings(creator, header, "1,2026-11-01 10:00:05,tip,30.00,6.00,24.00,Ada,7")
    assert import_undo(batch=first).kept == 1
    assert import_undo(batch=second).deleted == 1
    fan.refresh_from_db()
    assert (money(), fan.value_cents) == ([], 900)


def test_a_file_read_in_the_wrong_order_of_days_is_undone_and_read_again(creator: Creator) -> None:
    rows = ("Date,Gross,Fee,Net,Type", "03/04/2026,20.00,4.00,16.00,tip", "05/06/2026,20.00,4.00,16.00,tip")
    with pytest.raises(Unreadable, match="day or the month first"):
        earnings(creator, *rows)
    import_undo(batch=earnings(creator, *rows, day_first=False))
    assert counts(earnings(creator, *rows, day_first=True)) == (2, 0, 0, 0, 0)
    assert [when for when, *_ in money()] == ["2026-04-03 00:00:00", "2026-06-05 00:00:00"]


# --- Currencies and percentages ---


@pytest.mark.parametrize(
    ("amounts", "currency"),
    [
        ("10.00 EUR;2.00 EUR;8.00 EUR", "EUR"),
        ("CA$10.00;CA$2.00;CA$8.00", "CAD"),
        ("£10.00;£2.00;£8.00", "GBP"),
        ("CHF 10.00;CHF 2.00;CHF 8.00", "CHF"),
        ("10,00\u00a0$US;2,00\u00a0$US;8,00\u00a0$US", "USD"),
        ("10,00 $ US;2,00 $ US;8,00 $ US", "USD"),
        ("10,00 $CA;2,00 $CA;8,00 $CA", "CAD"),
        ("$10.00 CAD;2;8", "CAD"),
        ("zł10;zł2;zł8", "PLN"),
        ("10;2;8", "USD"),
        ("$10;$2;$8", "USD"),
    ],
)
def test_a_currency_beside_an_amount_is_its_currency(creator: Creator, amounts: str, currency: str) -> None:
    earnings(creator, "Date;Gross;Fee;Net;Type", f"2026-11-14 10:00;{amounts};tip")
    assert money() == [("2026-11-14 10:00:00", 1_000, 200, 800, currency, "done")]


@pytest.mark.parametrize("amounts", ["10 kr;2 kr;8 kr", "¥10;¥2;¥8", "€10;£2;€8", "10 XXQ;2;8", "€10;€2;€8;USD"])
def test_a_currency_that_is_not_certain_is_refused(creator: Creator, amounts: str) -> None:
    header = "Gross;Fee;Net;Currency" if amounts.count(";") == 3 else "Gross;Fee;Net"
    batch = earnings(creator, f"Date;{header}", f"2026-11-14 10:00;{amounts}")
    assert counts(batch) == (0, 0, 0, 0, 1)
    assert "currenc" in problems(batch)


@pytest.mark.parametrize(
    ("header", "currency", "cents"),
    [
        ("Gross €,Fee €,Net €", "EUR", 1_000),
        ("Gross (CAD),Fee (CAD),Net (CAD)", "CAD", 1_000),
        ("amount_usd,fee_usd,net_usd", "USD", 1_000),
        ("gross_cents,fee_cents,net_cents", "USD", 10),
    ],
)
def test_a_header_says_the_currency_and_the_unit(creator: Creator, header: str, currency: str, cents: int) -> None:
    earnings(creator, f"Date,{header}", "2026-11-14 10:00,10,2,8")
    assert [each[1:5] for each in money()] == [(cents, cents // 5, cents * 4 // 5, currency)]


def test_a_column_of_cents_is_read_as_cents(creator: Creator) -> None:
    batch = fans(creator, "handle,value_cents", "ada,1250", "bo,12.5")
    assert Fan.objects.get().value_cents == 1_250
    assert "no decimals" in problems(batch)
    assert "as cents" in notices(batch)


def test_a_fans_value_in_euros_is_told(creator: Creator) -> None:
    assert "are in EUR" in notices(fans(creator, "Username;Total Spent", "ada;12,50 €"))
    assert "are in EUR" in notices(fans(creator, "Username,Total Spent (EUR)", "ada,12.50"))
    assert notices(fans(creator, "Username,Total Spent (USD)", "ada,12.50")) == ""
    assert Fan.objects.get().value_cents == 1_250


@pytest.mark.parametrize(
    ("code", "currency"),
    [
        ("#,##0.00 [$€-407]", "EUR"),
        ('#,##0.00\\ "€";[Red]-#,##0.00\\ "€"', "EUR"),
        ("[$CHF] #,##0.00", "CHF"),
        ("_-[$£-809]* #,##0.00_-", "GBP"),
        ("[$$-1009]#,##0.00", "CAD"),
        ("[$kr-41D] #,##0", "SEK"),
        ("[$$-409]#,##0.00", "USD"),
        ('_("$"* #,##0.00_);_("$"* (#,##0.00);_("$"* "-"??_);_(@_)', "USD"),
        ("0.00", "USD"),
    ],
)
def test_a_cell_format_says_the_currency(creator: Creator, code: str, currency: str) -> None:
    header = ["Date", "Gross", "Fee", "Net"]
    row = [datetime(2026, 11, 2, 10, 0, 5), 1250.5, 250.1, 1000.4]  # noqa: DTZ001  as a cell has it
    earnings(creator, workbook(header, row, formats=dict.fromkeys(header[1:], code)))
    assert money() == [("2026-11-02 10:00:05", 125_050, 25_010, 100_040, currency, "done")]


def test_a_fee_in_percent_is_one_of_the_gross(creator: Creator) -> None:
    day = datetime(2026, 11, 2)  # noqa: DTZ001  as a cell has it
    content = workbook(["Date", "Gross", "Fee"], [day, 10, 0.2], [day, 4.99, 0.2], formats={"Fee": "0%"})
    earnings(creator, content)
    assert [each[1:4] for each in money()] == [(1_000, 200, 800), (499, 100, 399)]
    batch = earnings(creator, "Date,Gross,Fee,Net,VAT", "2026-11-02,10,20%,9,0", "2026-11-02,10,2,8,20%")
    assert counts(batch) == (0, 0, 0, 0, 2)


def test_noise_and_parts_of_cents_are_read_to_the_cent(creator: Creator) -> None:
    earnings(
        creator, "Date,Gross,Fee,Net", "2026-11-01 10:00,0.30000000000000004,0.06,0.24000000000000005",
        "2026-11-01 11:00,19.99,3.998,15.992", "2026-11-01 12:00,19.989999999999998,,15.992",
    )  # fmt: skip
    assert [each[1:4] for each in money()] == [(30, 6, 24), (1_999, 400, 1_599), (1_999, 400, 1_599)]
    assert earnings(creator, "Date,Gross,Fee,Net", "2026-11-01 13:00,19.99,3.998,15.9").rejected_rows == 1


def test_points_between_thousands_are_thousands(creator: Creator) -> None:
    batch = fans(creator, "Username,Total Spent", "ada,1.250", "bo,980", "cy,12.345")
    assert list(Fan.objects.order_by("handle").values_list("value_cents", flat=True)) == [125_000, 98_000, 1_234_500]
    assert "one thousand" in notices(batch)


# --- Dates ---


def test_a_day_without_a_time_is_that_day_where_the_creator_is(creator: Creator) -> None:
    creator.time_zone = "America/New_York"
    earnings(creator, "Date,Gross,Fee", "2026-11-14,10,2", "11/25/2026,20,4")
    assert [when for when, *_ in money()] == ["2026-11-14 05:00:00", "2026-11-25 05:00:00"]
    fans(creator, "Username,Last Seen", "ada,2026-11-02", "bo,2026-11-02 10:00")
    assert list(Fan.objects.order_by("handle").values_list("last_seen_at", flat=True)) == [
        datetime(2026, 11, 2, 5, tzinfo=UTC),
        datetime(2026, 11, 2, 10, tzinfo=UTC),
    ]


def test_a_date_a_time_and_a_zone_are_one_moment(creator: Creator) -> None:
    earnings(
        creator, "Date,Time,TimeZone,Name,Gross,Fee,Net", '11/20/2026,22:34:28,EST,Ada,"1,560.00",-312.00,"1,248.00"',
        "11/20/2026,10:34:28 PM,America/New_York,Bo,20.00,-4.00,16.00",
    )  # fmt: skip
    assert [when for when, *_ in money()] == ["2026-11-21 03:34:28"] * 2
    content = workbook(["Date", "Time", "Gross", "Fee"], [date(2026, 11, 2), time(10, 0, 5), 10, 2])
    earnings(creator, content)
    assert money()[-1][0] == "2026-11-02 10:00:05"


def test_dates_that_a_spreadsheet_half_converted_are_asked_about(creator: Creator) -> None:
    content = (TRIALS / "earnings_dates_half_converted_by_libreoffice.xlsx").read_bytes()
    with pytest.raises(Unreadable, match="read the day as the month"):
        earnings(creator, content)
    batch = earnings(creator, content, day_first=True)
    assert "exchanged back" in notices(batch)
    assert all(when.startswith("2026-11-") for when, *_ in money())


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-02 10:00:05+00",
        "2026-11-02 11:00:05.123456+01",
        "Mon Nov 02 2026 11:00:05 GMT+0100 (Central European Standard Time)",
        "Mon, 02 Nov 2026 10:00:05 GMT",
        "2026-11-02 10 h 00 min 05 s",
        "November 2, 2026 at 10:00:05 AM",
        "2 novembre 2026 à 10:00:05",
        "2 de noviembre de 2026 10:00:05",
        "Montag, 2. November 2026 um 10:00:05 Uhr",
        "2026-11-02 05:00:05 EST",
        "2026-11-02 11:00:05 Europe/Paris",
    ],
)
def test_a_moment_is_read_as_programs_and_people_write_it(creator: Creator, text: str) -> None:
    fans(creator, "Username,Last Seen", f'ada,"{text}"')
    assert Fan.objects.get().last_seen_at == datetime(2026, 11, 2, 10, 0, 5, tzinfo=UTC)


# --- Whose rows ---


def test_a_column_of_creators_is_honoured(creator: Creator) -> None:
    batch = earnings(creator, "Date,Creator,Gross,Fee", "2026-11-01 10:00,@nora,20,4", "2026-11-01 11:00,Luz,30,6")
    assert (counts(batch), [each[1] for each in money()]) == ((1, 0, 0, 1, 0), [2_000])
    assert "Luz" in notices(batch)
    batch = fans(creator, "Username,Creator", "ada,Nora", "bo,Luz")
    assert (counts(batch), Fan.objects.get().handle) == ((1, 0, 0, 1, 0), "ada")


def test_a_file_of_other_creators_is_asked_about(creator: Creator) -> None:
    rows = ("Date,Creator,Gross,Fee", "2026-11-01 11:00,Luz,30,6")
    with pytest.raises(Unreadable, match="names Luz, and this is Nora"):
        earnings(creator, *rows)
    assert counts(earnings(creator, *rows, mapping={"creator": None})) == (1, 0, 0, 0, 0)
