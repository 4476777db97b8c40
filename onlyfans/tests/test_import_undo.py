"""Answers whether an import can be taken back, by whom, and what stays. Touches the database as the doors do."""

from io import StringIO

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from crm.errors import Conflict
from crm.models import Creator, Fan, FanBatch, FanBefore, Membership, Role
from crm.services import conversation_open, message_record_sent
from crm.tests.factories import CreatorFactory, FanFactory, MembershipFactory, UserFactory
from onlyfans.csv_import import fans_import
from onlyfans.import_services import import_undo
from onlyfans.models import ImportBatch, ImportStatus

pytestmark = pytest.mark.django_db
TEXT = "Fan ID,Username,Name,Total Spent\n7,ada,Ada,$5\n8,bob,Bob,$6\n"


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def imported(creator: Creator, text: str = TEXT, **options: object) -> ImportBatch:
    return fans_import(creator=creator, user=None, filename="f.csv", content=text.encode(), **options).batch  # type: ignore[arg-type]


def fans() -> list[tuple[object, ...]]:
    fields = ("pk", "platform_id", "handle", "name", "email", "tags", "notes", "value_cents", "last_seen_at")
    return list(Fan.objects.order_by("pk").values_list(*fields))


def test_what_the_import_made_goes_and_what_it_changed_is_as_before(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="old", name="", value_cents=9, tags=["vip"])
    FanFactory.create(creator=creator, platform_id="bob", handle="bob", name="B")
    other = FanFactory.create(platform_id="8")
    before = fans()
    batch = imported(creator, TEXT + "9,eve,Eve,$7\n")
    assert (batch.inserted, batch.updated) == (1, 2)
    undone = import_undo(batch=batch)
    assert (undone.deleted, undone.restored, undone.kept) == (1, 2, 0)
    assert fans() == before
    assert Fan.objects.filter(pk=other.pk).exists()
    assert not FanBefore.objects.exists()
    assert not FanBatch.objects.exists()
    batch.refresh_from_db()
    assert batch.status == ImportStatus.UNDONE
    assert batch.undone_at is not None


def test_what_somebody_changed_since_stays_and_is_told(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="7", handle="ada", name="", value_cents=9)
    batch = imported(creator)
    for fan in Fan.objects.all():
        fan.notes = "edited"
        fan.save()
    undone = import_undo(batch=batch)
    assert (undone.deleted, undone.restored, undone.kept) == (0, 0, 2)
    assert set(Fan.objects.values_list("value_cents", "notes")) == {(500, "edited"), (600, "edited")}
    batch.refresh_from_db()
    assert "2 were changed since" in batch.notices[-1]["text"]


def test_a_later_import_keeps_the_fans_it_changed(creator: Creator) -> None:
    first = imported(creator)
    second = imported(creator, TEXT.replace("$5", "$50"))
    assert import_undo(batch=first).kept == 1
    assert list(Fan.objects.values_list("platform_id", "value_cents")) == [("7", 5_000)]
    assert import_undo(batch=second).deleted == 1
    assert not Fan.objects.exists()


def test_undone_from_the_last_to_the_first_nothing_is_left_of_two_imports(creator: Creator) -> None:
    FanFactory.create(creator=creator, platform_id="8", handle="bob", name="B", value_cents=1)
    before = fans()
    first, second = imported(creator), imported(creator, TEXT.replace("$5", "$50").replace("$6", "$60"))
    assert import_undo(batch=second).restored == 2
    undone = import_undo(batch=first)
    assert (undone.deleted, undone.restored, undone.kept) == (1, 1, 0)
    assert fans() == before


@pytest.mark.parametrize("known", [True, False])
def test_once_a_message_went_out_nothing_is_undone(creator: Creator, known: bool) -> None:
    if known:
        FanFactory.create(creator=creator, platform_id="7", handle="ada", value_cents=9)
    batch = imported(creator)
    fan = Fan.objects.get(platform_id="7")
    message_record_sent(fan=fan, text="Hi", sent_at=timezone.now(), platform_message_id="1")
    before = fans()
    with pytest.raises(Conflict, match="went to 1 of its fans"):
        import_undo(batch=batch)
    assert fans() == before


def test_a_fan_with_a_conversation_does_not_go(creator: Creator) -> None:
    batch = imported(creator)
    conversation_open(fan=Fan.objects.get(platform_id="7"))
    with pytest.raises(Conflict, match="1 of its fans have conversations"):
        import_undo(batch=batch)
    assert Fan.objects.count() == 2


def test_there_is_nothing_to_undo_twice_or_of_a_dry_run(creator: Creator) -> None:
    with pytest.raises(Conflict, match="dry run"):
        import_undo(batch=imported(creator, dry_run=True))
    batch = imported(creator)
    import_undo(batch=batch)
    with pytest.raises(Conflict, match="undone already"):
        import_undo(batch=batch)


def post(membership: Membership, batch: ImportBatch) -> tuple[int, str]:
    client = APIClient()
    client.force_authenticate(membership.user)
    response = client.post(f"/api/onlyfans/imports/{batch.pk}/undo")
    return response.status_code, str(response.json().get("code", ""))


def test_a_manager_undoes_over_the_api_and_others_may_not(creator: Creator) -> None:
    batch = imported(creator)
    assert post(MembershipFactory.create(), batch) == (404, "import_not_found")
    assert post(MembershipFactory.create(creator=creator, role=Role.CHATTER), batch) == (403, "role_not_allowed")
    assert Fan.objects.count() == 2
    assert post(MembershipFactory.create(creator=creator, role=Role.OWNER), batch)[0] == 200
    assert not Fan.objects.exists()
    assert post(MembershipFactory.create(creator=creator, role=Role.MANAGER), batch) == (409, "import_undone")


def test_an_operator_undoes_in_the_admin(creator: Creator) -> None:
    batch = imported(creator)
    client = Client()
    client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
    for text in ("2 fans deleted", "undone already"):
        response = client.post("/admin/onlyfans/importbatch/", {"action": "undo", "_selected_action": [batch.pk]})
        assert text in str([*get_messages(response.wsgi_request)][-1])
    assert not Fan.objects.exists()


def test_the_command_undoes_and_says_what_stands_against_it(creator: Creator) -> None:
    batch = imported(creator)
    out = StringIO()
    call_command("undo_import", str(batch.pk), stdout=out, no_color=True)
    assert "2 fans deleted, 0 put back" in out.getvalue()
    with pytest.raises(CommandError, match="undone already"):
        call_command("undo_import", str(batch.pk))
    with pytest.raises(CommandError, match="no import 0"):
        call_command("undo_import", "0")
