"""Answers whether many fans are stored at once, each once, and joined when their id is known. Touches the database."""

from datetime import UTC, datetime

import pytest
from django.db import transaction
from django.utils import timezone

from crm import fan_upsert
from crm.fan_upsert import FanOutcome, FanUpsert, fan_bulk_upsert
from crm.models import Creator, Fan
from crm.payloads import FanRow
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory

pytestmark = pytest.mark.django_db
INSERTED, UPDATED, UNCHANGED, OVERTAKEN, DELETED = FanOutcome


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def upsert(creator: Creator, *rows: FanRow) -> FanUpsert:
    return fan_bulk_upsert(creator=creator, rows=rows)


def stored(creator: Creator) -> list[tuple[str, str]]:
    return list(Fan.objects.filter(creator=creator).order_by("pk").values_list("platform_id", "handle"))


def test_no_rows_are_no_trouble(creator: Creator) -> None:
    assert upsert(creator).outcomes == []


def test_every_field_arrives(creator: Creator) -> None:
    seen = datetime(2026, 11, 1, tzinfo=UTC)
    upsert(creator, FanRow("7", "Ada", "Ada \\ \t\n L", "a@example.com", ("a,b", '"c"'), "n", 5, seen))
    fan = Fan.objects.get()
    assert (fan.platform_id, fan.handle, fan.name, fan.email) == ("7", "ada", "Ada \\ \t\n L", "a@example.com")
    assert (fan.tags, fan.notes, fan.value_cents, fan.last_seen_at) == (["a,b", '"c"'], "n", 5, seen)
    assert fan.updated_at >= fan.created_at


def test_two_batches_fit_in_one_transaction(creator: Creator) -> None:
    with transaction.atomic():
        assert upsert(creator, FanRow("7")).outcomes == [INSERTED]
        assert upsert(creator, FanRow("7"), FanRow("8")).outcomes == [UNCHANGED, INSERTED]


def test_many_fans_are_written_in_parts_in_the_order_of_their_keys(
    creator: Creator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fan_upsert, "_SLICE_ROWS", 1)
    told: list[tuple[int, int]] = []
    with fan_upsert.fan_upsert_open(creator=creator) as upsertion:
        upsertion.copy_rows(FanRow(f"fan{number % 1_000:04}", f"fan{number % 1_000:04}") for number in range(1_500))
        counts = upsertion.write(lambda done, total: told.append((done, total)))
    assert (counts[INSERTED], counts[OVERTAKEN]) == (1_000, 500)
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1] == (1_000, 1_000)
    [(first, last)] = upsertion.inserted
    assert last - first == 999
    assert [key for key, _ in stored(creator)] == sorted(key for key, _ in stored(creator))


def test_outcomes_are_told_row_by_row(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="1", handle="one", value_cents=5)
    FanFactory.create(creator=creator, platform_id="2", handle="two", value_cents=5)
    result = upsert(
        creator,
        FanRow("1", value_cents=5),
        FanRow("2", value_cents=0),
        FanRow("3", value_cents=1),
        FanRow("3", value_cents=2),
    )
    assert result.outcomes == [UNCHANGED, UPDATED, OVERTAKEN, INSERTED]
    assert result.overtaken_by == {2: 3}
    assert Fan.objects.get(platform_id="2").value_cents == 0
    assert Fan.objects.get(platform_id="3").value_cents == 2


def test_what_does_not_change_is_not_written(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="1", handle="one", name="One")
    before = Fan.objects.values_list("updated_at").get()
    assert upsert(creator, FanRow("1", "ONE", "Other")).outcomes == [UNCHANGED]
    assert Fan.objects.values_list("updated_at").get() == before


def test_an_id_takes_over_the_fan_for_whom_the_handle_stood_in(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="ada", handle="ada")
    conversation = ConversationFactory.create(fan=fan)
    assert upsert(creator, FanRow("7", "ada")).outcomes == [UPDATED]
    assert stored(creator) == [("7", "ada")]
    conversation.refresh_from_db()
    assert conversation.fan.platform_id == "7"


def test_two_ids_with_one_handle_leave_one_stand_in_to_the_last(creator: Creator) -> None:
    fan = FanFactory.create(creator=creator, platform_id="ada", handle="ada")
    assert upsert(creator, FanRow("7", "ada"), FanRow("8", "ada")).outcomes == [INSERTED, UPDATED]
    assert Fan.objects.get(pk=fan.pk).platform_id == "8"


def test_where_both_are_stored_both_stay_and_the_handle_means_the_one_with_an_id(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="ada", handle="ada")
    FanFactory.create(creator=creator, platform_id="7", handle="ada")
    assert upsert(creator, FanRow("7", "ada", value_cents=1)).outcomes == [UPDATED]
    assert upsert(creator, FanRow("ada", "ada", value_cents=2)).outcomes == [UPDATED]
    assert dict(Fan.objects.values_list("platform_id", "value_cents")) == {"ada": 0, "7": 2}


def test_a_handle_of_digits_is_nobodys_id(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="123", handle="other")
    assert upsert(creator, FanRow("7", "123")).outcomes == [INSERTED]
    assert stored(creator) == [("123", "other"), ("7", "123")]


def test_the_handle_follows_the_source_by_id(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="old")
    assert upsert(creator, FanRow("7", "new"), FanRow("old", "old")).outcomes == [OVERTAKEN, UNCHANGED]
    assert upsert(creator, FanRow("7", "new")).outcomes == [UPDATED]
    assert stored(creator) == [("7", "new")]


def test_another_creators_fan_is_not_joined(creator: Creator) -> None:
    FanFactory.create(platform_id="ada", handle="ada", name="Theirs")
    assert upsert(creator, FanRow("7", "ada"), FanRow("ada", "ada", "Mine")).outcomes == [OVERTAKEN, INSERTED]
    assert stored(creator) == [("7", "ada")]
    assert Fan.objects.exclude(creator=creator).get().name == "Theirs"


@pytest.mark.parametrize("row", [FanRow("7", "ada", name="New"), FanRow("ada", "ada", value_cents=9)])
def test_a_deleted_fan_is_neither_changed_nor_brought_back(creator: Creator, row: FanRow) -> None:
    fan = FanFactory.create(creator=creator, platform_id="7", handle="ada", name="", deleted_at=timezone.now())
    assert upsert(creator, row).outcomes == [DELETED]
    after = Fan.objects.get()
    assert (after.name, after.value_cents, after.deleted_at, after.version) == ("", 0, fan.deleted_at, 1)


def test_a_row_with_an_id_does_not_take_over_a_deleted_fan_known_by_handle(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="ada", handle="ada", deleted_at=timezone.now())
    assert upsert(creator, FanRow("7", "ada")).outcomes == [DELETED]
    assert stored(creator) == [("ada", "ada")]


def test_a_handle_joins_the_fan_who_is_there_and_not_one_who_was_deleted(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="ada", deleted_at=timezone.now())
    there = FanFactory.create(creator=creator, platform_id="8", handle="ada")
    assert upsert(creator, FanRow("ada", "ada", value_cents=9)).outcomes == [UPDATED]
    assert Fan.objects.get(value_cents=9) == there


def test_an_import_counts_the_version_of_what_it_changes(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", value_cents=1)
    upsert(creator, FanRow("7", value_cents=2))
    upsert(creator, FanRow("7", value_cents=2))
    assert Fan.objects.get().version == 2
