"""Answers whether headers and cells of a fan file are understood as people write them. Touches no table."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm.errors import InvalidInput, Unreadable
from onlyfans import csv_columns, csv_conventions, csv_headers, csv_values, payloads
from onlyfans.csv_values import DAY_MONTH, MONTH_DAY

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def money(text: str, mark: str = ".") -> int | None:
    return csv_values.money_cents(text, decimal_mark=mark)


def seen(text: str, order: str = MONTH_DAY) -> datetime | None:
    return csv_values.moment(text, order=order, latest=NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("text", "cents"),
    [
        ("$500.00", 50_000),
        ("$1,234.56", 123_456),
        ("1,234,567", 123_456_700),
        ("1.234.567,89 €", 123_456_789),
        ("12,5 €", 1_250),
        ("1 234,50 €", 123_450),
        ("1\u202f234,50\u00a0€", 123_450),
        ("1'234.50", 123_450),
        ("US$ 7", 700),
        ("7 USD", 700),
        (".5", 50),
        ("13.3100", 1_331),
        ("0", 0),
        ("-0.00", 0),
        ("0.29", 29),
        ("10,000,000", 1_000_000_000),
    ],
)
def test_an_amount_is_read_to_the_cent(text: str, cents: int) -> None:
    assert money(text) == cents


@pytest.mark.parametrize("text", ["", "-", "—", "N/A", "n/a", "None", "null"])
def test_a_sign_for_nothing_is_no_amount(text: str) -> None:
    assert money(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "five dollars", "1e5", "NaN%", "12.345", "1,23,456", "1.2.3", "5.", ".", "$", "-$5.00", "($5)", "−5", "+-5",
        "10,000,000.01", "9" * 400, "５", "=1+1", "1/2",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\."):
        money(text)


@pytest.mark.parametrize(("mark", "cents"), [(".", 123_400), (",", 123)])
def test_the_file_settles_what_a_lone_separator_means(mark: str, cents: int) -> None:
    assert money("1,230" if mark == "," else "1,234", mark) == cents


@pytest.mark.parametrize("mark", [".", ","])
@given(cents=st.integers(0, csv_values.VALUE_MAX_CENTS), symbol=st.sampled_from(["", "$", "€ "]))
def test_every_amount_survives_being_written(mark: str, cents: int, symbol: str) -> None:
    english = f"{Decimal(cents) / 100:,.2f}"
    swapped = english.translate(str.maketrans(",.", ".,"))
    spaced = english.replace(",", "\u202f").replace(".", ",")
    for text in (english, swapped, spaced, english.replace(",", "")):
        assert money(f"{symbol}{text}", mark) == cents


@settings(deadline=None)  # the first one imports Arrow
@given(st.text(max_size=30))
def test_no_text_breaks_the_reading(text: str) -> None:
    for field in csv_columns.READERS:
        parsed = csv_columns.parse(
            field, pd.Series([text.strip()], dtype="str"), csv_columns.Manner(DAY_MONTH, ",", NOW)
        )
        assert len(parsed.values) == 1


def mark(*amounts: str, language: str) -> tuple[str, str]:
    found = csv_conventions.decimal_mark([pd.Series(amounts)], language=language)
    return found.choice, found.notice


def test_the_decimal_mark_is_the_one_that_clear_amounts_use() -> None:
    assert mark("1.234", "12,50", language="en") == (",", "")
    assert mark("1,234", "12.50", language="fr") == (".", "")


@pytest.mark.parametrize(("amount", "language", "expected"), [("1,234", "en", "."), ("1.234", "fr", ",")])
def test_a_guessed_decimal_mark_is_told(amount: str, language: str, expected: str) -> None:
    found, notice = mark(amount, language=language)
    assert (found, amount in notice) == (expected, True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-11-01", datetime(2025, 11, 1, tzinfo=UTC)),
        ("2025/11/01", datetime(2025, 11, 1, tzinfo=UTC)),
        ("2025-11-01T10:32:05Z", datetime(2025, 11, 1, 10, 32, 5, tzinfo=UTC)),
        ("2025-11-01 10:32:05.123456+02:00", datetime(2025, 11, 1, 8, 32, 5, tzinfo=UTC)),
        ("11/20/2025 1:05 PM", datetime(2025, 11, 20, 13, 5, tzinfo=UTC)),
        ("May 2, 2026", datetime(2026, 5, 2, tzinfo=UTC)),
        ("2 mai 2026", datetime(2026, 5, 2, tzinfo=UTC)),
        ("1er août 2026", datetime(2026, 8, 1, tzinfo=UTC)),
        ("Sept. 3rd, 2026", datetime(2026, 9, 3, tzinfo=UTC)),
        ("02-May-2026", datetime(2026, 5, 2, tzinfo=UTC)),
        ("2026-11-24", datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_a_date_is_read(text: str, expected: datetime) -> None:
    assert seen(text) == expected


def test_a_date_of_numbers_is_read_in_the_order_of_its_file() -> None:
    assert seen("3/4/2026", MONTH_DAY) == datetime(2026, 3, 4, tzinfo=UTC)
    assert seen("3/4/2026", DAY_MONTH) == datetime(2026, 4, 3, tzinfo=UTC)
    assert seen("3.4.2026", DAY_MONTH) == datetime(2026, 4, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-45", "30/02/2026", "2031-01-01", "2026-11-25", "1970-01-01", "0001-01-01", "0000-00-00", "9999-12-31",
        "Foo 2, 2026", "45981", "yesterday", "2026-11-01 25:00", "11/20/2025 13:00 PM", "1/2/26",
    ],
)  # fmt: skip
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        seen(text)


@pytest.mark.parametrize("text", ["", "—", "N/A", "never", "Jamais"])
def test_never_seen_is_no_date(text: str) -> None:
    assert seen(text) is None


def order(*dates: str, others: tuple[str, ...] = (), language: str = "en") -> tuple[str, str] | None:
    found = csv_conventions.date_order(
        lambda: [pd.Series([date]) for date in dates],
        others=lambda: [pd.Series(others, dtype="str")],
        language=language,
    )
    return (found.choice, found.notice) if found else None


def test_the_order_of_dates_is_decided_by_those_that_have_one() -> None:
    assert order("3/4/2026", "20/11/2026") == (DAY_MONTH, "")
    assert order("3/4/2026", "11/20/2026 10:00", language="fr") == (MONTH_DAY, "")


def test_dates_of_another_column_decide_where_the_column_cannot() -> None:
    chosen, notice = order("3/4/2026", others=("16/1/2025",)) or ("", "")
    assert chosen == DAY_MONTH
    assert "another column" in notice


@pytest.mark.parametrize("language", ["fr", "es", "de"])
def test_an_order_chosen_by_the_language_is_told(language: str) -> None:
    chosen, notice = order("3/4/2026", language=language) or ("", "")
    assert chosen == DAY_MONTH
    assert "language of the headers" in notice


def test_an_order_that_nothing_settles_is_left_open() -> None:
    assert order("3/4/2026", "5/5/2026") is None
    assert order("20/11/2026", "11/20/2026") is None
    assert order("2026-04-03") is not None


def test_dates_of_both_orders_follow_the_greater_number_and_say_so() -> None:
    chosen, notice = order("20/11/2026", "21/11/2026", "11/20/2026") or ("", "")
    assert chosen == DAY_MONTH
    assert "Some" in notice


@pytest.mark.parametrize(
    ("text", "expected"),
    [("@Good2", "good2"), ("https://onlyfans.com/Léa/".replace("é", "e"), "lea"), ("a.b_c-9", "a.b_c-9"), ("—", None)],
)
def test_a_handle_is_lower_case_without_its_sign(text: str, expected: str | None) -> None:
    assert csv_values.handle(text) == expected


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "two words", "é", "a" * 65, "@", "multi\nline"])
def test_what_is_no_handle_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="username"):
        csv_values.handle(text)


def test_an_id_that_a_spreadsheet_took_for_a_number_is_still_an_id() -> None:
    assert csv_values.platform_id("70000000.0") == "70000000"
    assert csv_values.platform_id("007") == "7"


@pytest.mark.parametrize("text", ["7.0E+07", "u70000", "-5", "0", "9" * 21])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="id"):
        csv_values.platform_id(text)


@pytest.mark.parametrize(
    "text", ["not-an-email", "a@b", "a b@c.fr", f"{'a' * 65}@c.fr", "a@c..fr", f"a@{'c' * 260}.fr"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        csv_values.email(text)


def test_tags_are_parted_and_told_once() -> None:
    assert csv_values.tags("VIP, big  spender; VIP|") == ("VIP", "big spender")


def test_text_that_looks_like_a_formula_stays_text() -> None:
    assert csv_values.name("=1+1") == "=1+1"


def test_what_our_exports_escape_comes_back() -> None:
    assert csv_values.unescape("'@good2") == "@good2"
    assert csv_values.unescape("'=a\\|b") == "=a|b"
    assert csv_values.unescape("'tis") == "'tis"


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (["FAN-ID", "of_username", "display name"], ["platform_id", "handle", "name"]),
        (["PSEUDO", "Total  dépensé", "Dernière connexion"], ["handle", "value_cents", "last_seen_at"]),
        (["Nom d’utilisateur", "E-MAIL", "Étiquettes"], ["handle", "email", "tags"]),
    ],
)
def test_headers_are_known_in_both_languages(header: list[str], fields: list[str]) -> None:
    assert payloads.columns_match(header).mapping() == dict(zip(fields, header, strict=True))


def test_no_alias_means_two_fields() -> None:
    names = [
        (csv_headers.header_key(name), field)
        for field, languages in payloads.ALIASES.items()
        for aliases in languages.values()
        for name in aliases
    ]
    assert len({key for key, _ in names}) == len(names)


def test_the_better_name_wins_over_the_earlier_column() -> None:
    assert payloads.columns_match(["Nickname", "Display Name", "Username"]).mapping()["name"] == "Display Name"


def test_a_mapping_names_a_column_and_leaves_one_out() -> None:
    columns = payloads.columns_match(["Who", "Name", "Email"], {"handle": "who", "email": None})
    assert columns.mapping() == {"handle": "Who", "name": "Name"}


@pytest.mark.parametrize("mapping", [{"handle": "Nowhere"}, {"shoe_size": "Username"}])
def test_a_mapping_that_does_not_fit_is_refused(mapping: dict[str, str | None]) -> None:
    with pytest.raises(InvalidInput) as caught:
        payloads.columns_match(["Username"], mapping)
    assert caught.value.errors[0].field == "mapping"


def test_a_file_without_a_key_column_is_refused_with_its_columns() -> None:
    with pytest.raises(Unreadable, match="Name, Email"):
        payloads.columns_match(["Name", "Email"])


def rows_of(**columns: list[str]) -> payloads.FanValues:
    cells = pd.DataFrame(dict(enumerate(columns.values())), dtype="str")
    matched = payloads.columns_match([name.replace("_", " ") for name in columns])
    reading = payloads.reading_decide(
        columns=matched, pieces=lambda positions: [[cells[p] for p in positions]], now=NOW
    )
    return payloads.fan_values(cells=cells, ragged={}, reading=reading)


def test_a_row_tells_all_its_problems_at_once() -> None:
    values = rows_of(username=["a b"], email=["x"], total_spent=["y"])
    assert [problem.column for problem in values.problems[0]] == ["username", "email", "total spent"]
    assert values.rows(1) == []


def test_the_id_is_the_key_where_there_is_one_and_the_handle_else() -> None:
    values = rows_of(fan_id=["7", ""], username=["@Ada", "Bob"])
    assert [(row.platform_id, row.handle) for row in values.rows(9)] == [("7", "ada"), ("bob", "bob")]


def test_a_row_without_a_key_and_a_handle_like_an_id_are_rejected() -> None:
    values = rows_of(fan_id=["", ""], username=["", "123"])
    assert [problems[0].column for problems in values.problems.values()] == ["username or fan id"] * 2


def test_the_tier_becomes_a_tag_beside_the_tags() -> None:
    values = rows_of(username=["a", "b"], subscription_tier=["Premium", ""], tags=["vip, Premium", ""])
    assert [row.tags for row in values.rows(9)] == [("Premium", "vip"), None]
