"""Answers what `manage.py import_fans` prints and how it ends. Touches the database through the command."""

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from crm.models import Creator, Fan
from crm.tests.factories import CreatorFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "fans.csv"
    path.write_text("Username,Total Spent\nada,$5\nb b,$1\nADA,$6\n")
    return path


def run(file: Path, creator: Creator, *options: str) -> str:
    out = StringIO()
    call_command("import_fans", str(file), "--creator", str(creator.pk), *options, stdout=out, no_color=True)
    return out.getvalue()


def test_it_prints_counts_and_rejected_rows(file: Path, creator: Creator) -> None:
    text = run(file, creator)
    assert "3 rows: 1 inserted, 0 updated, 0 unchanged, 1 skipped, 1 rejected." in text
    assert "Row 3: Username 'b b': This is no username" in text
    assert "Row 2: Skipped: row 4" in text
    assert Fan.objects.get().value_cents == 600


def test_a_dry_run_changes_nothing(file: Path, creator: Creator) -> None:
    assert "would be 1 inserted" in run(file, creator, "--dry-run")
    assert not Fan.objects.exists()


def test_it_prints_json(file: Path, creator: Creator) -> None:
    report = json.loads(run(file, creator, "--json"))
    assert report["summary"]["errors"] == 1
    assert report["errors"][0]["row"] == 3


def test_the_size_limit_does_not_hold_here(file: Path, creator: Creator, settings: object) -> None:
    settings.IMPORT_MAX_BYTES = 10  # type: ignore[attr-defined]
    assert "1 inserted" in run(file, creator)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, creator: Creator) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(CommandError, match="empty") as caught:
        run(empty, creator)
    assert caught.value.returncode == 1
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "missing.csv", creator)


def test_columns_and_the_order_of_dates_can_be_named(tmp_path: Path, creator: Creator) -> None:
    file = tmp_path / "fans.csv"
    file.write_text("Who,Last Seen\nada,3/4/2026\n")
    with pytest.raises(CommandError, match="--day-first"):
        run(file, creator, "--map", "handle=Who")
    run(file, creator, "--map", "handle=Who", "--month-first")
    assert Fan.objects.get().last_seen_at == datetime(2026, 3, 4, tzinfo=UTC)
    with pytest.raises(CommandError, match="no column 'Nowhere'"):
        run(file, creator, "--map", "handle=Nowhere")
    with pytest.raises(CommandError, match="FIELD=HEADER"):
        run(file, creator, "--map", "handle")


def test_an_unknown_creator_is_an_error(file: Path, creator: Creator) -> None:
    creator.pk += 1
    with pytest.raises(CommandError, match="no creator"):
        run(file, creator)


def test_a_field_mapped_twice_or_unknown_is_an_error(file: Path, creator: Creator) -> None:
    with pytest.raises(CommandError, match="more than once"):
        run(file, creator, "--map", "handle=Username", "--map", "handle=Total Spent")
    with pytest.raises(CommandError, match="no field 'price'"):
        run(file, creator, "--map", "price=Total Spent")
    assert not Fan.objects.exists()
