"""Answers whether a file of transactions becomes money once, with every row accounted for. Touches the database."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from crm.errors import Unreadable
from crm.models import Creator, Fan, Transaction
from crm.tests.factories import CreatorFactory, FanFactory
from onlyfans.earnings_import import earnings_import
from onlyfans.models import ImportBatch

pytestmark = pytest.mark.django_db
HEADER = (
    "transaction_id,onlyfans_created_at,type,status,amount,fee_amount,net_amount,vat_amount,description,fan_id,fan_name"
)
TIP = "tx1,2026-06-30 11:33:00,tips,done,10.00,2.00,8.00,0.50,Tip from Kim Smith,7,Kim Smith"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def imported(creator: Creator, *lines: str, header: str = HEADER, **choices: Any) -> ImportBatch:
    content = "\n".join([header, *lines, ""]).encode()
    return earnings_import(creator=creator, user=None, filename="earnings.csv", content=content, **choices)


def counts(batch: ImportBatch) -> tuple[int, ...]:
    return (batch.inserted, batch.updated, batch.unchanged, batch.skipped, batch.rejected_rows)


def problem(creator: Creator, line: str, header: str = HEADER) -> str:
    [row] = imported(creator, line, header=header).rows.all()
    return str(row.problems[0]["error"])


def test_a_row_becomes_money_of_the_fan_it_names(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", value_cents=0)
    assert counts(imported(creator, TIP)) == (1, 0, 0, 0, 0)
    stored = Transaction.objects.get()
    assert (stored.kind, stored.status, stored.fan, stored.fan_name) == ("tip", "done", fan, "Kim Smith")
    assert (stored.gross_cents, stored.fee_cents, stored.net_cents, stored.vat_cents) == (1_000, 200, 800, 50)
    assert (stored.platform_transaction_id, f"{stored.occurred_at:%F %T}") == ("tx1", "2026-06-30 11:33:00")


@pytest.mark.parametrize(("told", "known"), [("2026-12-01T00:00:00Z", 100), (None, 5_000)])
def test_a_total_that_knows_of_the_payment_stays(creator: Creator, told: str | None, known: int) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", value_cents=known, value_as_of=told)
    imported(creator, TIP)
    fan.refresh_from_db()
    assert fan.value_cents == known


@pytest.mark.parametrize("row", [TIP, TIP.removeprefix("tx1")])
def test_the_same_file_again_changes_nothing_with_ids_or_without(creator: Creator, row: str) -> None:
    first = counts(imported(creator, row, row if row != TIP else row.replace("tx1", "tx2")))
    stored = list(Transaction.objects.order_by("pk").values())
    again = counts(imported(creator, row, row if row != TIP else row.replace("tx1", "tx2")))
    assert (first, again) == ((2, 0, 0, 0, 0), (0, 0, 2, 0, 0))
    assert list(Transaction.objects.order_by("pk").values()) == stored


def test_of_two_rows_with_one_id_the_last_counts_and_the_first_is_told(creator: Creator) -> None:
    batch = imported(creator, TIP, TIP.replace("done", "undo"))
    assert counts(batch) == (1, 0, 0, 1, 0)
    assert Transaction.objects.get().status == "undo"
    assert (batch.rows.get().line, batch.rows.get().overtaken_by) == (2, 3)


def test_a_dry_run_counts_and_keeps_nothing(creator: Creator) -> None:
    assert counts(imported(creator, TIP, dry_run=True)) == (1, 0, 0, 0, 0)
    assert not Transaction.objects.exists()


@pytest.mark.parametrize(
    ("amounts", "cents"),
    [
        ("gross,fee", (1_000, 200, 800)),
        ("gross,net", (1_000, 200, 800)),
        ("net,fee", (1_000, 200, 800)),
    ],
)
def test_the_third_of_gross_fee_and_net_follows_from_two(
    creator: Creator, amounts: str, cents: tuple[int, ...]
) -> None:
    cell = {"gross": "$10", "fee": "-2.00", "net": "8"}
    row = ",".join(cell[name] for name in amounts.split(","))
    imported(creator, f"2026-06-30,{row}", header=f"date,{amounts}")
    assert Transaction.objects.values_list("gross_cents", "fee_cents", "net_cents").get() == cents


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (TIP.replace("2026-06-30 11:33:00", "soon"), "This is no date"),
        (TIP.replace("2026-06-30 11:33:00", ""), "does not say when"),
        (TIP.replace(",8.00,", ",80.00,"), "above the gross"),
        (TIP.replace("10.00,2.00,8.00", "-10.00,-2.00,-8.00"), "takes back a payment that is not known"),
        (TIP.replace("done", "perhaps"), "no status that is known"),
        (TIP.replace("10.00,2.00,8.00", "10.00,,"), "needs two of"),
        (TIP.replace("tx1", "x" * 65), "at most 64"),
        (TIP.replace(",7,", ",seven,"), "no fan id"),
        ("tx1,2026-06-30", "needs two of"),
    ],
)
def test_a_wrong_row_is_rejected_with_its_reason(creator: Creator, line: str, error: str) -> None:
    assert error in problem(creator, line)
    assert not Transaction.objects.exists()


def test_a_currency_that_is_none_is_rejected_and_a_sign_counts(creator: Creator) -> None:
    header = "date,gross,net,currency"
    assert "three letters" in problem(creator, "2026-06-30,10,8,shells", header)
    imported(creator, "2026-06-30;10,00 €;8,00 €", header="Date;Montant brut;Montant net")
    assert Transaction.objects.get().currency == "EUR"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("Gross,Net,Fan ID", "no_time_column"),
        ("Date,Gross,Fan ID", "no_amount_column"),
        ("Date/Time,Creator,Subscription Net,Tips Net,Total earnings Net", "no_amount_column"),
    ],
)
def test_a_file_of_something_else_is_refused_and_changes_nothing(creator: Creator, header: str, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        imported(creator, ",".join("1" for _ in header.split(",")), header=header)
    assert caught.value.code == code
    assert not ImportBatch.objects.exists()


def test_the_other_known_columns_are_read(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", handle="Kim")
    imported(
        creator,
        '"Jun 30, 2026 11:33 am",$9.99,$2,$7.99,Recurring subscription,Kim,@kim,,Recurring subscription from Kim,,0,x',
        header="DateTime,Gross,OF Fee,Net,Type,Display Name,OF Username,Original Date,Description,Fan ID,VAT,Source",
    )
    stored = Transaction.objects.get()
    assert (stored.kind, stored.fan, stored.net_cents) == ("recurring", fan, 799)


def test_a_fan_of_another_creator_is_not_linked_and_the_unknown_are_told(creator: Creator) -> None:
    FanFactory.create(platform_id="7")
    batch = imported(creator, TIP)
    assert (Transaction.objects.get().fan, Transaction.objects.get().fan_name) == (None, "Kim Smith")
    assert "1 rows name fans who are not here" in batch.notices[-1]["text"]
    fan = FanFactory.create(creator=creator, platform_id="7")
    assert counts(imported(creator, TIP)) == (0, 1, 0, 0, 0)
    assert Transaction.objects.get().fan == fan


def command(*arguments: str) -> Any:
    out = StringIO()
    call_command("import_earnings", *arguments, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_the_command_reports_and_writes_the_rejected_rows(creator: Creator, tmp_path: Path) -> None:
    path, rejected = tmp_path / "earnings.csv", tmp_path / "rejected.csv"
    path.write_text("\n".join([HEADER, TIP, TIP.replace("tx1", "tx2").replace("done", "perhaps")]) + "\n")
    arguments = (str(path), "--creator", str(creator.pk), "--rejected", str(rejected))
    assert command(*arguments, "--dry-run")["summary"]["successfulInserts"] == 1
    assert not Transaction.objects.exists()
    assert command(*arguments)["summary"] == {
        "totalRows": 2, "successfulInserts": 1, "updated": 0, "unchanged": 0, "skipped": 0, "errors": 1,
    }  # fmt: skip
    mended = rejected.read_text("utf-8-sig").replace("perhaps", "done")
    path.write_text(mended)
    assert command(*arguments)["summary"]["successfulInserts"] == 1


def test_the_command_names_what_is_wrong(creator: Creator, tmp_path: Path) -> None:
    (tmp_path / "fans.csv").write_text("Username\nada\n")
    with pytest.raises(CommandError, match="No column says when something was paid"):
        command(str(tmp_path / "fans.csv"), "--creator", str(creator.pk))
    assert not Fan.objects.exists()
