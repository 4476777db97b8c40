"""Answers whether a person imports a file of any columns by the steps of the page. Drives Chromium and the database."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Locator, Page, expect

from crm.models import Creator, Fan, Role, Transaction
from crm.tests.factories import FanFactory, MembershipFactory
from onlyfans.csv_conventions import AS_BEFORE
from onlyfans.import_jobs import import_run
from onlyfans.models import ImportBatch, ImportJob, ImportStatus
from onlyfans.payloads import NO_KEY
from tests.browser import DESK, EMAIL, EVERYWHERE, PHONE, SCREENS, assert_accessible, complaints_of, page_of, sign_in
from tests.words import ENGLISH, Words

pytestmark = pytest.mark.browser
URL = "/platforms/onlyfans/import"
WHICH_FIRST = "The file does not say whether the day or the month is first. Choose which it is."
AGAIN = "Columns and overwriting are chosen as in your import of %s on %s."
TEXT = 'Who,Alias,Worth,Last Seen\nada,Ada,"1,234.50",3/4/2026\nb b,Bob,5,5/4/2026\neve,Eve,7,6/4/2026\n'


@pytest.fixture
def creator(transactional_db: None) -> Creator:
    creator = MembershipFactory.create(user__email=EMAIL, creator__name="Ava Noir", role=Role.OWNER).creator
    FanFactory.create(creator=creator, platform_id="ada", handle="ada", name="My Ada")
    return creator


@contextmanager
def signed_in(
    base_url: str, screen: dict[str, Any] = DESK, scheme: str = "light", say: Words = ENGLISH, **options: Any
) -> Iterator[Page]:
    """A page at the import that has nothing to complain of in the end."""
    with page_of(base_url, screen, scheme, say, **options) as page:
        console = complaints_of(page, "Security Policy")
        page.goto(f"/sign-in?next={URL}")
        sign_in(page, say)
        yield page
    assert console == []


def choose(page: Page, text: str = TEXT, name: str = "fans.csv") -> None:
    payload = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    page.locator("#file").set_input_files(files=[payload])  # type: ignore[list-item]


def field(page: Page, name: str) -> Locator:
    """Where its column is chosen: of the sort of file that is shown, since the other's fields are there, too."""
    return page.get_by_role("combobox", name=name, exact=True)


def press(target: Locator, page: Page) -> None:
    """By keyboard alone."""
    target.focus()
    page.keyboard.press("Enter")


@EVERYWHERE
def test_columns_are_assigned_checked_imported_and_undone(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: str, say: Words, tmp_path: Path
) -> None:
    overwrite = say("Overwrite what people edited here")
    with signed_in(live_server.url, screen, scheme, say) as page:
        expect(page.get_by_role("heading", name=say("Which column is what"))).to_be_hidden()
        assert_accessible(page)
        choose(page)
        expect(page.get_by_role("heading", name=say("Which column is what"))).to_be_focused()
        expect(field(page, say("Last seen"))).to_have_value("Last Seen")
        expect(page.get_by_role("region", name=say("The first rows"))).to_contain_text("1,234.50")
        assert_accessible(page)

        check = page.get_by_role("button", name=say("Check the file"))
        press(check, page)
        expect(page.get_by_text(say(NO_KEY).partition(".")[0])).to_be_visible()
        field(page, say("Username")).select_option("Who")
        expect(page.get_by_text("ada, b b, eve")).to_be_visible()
        field(page, say("Name")).select_option("Alias")
        field(page, say("Value")).select_option("Worth")
        page.get_by_role("group", name=overwrite).get_by_label(say("Name")).check()
        press(check, page)
        expect(page.get_by_text(say(WHICH_FIRST))).to_be_visible()
        expect(page.get_by_label(say("Dates such as 3/4/2026"))).to_be_focused()
        assert_accessible(page)

        page.get_by_label(say("Dates such as 3/4/2026")).select_option("true")
        press(check, page)
        expect(page.get_by_role("heading", name=say("What the import would do"))).to_be_focused()
        rejected = page.get_by_role("region", name=say("Rejected rows"))
        expect(rejected.locator("tbody tr")).to_contain_text("b b")
        assert_accessible(page)
        field(page, say("Value")).select_option("")
        expect(page.get_by_role("heading", name=say("What the import would do"))).to_be_hidden()
        field(page, say("Value")).select_option("Worth")
        press(check, page)
        press(page.get_by_role("button", name=say("Import %s rows", count=2).replace("%s", "2")), page)

        page.wait_for_url(f"**{URL}/*")
        assert_accessible(page)
        with page.expect_download() as download:
            page.get_by_role("link", name=say("Download them to mend")).click()
        download.value.save_as(tmp_path / "errors.csv")
        assert "b b,Bob" in (tmp_path / "errors.csv").read_text("utf-8-sig")

        page.goto(URL)
        choose(page, TEXT.replace("3/4", "7/4"), "again.csv")
        expect(page.get_by_text(say(AGAIN).partition("%s")[0])).to_be_visible()
        expect(field(page, say("Username"))).to_have_value("Who")
        expect(page.get_by_role("group", name=overwrite).get_by_label(say("Name"))).to_be_checked()
        press(check, page)
        expect(page.get_by_text(say(AS_BEFORE).partition("%(order)s")[2])).to_be_visible()

        page.get_by_role("link", name="fans.csv", exact=True).click()
        page.get_by_text(say("Undo this import")).click()
        assert_accessible(page)
        page.get_by_role("button", name=say("Yes, undo it")).click()
        expect(page.get_by_text(say("This import was undone on"))).to_be_visible()
        assert_accessible(page)
        page.goto(URL)
        expect(page.get_by_role("row", name=f"fans.csv {say('Undone')}")).to_be_visible()
        assert_accessible(page)
    assert list(Fan.objects.values_list("handle", "name", "value_cents")) == [("ada", "My Ada", 0)]
    assert ImportBatch.objects.exclude(status=ImportStatus.DRY_RUN).get().status == ImportStatus.UNDONE


def test_a_dropped_file_is_looked_into_and_a_wrong_one_is_told(creator: Creator, live_server: Any) -> None:
    with signed_in(live_server.url) as page:
        choose(page, "")
        expect(page.get_by_role("alert").get_by_text("The file is empty.")).to_be_visible()
        assert_accessible(page)
        transfer = page.evaluate_handle(
            "text => { const all = new DataTransfer(); all.items.add(new File([text], 'a.csv')); return all; }",
            "Username\nada\n",
        )
        page.dispatch_event("[data-drop]", "drop", {"dataTransfer": transfer})
        expect(field(page, "Username")).to_have_value("Username")
        expect(page.get_by_text("The file is empty.")).to_be_hidden()
        page.get_by_role("button", name="Check the file").click()
        page.get_by_role("button", name="Import 1 row").click()
        expect(page.get_by_text("Every row of the file was taken.")).to_be_visible()


def test_a_lost_answer_is_asked_for_again_and_nothing_is_imported_twice(creator: Creator, live_server: Any) -> None:
    with signed_in(live_server.url) as page:
        choose(page, "Username\nada\nbob\n")
        page.get_by_role("button", name="Check the file").click()
        button = page.get_by_role("button", name="Import 2 rows")
        expect(button).to_be_visible()
        lost = lambda route: (route.fetch(), route.abort())  # noqa: E731  done there, never heard of here
        page.route("**/api/onlyfans/import/csv", lost)
        button.click()
        expect(page.get_by_text("The file could not be sent.")).to_be_visible()
        page.unroute("**/api/onlyfans/import/csv")
        button.click()
        expect(page.get_by_text("Every row of the file was taken.")).to_be_visible()
    assert ImportBatch.objects.filter(status=ImportStatus.DONE).count() == 1


def worker(does: Callable[..., None], *args: int) -> None:
    """In a thread, because Playwright's has a loop in which Django refuses to wait for the database."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(does, *args).result()


def reads(rows: int) -> None:
    ImportJob.objects.update(rows_done=rows, rows_total=4_000)
    ImportBatch.objects.filter(status=ImportStatus.QUEUED).update(status=ImportStatus.RUNNING)
    connection.close()


def ends() -> None:
    import_run(import_id=ImportBatch.objects.latest("pk").pk, stopping=lambda: False)
    connection.close()


@SCREENS
def test_a_large_file_is_followed_until_a_worker_has_done_it(
    creator: Creator, live_server: Any, settings: Any, screen: dict[str, Any], scheme: str
) -> None:
    settings.IMPORT_JOB_BYTES = 0
    with signed_in(live_server.url, screen, scheme) as page:
        choose(page, "Username\nada\nbob\n")
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_text("waits for its turn")).to_be_visible()
        worker(reads, 1_000)
        expect(page.get_by_text("1,000 of 4,000 rows read")).to_be_visible()
        assert_accessible(page)
        worker(ends)
        page.get_by_role("button", name="Import 2 rows").click()

        page.wait_for_url(f"**{URL}/*")
        expect(page.get_by_text("waits for its turn")).to_be_visible()
        worker(reads, 3_000)
        expect(page.get_by_text("3,000 of 4,000 rows read")).to_be_visible()
        assert_accessible(page)
        worker(ends)
        expect(page.get_by_text("Every row of the file was taken.")).to_be_visible()


def test_why_a_worker_cannot_check_a_large_file_is_told_in_place(
    creator: Creator, live_server: Any, settings: Any
) -> None:
    settings.IMPORT_JOB_BYTES = 0
    with signed_in(live_server.url) as page:
        choose(page, "Username,Last Seen\nada,3/4/2026\n")
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_text("waits for its turn")).to_be_visible()
        worker(ends)
        expect(page.get_by_text("Choose which it is.")).to_be_visible()
        expect(page.get_by_label("Dates such as")).to_be_focused()


@SCREENS
def test_a_list_of_transactions_is_known_checked_and_imported(
    creator: Creator, live_server: Any, screen: dict[str, Any], scheme: str
) -> None:
    with signed_in(live_server.url, screen, scheme) as page:
        choose(page, "Date,Gross,OF Fee,Net,Fan ID\n2026-06-30,10.00,2.00,8.00,7\n2026-06-31,1.00,0.20,0.80,7\n")
        expect(page.get_by_text("These are transactions.")).to_be_visible()
        expect(page.get_by_role("group", name="Overwrite")).to_be_hidden()
        expect(field(page, "Value")).to_be_hidden()
        assert_accessible(page)
        page.get_by_role("button", name="Check the file").click()
        expect(page.get_by_text("There is no such date.")).to_be_visible()
        page.get_by_role("button", name="Import 1 row").click()
        page.wait_for_url(f"**{URL}/*")
        expect(page.get_by_role("link", name="See the figures")).to_be_visible()
        assert_accessible(page)
    assert Transaction.objects.get().net_cents == 800


def test_columns_of_transactions_can_be_assigned(creator: Creator, live_server: Any) -> None:
    with signed_in(live_server.url, PHONE) as page:
        choose(page, "Day,Before,After,Fan ID\n2026-06-30,10.00,8.00,7\n")
        expect(page.locator("[data-about]")).to_contain_text("Username or Fan ID")
        page.get_by_label("Each row is").select_option("a transaction")
        expect(page.locator("[data-about]")).to_contain_text("Date and two of")
        expect(page.get_by_label("Each row is")).to_be_focused()
        field(page, "Date").select_option("Day")
        field(page, "Gross").select_option("Before")
        field(page, "Net").select_option("After")
        assert_accessible(page)
        page.get_by_role("button", name="Check the file").click()
        page.get_by_role("button", name="Import 1 row").click()
        page.wait_for_url(f"**{URL}/*")
        expect(page.get_by_role("link", name="See the figures")).to_be_visible()
    assert Transaction.objects.get().net_cents == 800


def test_the_steps_speak_the_readers_language(creator: Creator, live_server: Any) -> None:
    with signed_in(live_server.url) as page:
        page.context.add_cookies([{"name": "django_language", "value": "fr", "url": live_server.url}])
        page.goto(URL)
        payload = {"name": "fans.csv", "mimeType": "text/csv", "buffer": b"Username\nada\nbo\n" + 1_000 * b"no name\n"}
        page.locator("#file").set_input_files(files=[payload])  # type: ignore[list-item]
        expect(page.locator("[data-about]")).to_contain_text("1\u202f002 lignes. Le nom d’utilisateur ou")
        page.locator("[data-check]").click()
        expect(page.locator("[data-do-import]")).to_have_text("Importer 2 lignes")
        expect(page.locator("[data-outcome]")).to_contain_text("Ce n’est pas un nom d’utilisateur")


def test_without_javascript_the_form_imports_with_the_guessed_columns(creator: Creator, live_server: Any) -> None:
    with signed_in(live_server.url, PHONE, java_script_enabled=False) as page:
        choose(page, "Username\nada\n")
        page.get_by_role("button", name="Import", exact=True).click()
        expect(page.get_by_text("Every row of the file was taken.")).to_be_visible()
