"""Answers whether the import pages work without JavaScript, for those who may. Touches the database through pages."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from crm.models import Fan, Membership, Role, Transaction
from crm.services import message_record_sent
from crm.tests.factories import MembershipFactory
from onlyfans.csv_import import fans_import
from onlyfans.import_jobs import import_run
from onlyfans.models import ImportBatch, ImportJob, ImportStatus

pytestmark = pytest.mark.django_db
URL = "/platforms/onlyfans/import"


@pytest.fixture(autouse=True)
def plain_static_files(settings: Any) -> None:
    """Pages name static files, which are not collected for tests."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }


@pytest.fixture
def owner() -> Membership:
    return MembershipFactory.create()


def client_of(membership: Membership) -> Client:
    client = Client()
    client.force_login(membership.user)
    return client


def upload(client: Client, content: bytes = b"Username\nada\nb b\n", **fields: str) -> Any:
    return client.post(URL, {"file": SimpleUploadedFile("<b>.csv", content), **fields}, follow=True)


def test_a_visitor_is_asked_to_sign_in() -> None:
    response = Client().get(URL)
    assert (response.status_code, response["Location"]) == (302, f"/sign-in?next={URL}")


def test_the_form_posts_a_file_with_a_token(owner: Membership) -> None:
    html = client_of(owner).get(URL).content.decode()
    assert 'enctype="multipart/form-data"' in html
    assert "csrfmiddlewaretoken" in html
    assert "Nothing was imported yet" in html


def test_a_post_without_a_token_is_refused(owner: Membership) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner.user)
    assert client.post(URL, {"file": SimpleUploadedFile("a.csv", b"Username\nada\n")}).status_code == 403
    assert not Fan.objects.exists()


def test_an_import_shows_its_counts_and_problems(owner: Membership) -> None:
    response = upload(client_of(owner))
    batch = ImportBatch.objects.get()
    assert response.redirect_chain == [(f"{URL}/{batch.pk}", 302)]
    html = response.content.decode()
    assert "&lt;b&gt;.csv" in html
    assert "This is no username" in html
    assert f"{URL}/{batch.pk}/errors.csv" in html
    assert Fan.objects.get().creator == owner.creator


def test_a_check_changes_nothing(owner: Membership) -> None:
    assert "Nothing was changed" in upload(client_of(owner), dry_run="1").content.decode()
    assert not Fan.objects.exists()


def test_the_rejected_rows_can_be_downloaded(owner: Membership) -> None:
    client = client_of(owner)
    upload(client)
    batch = ImportBatch.objects.get()
    response = client.get(f"{URL}/{batch.pk}/errors.csv")
    assert response.content.decode("utf-8-sig").splitlines()[0] == f"error,as in import {batch.pk},Username"


@pytest.mark.parametrize(
    ("content", "status", "sentence"),
    [(b"", 422, "The file is empty."), (b"Name\nAda\n", 422, "No column says who"), (b"a" * 2_000, 413, "larger than")],
)
def test_what_is_wrong_with_a_file_is_said_in_place(
    owner: Membership, settings: Any, content: bytes, status: int, sentence: str
) -> None:
    settings.IMPORT_MAX_BYTES = 1_000
    response = upload(client_of(owner), content)
    assert response.status_code == status
    assert sentence in response.content.decode()
    assert 'aria-invalid="true"' in response.content.decode()


def test_the_form_can_say_how_dates_are_written(owner: Membership) -> None:
    content = b"Username,Last Seen\nada,3/4/2026\n"
    assert "&#x27;Last Seen&#x27;" in upload(client_of(owner), content).content.decode()
    upload(client_of(owner), content, day_first="true")
    assert str(Fan.objects.get().last_seen_at)[:10] == "2026-04-03"


def test_no_file_is_said_in_place(owner: Membership) -> None:
    response = client_of(owner).post(URL)
    assert response.status_code == 400
    assert "Choose a file first." in response.content.decode()


def test_the_history_shows_the_creators_own_imports(owner: Membership) -> None:
    upload(client_of(owner))
    assert "&lt;b&gt;.csv" in client_of(owner).get(URL).content.decode()
    assert "&lt;b&gt;.csv" not in client_of(MembershipFactory.create()).get(URL).content.decode()


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_other_teammates_are_turned_away(owner: Membership, role: Role) -> None:
    upload(client_of(owner))
    client = client_of(MembershipFactory.create(creator=owner.creator, role=role))
    path = f"{URL}/{ImportBatch.objects.get().pk}"
    assert {client.get(p).status_code for p in (URL, path, f"{path}/errors.csv")} == {403}
    assert client.post(f"{path}/undo").status_code == 403


def test_a_strangers_import_does_not_exist(owner: Membership) -> None:
    upload(client_of(owner))
    client = client_of(MembershipFactory.create())
    path = f"{URL}/{ImportBatch.objects.get().pk}"
    assert {client.get(p).status_code for p in (path, f"{path}/errors.csv")} == {404}
    assert client.post(f"{path}/undo").status_code == 404
    assert Fan.objects.exists()


def test_an_import_is_undone_and_told_so_ever_after(owner: Membership) -> None:
    client = client_of(owner)
    assert "Undo this import" in upload(client).content.decode()
    html = client.post(f"{URL}/{ImportBatch.objects.get().pk}/undo", follow=True).content.decode()
    assert "This import was undone" in html
    assert "Undo this import" not in html
    assert not Fan.objects.exists()
    assert "Undone" in client.get(URL).content.decode()


def test_why_an_import_cannot_be_undone_is_told(owner: Membership) -> None:
    client = client_of(owner)
    upload(client)
    message_record_sent(fan=Fan.objects.get(), text="Hi", sent_at=timezone.now(), platform_message_id="1")
    html = client.post(f"{URL}/{ImportBatch.objects.get().pk}/undo", follow=True).content.decode()
    assert "alert--error" in html
    assert Fan.objects.get().handle == "ada"


def test_checks_are_not_in_the_history(owner: Membership) -> None:
    upload(client_of(owner), dry_run="1")
    assert "Nothing was imported yet" in client_of(owner).get(URL).content.decode()


def test_the_form_alone_reads_a_file_as_the_last_time_but_overwrites_only_what_is_ticked(owner: Membership) -> None:
    fans_import(
        creator=owner.creator, user=None, filename="f.csv", content=b"Who,Name\nada,Ada\n",
        mapping={"handle": "Who"}, overwrite=["name"],
    )  # fmt: skip
    assert "&#x27;Who&#x27;" in upload(client_of(owner), b"Who,Name\nada,Eve\n").content.decode()
    assert Fan.objects.get().name == "Ada"
    upload(client_of(owner), b"Who,Name\nada,Eve\n", overwrite="name")
    assert Fan.objects.get().name == "Eve"


def test_a_large_file_shows_how_far_it_is_and_then_what_became_of_it(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    client = client_of(owner)
    assert "waits for its turn" in upload(client).content.decode()
    batch = ImportBatch.objects.get()
    ImportBatch.objects.update(status=ImportStatus.RUNNING)
    ImportJob.objects.update(rows_done=1_000, rows_total=4_000)
    html = client.get(f"{URL}/{batch.pk}").content.decode()
    assert 'value="1000" max="4000"' in html
    assert "1,000 of 4,000 rows read" in html
    assert "badge--running" in client.get(URL).content.decode()
    polling = {"headers": {"HX-Request": "true", "HX-Target": "waiting"}}
    assert "HX-Refresh" not in client.get(f"{URL}/{batch.pk}", **polling)
    import_run(import_id=batch.pk, stopping=lambda: False)
    assert client.get(f"{URL}/{batch.pk}", **polling)["HX-Refresh"] == "true"
    assert "Undo this import" in client.get(f"{URL}/{batch.pk}").content.decode()


def test_an_import_that_nobody_takes_up_says_what_to_do(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    client = client_of(owner)
    assert "manage.py run_jobs" not in upload(client).content.decode()
    ImportBatch.objects.update(created_at=timezone.now() - timedelta(minutes=2))
    assert "manage.py run_jobs" in client.get(f"{URL}/{ImportBatch.objects.get().pk}").content.decode()


def test_why_a_large_file_was_not_imported_is_told(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    client = client_of(owner)
    upload(client, b"Name\nAda\n")
    batch = ImportBatch.objects.get()
    import_run(import_id=batch.pk, stopping=lambda: False)
    html = client.get(f"{URL}/{batch.pk}").content.decode()
    assert "No column says who the fan is." in html
    assert "Undo this import" not in html
    assert "badge--failed" in client.get(URL).content.decode()


def test_large_checks_are_not_in_the_history_either(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    upload(client_of(owner), dry_run="1")
    assert "Nothing was imported yet" in client_of(owner).get(URL).content.decode()


def test_the_form_alone_knows_transactions_by_their_columns(owner: Membership) -> None:
    html = upload(client_of(owner), b"Date,Gross,Net\n2026-06-30,10,8\n").content.decode()
    assert "Undo this import" in html
    assert Transaction.objects.get().gross_cents == 1_000


def test_what_is_wrong_is_kept_in_english_and_said_in_the_readers_language(owner: Membership) -> None:
    client = client_of(owner)
    html = upload(client, b"Username,Name\nada," + 201 * b"a" + b"\nbo,Bo\nbo,Bob\n").content.decode()
    assert "A name has at most 200 characters." in html
    batch = ImportBatch.objects.get()
    french = client.get(f"{URL}/{batch.pk}", headers={"Accept-Language": "fr"}).content.decode()
    assert "Un nom compte au plus 200 caractères." in french
    assert "Ignorée\u202f: la ligne 4 concerne le même fan" in french
    [row] = batch.rows.filter(overtaken_by=None)
    assert row.problems[0]["error"] == "A name has at most 200 characters."


def test_why_a_large_file_was_not_imported_is_told_in_the_readers_language(owner: Membership, settings: Any) -> None:
    settings.IMPORT_JOB_BYTES = 0
    client = client_of(owner)
    upload(client, b"Name\nAda\n")
    batch = ImportBatch.objects.get()
    import_run(import_id=batch.pk, stopping=lambda: False)
    french = {"Accept-Language": "fr"}
    assert "Aucune colonne ne dit qui est le fan." in client.get(f"{URL}/{batch.pk}", headers=french).content.decode()
    answer = client.get(f"/api/onlyfans/imports/{batch.pk}", headers=french).json()
    assert (answer["failure"]["code"], answer["failure"]["detail"][:14]) == ("no_key_column", "Aucune colonne")
