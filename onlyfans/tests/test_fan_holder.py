"""Answers whether what imports keep of a fan is told to them, and gone once they are erased. Touches the database."""

import pytest

from crm import fan_services
from crm.models import Creator, Fan
from crm.tests.factories import CreatorFactory, FanFactory
from onlyfans.csv_import import fans_import
from onlyfans.fan_holder import ImportsHolder
from onlyfans.models import ImportBatch
from onlyfans.selectors import import_notices

pytestmark = pytest.mark.django_db
FILE = b"Username,Email,Total Spent\nAda,ada@example.com,lots\nbob,bob@example.com,many\neve,,7\n"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def imported(creator: Creator, content: bytes = FILE) -> ImportBatch:
    return fans_import(creator=creator, user=None, filename="fans.csv", content=content).batch


def test_an_export_tells_the_rows_that_name_the_fan(creator: Creator) -> None:
    batch = imported(creator)
    imported(CreatorFactory.create())
    fan = FanFactory.create(creator=creator, platform_id="7", handle="ada")
    [row] = ImportsHolder().export(fan)["rejectedImportRows"]
    assert (row["importId"], row["row"], row["cells"]) == (batch.pk, 2, ["Ada", "ada@example.com", "lots"])


def test_an_erased_fan_is_in_no_rejected_row_and_the_rows_still_add_up(creator: Creator) -> None:
    imported(creator)
    fan = FanFactory.create(creator=creator, platform_id="9", handle="x", email="ADA@example.com")
    fan_services.fan_erase(fan=fan)
    batch = ImportBatch.objects.get()
    kept = str([(row.cells, row.problems) for row in batch.rows.all()])
    assert "ada" not in kept.lower()
    assert "bob@example.com" in kept
    assert (batch.rejected_rows, batch.rows.count()) == (2, 2)


def test_a_row_about_a_deleted_fan_is_skipped_and_says_so(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="8", handle="eve")
    fan_services.fan_delete(fan=fan)
    batch = imported(creator)
    assert (batch.inserted, batch.skipped) == (0, 1)
    assert [(notice["row"], "deleted" in notice["text"]) for notice in import_notices(batch)] == [(4, True)]
    assert Fan.objects.get(pk=fan.pk).value_cents == 0
