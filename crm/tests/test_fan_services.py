"""Answers whether a fan's life ends as it should, also when two people have a hand in it at once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from crm import fan_services, selectors
from crm.errors import Conflict, NotFound, Stale
from crm.models import Fan, Message
from crm.tests.factories import CreatorFactory, FanFactory, MessageFactory

pytestmark = pytest.mark.django_db


def deleted_days_ago(days: float) -> Fan:
    return FanFactory(name="Ada", deleted_at=timezone.now() - timedelta(days=days))


def erased() -> set[int]:
    return set(Fan.objects.filter(erased_at__isnull=False).values_list("pk", flat=True))


def test_a_fan_is_created_once_per_creator() -> None:
    fan = FanFactory()
    with pytest.raises(Conflict):
        fan_services.fan_create(creator=fan.creator, platform_id=fan.platform_id)
    other = fan_services.fan_create(creator=CreatorFactory(), platform_id=fan.platform_id)
    assert other.pk != fan.pk


def test_every_writer_counts_the_version_and_nobody_who_changes_nothing() -> None:
    fan = FanFactory(name="Ada")
    Fan.objects.filter(pk=fan.pk).update(name="Ada")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE crm_fan SET notes = 'by hand' WHERE id = %s", [fan.pk])
    fan.refresh_from_db()
    assert fan.version == 2


def test_a_change_of_a_fan_who_was_deleted_meanwhile_finds_nobody() -> None:
    fan = FanFactory()
    fan_services.fan_delete(fan=Fan.objects.get(pk=fan.pk))
    with pytest.raises(NotFound):
        fan_services.fan_update(fan=fan, seen=None, name="late")


def test_a_purge_erases_whom_nobody_can_restore_any_more() -> None:
    due, kept = deleted_days_ago(30.01), deleted_days_ago(29.99)
    FanFactory()
    message = MessageFactory(conversation__fan=due)
    assert (fan_services.fans_purge(), fan_services.fans_purge()) == (1, 0)
    assert erased() == {due.pk}
    message.refresh_from_db()
    assert message.text == ""
    assert fan_services.fan_restore(fan=kept).deleted_at is None


def test_one_who_cannot_be_erased_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, due = deleted_days_ago(40), deleted_days_ago(31)

    class Picky:
        def withdraw(self, fan: Fan) -> None: ...

        def erase(self, fan: Fan) -> None:
            if fan.pk == stuck.pk:
                raise KeyError

    monkeypatch.setattr(fan_services, "fan_holders", lambda: (Picky(),))
    assert fan_services.fans_purge() == 1
    assert erased() == {due.pk}


def test_the_command_counts_first_and_erases_when_told() -> None:
    due = deleted_days_ago(31)
    out = StringIO()
    call_command("purge_fans", "--dry-run", "--json", stdout=out)
    assert (out.getvalue(), erased()) == ('{"dryRun": true, "erased": 1}\n', set())
    call_command("purge_fans", stdout=out)
    assert "1 fans, deleted more than 30 days ago, were erased." in out.getvalue()
    assert erased() == {due.pk}


def test_an_erased_fan_is_held_by_nobody() -> None:
    fan = deleted_days_ago(1)
    fan_services.fan_erase(fan=fan)
    with pytest.raises(NotFound):
        selectors.fan_get_held(creator=fan.creator, fan_id=fan.pk)
    with pytest.raises(NotFound):
        fan_services.fan_erase(fan=fan)


def test_a_fault_while_erasing_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    message = MessageFactory(text="kept")

    class Broken:
        def withdraw(self, fan: Fan) -> None: ...

        def erase(self, fan: Fan) -> None:
            Message.objects.update(text="")
            raise RuntimeError

    monkeypatch.setattr(fan_services, "fan_holders", lambda: (Broken(),))
    with pytest.raises(RuntimeError):
        fan_services.fan_erase(fan=message.conversation.fan)
    message.refresh_from_db()
    assert message.text == "kept"


def at_once(*actions: Callable[[], object]) -> list[object]:
    """What each of them gave or raised, all begun in one moment."""
    gate, results = threading.Barrier(len(actions)), [None] * len(actions)

    def run(index: int) -> None:
        gate.wait()
        try:
            results[index] = actions[index]()
        except Exception as error:
            results[index] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_one_wins() -> None:
    fan = FanFactory()
    copies = [Fan.objects.get(pk=fan.pk) for _ in range(4)]
    changes = [
        lambda copy=copy, index=index: fan_services.fan_update(fan=copy, seen=[1], notes=str(index))
        for index, copy in enumerate(copies)
    ]
    results = at_once(*changes)
    assert sorted(type(result).__name__ for result in results) == ["Fan", "Stale", "Stale", "Stale"]
    assert isinstance(results[int(Fan.objects.get().notes)], Fan)


@pytest.mark.django_db(transaction=True)
def test_of_two_creations_at_once_one_is_a_conflict() -> None:
    creator = CreatorFactory()
    create = lambda: fan_services.fan_create(creator=creator, platform_id="7")  # noqa: E731
    assert sorted(type(result).__name__ for result in at_once(create, create)) == ["Conflict", "Fan"]


@pytest.mark.django_db(transaction=True)
def test_several_purges_share_the_work() -> None:
    due = {deleted_days_ago(31).pk for _ in range(12)}
    counts = at_once(*[fan_services.fans_purge] * 3)
    assert sum(count for count in counts if isinstance(count, int)) == 12
    assert erased() == due


@pytest.mark.django_db(transaction=True)
def test_a_purge_leaves_alone_whom_somebody_restores_in_this_moment() -> None:
    fan = deleted_days_ago(31)
    with transaction.atomic():
        Fan.objects.filter(pk=fan.pk).update(deleted_at=None)
        assert at_once(fan_services.fans_purge) == [0]
    assert erased() == set()


def test_stale_is_told_from_gone() -> None:
    fan = FanFactory()
    with pytest.raises(Stale):
        fan_services.fan_update(fan=fan, seen=[0], name="late")
