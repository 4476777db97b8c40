"""Answers whether operators preview, confirm and export fans, and see no key. Touches the admin's pages."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from crm.models import Creator, Fan, MessageStatus, User
from crm.tests.factories import CreatorFactory, FanFactory, UserFactory
from messaging.tests.factories import delivery_make
from onlyfans.csv_import import fans_import
from onlyfans.models import Account, AccountEvent, AccountState, ImportBatch
from onlyfans.services import account_connect, account_disconnect

pytestmark = pytest.mark.django_db
TEXT = b"Username,Display Name,Total Spent\nada,Ada,$5\nb b,Bob,$1\n"


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Pages name static files, which are not collected for tests."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def operator() -> User:
    return UserFactory.create(is_staff=True, is_superuser=True)


@pytest.fixture
def client(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory.create()


def preview(client: Client, creator: Creator, content: bytes = TEXT, **more: str) -> Any:
    return client.post(
        "/admin/crm/fan/import/",
        {
            "import_file": SimpleUploadedFile("fans.csv", content),
            "format": "0",
            "resource": "0",
            "creator": creator.pk,
            **more,
        },
    )


def confirm(client: Client, response: Any) -> Any:
    form = response.context["confirm_form"]
    return client.post(
        "/admin/crm/fan/process_import/", {name: form[name].value() for name in form.fields}, follow=True
    )


def test_the_import_asks_for_the_creator(client: Client, creator: Creator) -> None:
    html = client.get("/admin/crm/fan/import/").content.decode()
    assert 'name="creator"' in html
    response = client.post(
        "/admin/crm/fan/import/", {"import_file": SimpleUploadedFile("f.csv", TEXT), "format": "0", "resource": "0"}
    )
    assert "creator" in response.context["form"].errors


def test_a_preview_lists_rows_and_changes_nothing(client: Client, creator: Creator) -> None:
    response = preview(client, creator)
    html = response.content.decode()
    assert "Ada" in html
    assert "Rejected. Username" in html
    assert "Confirm import" in html
    assert not Fan.objects.exists()


def test_a_confirmed_import_is_the_same_import_as_elsewhere(client: Client, operator: User, creator: Creator) -> None:
    response = confirm(client, preview(client, creator))
    assert "1 new, 0 updated, 0 unchanged, 0 skipped, 1 rejected" in response.content.decode()
    fan = Fan.objects.get()
    assert (fan.creator, fan.name, fan.value_cents) == (creator, "Ada", 500)
    batch = ImportBatch.objects.get(status="done")
    assert (batch.filename, batch.created_by) == ("fans.csv", operator)


def test_a_file_in_another_encoding_is_taken(client: Client, creator: Creator) -> None:
    confirm(client, preview(client, creator, "Pseudo;Nom affiché\nada;Adèle\n".encode("cp1252")))
    assert Fan.objects.get().name == "Adèle"


def test_the_order_of_dates_goes_with_the_file(client: Client, creator: Creator) -> None:
    content = b"Username,Last Seen\nada,3/4/2026\n"
    assert "with the day or the month first" in preview(client, creator, content).content.decode()
    confirm(client, preview(client, creator, content, day_first="true"))
    assert str(Fan.objects.get().last_seen_at)[:10] == "2026-04-03"


def test_an_unreadable_file_is_told_without_a_traceback(client: Client, creator: Creator) -> None:
    html = preview(client, creator, b"Name\nAda\n").content.decode()
    assert "No column says who the fan is" in html
    assert "Traceback" not in html
    assert "Confirm import" not in html


def test_an_upload_that_waited_too_long_is_told(client: Client, creator: Creator) -> None:
    response = preview(client, creator)
    cache.clear()
    assert "The file is empty" in confirm(client, response).content.decode()
    assert not Fan.objects.exists()


def test_staff_without_every_right_may_neither_import_nor_export(creator: Creator) -> None:
    client = Client()
    client.force_login(UserFactory.create(is_staff=True))
    assert client.get("/admin/crm/fan/import/").status_code == 403
    assert client.get("/admin/crm/fan/export/").status_code == 403


def test_an_export_carries_no_formula_and_can_be_imported_again(client: Client, creator: Creator) -> None:
    FanFactory.create(
        creator=creator, platform_id="7", handle="ada", name="=1+1", notes="-1+1", tags=["vip", "x"], value_cents=1_234
    )
    FanFactory.create(creator=creator, platform_id="bob", handle="bob", name="Bob")
    names = ["creator_name", "platform_id", "handle", "name", "email", "tags", "notes", "value_cents", "last_seen_at"]
    response = client.post(
        "/admin/crm/fan/export/",
        {"format": "0", "resource": "0", **{f"fanresource_{name}": "on" for name in names}},
    )
    text = response.content.decode("utf-8-sig")
    assert response["Content-Type"].startswith("text/csv")
    assert f"{creator.name},7,ada,'=1+1,,\"vip, x\",'-1+1,12.34," in text
    assert f"{creator.name},,bob,Bob," in text
    other = CreatorFactory.create(name=creator.name)
    confirm(client, preview(client, other, response.content))
    fan = Fan.objects.get(creator=other, platform_id="7")
    assert (fan.name, fan.notes, fan.tags, fan.value_cents) == ("=1+1", "-1+1", ["vip", "x"], 1_234)
    assert Fan.objects.filter(creator=other, platform_id="bob").exists()


@pytest.mark.parametrize("path", ["crm/fan/", "onlyfans/account/", "onlyfans/importbatch/", "onlyfans/account/add/"])
def test_the_lists_open(client: Client, path: str) -> None:
    assert client.get(f"/admin/{path}").status_code == 200


def test_an_import_is_history(client: Client, creator: Creator) -> None:
    confirm(client, preview(client, creator, TEXT + b"ada,Ada,$6\n"))
    batch = ImportBatch.objects.get(status="done")
    html = client.get(f"/admin/onlyfans/importbatch/{batch.pk}/change/").content.decode()
    assert "Row 3: Username This is no username" in html
    assert "Row 2: Skipped: row 4 is about the same fan" in html
    assert client.post(f"/admin/onlyfans/importbatch/{batch.pk}/delete/").status_code == 403


def test_a_key_goes_in_and_never_comes_out(client: Client, creator: Creator) -> None:
    address = "/admin/onlyfans/account/add/"
    fields = {"creator": creator.pk, "account_id": "acct_1"}
    assert "An account needs its key" in client.post(address, fields).content.decode()
    assert client.post(address, {**fields, "new_key": "ofapi_secret"}).status_code == 302
    account = Account.objects.get()
    assert (account.api_key, account.state) == ("ofapi_secret", AccountState.CONNECTED)
    page = f"/admin/onlyfans/account/{account.pk}/change/"
    assert "ofapi_secret" not in client.get(page).content.decode()
    assert client.post(page, {"account_id": "acct_2", "new_key": ""}).status_code == 302
    account.refresh_from_db()
    assert (account.account_id, account.api_key) == ("acct_2", "ofapi_secret")
    assert "1 to 500 printable" in client.post(page, {"account_id": "acct_2", "new_key": "a b"}).content.decode()


def stored_key() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key FROM onlyfans_account")
        [(token,)] = cursor.fetchall()
    return str(token)


@pytest.mark.parametrize("opened", [True, False], ids=["a key that is read", "one that nothing opens"])
def test_no_key_is_stored_where_none_was_typed(client: Client, creator: Creator, opened: bool) -> None:
    account = account_connect(creator=creator, account_id="acct_1", api_key="k")
    if not opened:
        foreign = Fernet(Fernet.generate_key()).encrypt(b"k").decode()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE onlyfans_account SET api_key = %s", [foreign])
        AccountEvent.objects.all().delete()
    before = stored_key()
    page = f"/admin/onlyfans/account/{account.pk}/change/"
    assert client.post(page, {"account_id": "acct_2", "new_key": ""}).status_code == 302
    assert (Account.objects.get().account_id, stored_key()) == ("acct_2", before)
    assert not AccountEvent.objects.filter(pgh_label="key_stored").exists()


def test_another_account_is_not_put_in_while_messages_wait(client: Client, creator: Creator) -> None:
    account = account_connect(creator=creator, account_id="acct_1", api_key="k")
    delivery_make(fan=FanFactory(creator=creator), state=MessageStatus.QUEUED)
    page = f"/admin/onlyfans/account/{account.pk}/change/"
    told = client.post(page, {"account_id": "acct_2", "new_key": "other"}, follow=True).content.decode()
    assert "1 message still waits to be sent from acct_1" in told
    account.refresh_from_db()
    assert (account.account_id, account.api_key) == ("acct_1", "k")


def test_saving_an_account_unchanged_does_not_connect_it_again(client: Client, creator: Creator) -> None:
    account = account_connect(creator=creator, account_id="acct_1", api_key="k")
    account_disconnect(creator=creator)
    client.post(f"/admin/onlyfans/account/{account.pk}/change/", {"account_id": "acct_1", "new_key": ""})
    account.refresh_from_db()
    assert account.state == AccountState.DISCONNECTED


def test_an_operator_can_disconnect_an_account(client: Client, creator: Creator) -> None:
    account = account_connect(creator=creator, account_id="acct_1", api_key="k")
    client.post("/admin/onlyfans/account/", {"action": "disconnect", "_selected_action": [account.pk]})
    account.refresh_from_db()
    assert account.state == AccountState.DISCONNECTED


def test_a_deleted_fan_is_neither_listed_nor_exported(client: Client, creator: Creator) -> None:
    export = {"format": "0", "resource": "0", "fanresource_handle": "on"}
    FanFactory.create(creator=creator, handle="kept")
    FanFactory.create(creator=creator, handle="gone", deleted_at=timezone.now())
    for answer in (client.get("/admin/crm/fan/"), client.post("/admin/crm/fan/export/", export)):
        assert (b"kept" in answer.content, b"gone" in answer.content) == (True, False)


def test_the_preview_shows_the_columns_and_reads_them_as_the_last_time(client: Client, creator: Creator) -> None:
    content = b"Who,Display Name\nada,Ada\n"
    assert "No column says who the fan is." in preview(client, creator, content).content.decode()
    fans_import(creator=creator, user=None, filename="f.csv", content=content, mapping={"handle": "Who"})
    response = preview(client, creator, content.replace(b"ada,Ada", b"eve,Eve"))
    html = response.content.decode()
    assert "handle from &#x27;Who&#x27;" in html
    assert "As in the import of" in html
    confirm(client, response)
    assert Fan.objects.filter(creator=creator, handle="eve").exists()


def test_transactions_are_not_imported_as_fans(client: Client, creator: Creator) -> None:
    html = preview(client, creator, b"Date,Gross,Net,Fan ID\n2026-06-30,10,8,7\n").content.decode()
    assert "This is a list of transactions" in html
