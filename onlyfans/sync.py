"""Answers what the vendor knows of an account's fans, chats and money, and stores what is missing here.
Touches the vendor to read; writes through the services of crm, messaging and this app, page by page."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog
from django.db import connection, transaction
from django.utils import timezone

from crm.errors import Conflict, HuntazeError
from crm.models import Fan, TransactionSource
from crm.services import fan_meet
from crm.transaction_services import transaction_bulk_record
from onlyfans import client_reads
from onlyfans import event_payloads as payloads
from onlyfans.account_client import vendor_client
from onlyfans.client import VendorClient
from onlyfans.client_reads import Item, Page
from onlyfans.intake import fan_news, message_take, transaction_row
from onlyfans.models import Account, Resource
from onlyfans.selectors import deletion_known, sync_states
from onlyfans.services import sync_advance, sync_begin

logger = structlog.get_logger(__name__)
# How far back the first sync goes, as the vendor's own list of transactions does.
FIRST = timedelta(days=30)
# What a later one repeats, for what the vendor shows late.
OVERLAP = timedelta(hours=1)


@dataclass(slots=True)
class Counts:
    """Of one resource: items that the vendor showed, those that were new here, those that could not be read."""

    seen: int = 0
    new: int = 0
    unreadable: int = 0


@dataclass(slots=True)
class SyncReport:
    """What became of each resource; `pages` counts the vendor's answers."""

    counts: dict[str, Counts] = field(default_factory=lambda: {resource.value: Counts() for resource in Resource})
    pages: int = 0


@dataclass(frozen=True, slots=True)
class _Run:
    account: Account
    client: VendorClient
    since: datetime
    dry_run: bool
    report: SyncReport
    each: Callable[[int], None]

    def page(self, page: Page) -> Page:
        self.report.pages += 1
        self.each(self.report.pages)
        return page


def account_sync(
    account: Account,
    *,
    since: datetime | None = None,
    resources: Collection[Resource] = tuple(Resource),
    whole: bool = False,
    dry_run: bool = False,
    each: Callable[[int], None] = lambda pages: None,
) -> SyncReport:
    """Store what the vendor knows and is not stored here; the same again changes nothing.

    since: how far back chats and money are read; without it from where the last finished sync began, at first 30 days.
    An interrupted sync goes on after the last page that was stored; `whole` starts over. `each` is called with the
    number of pages so far. Raises VendorError where the vendor keeps failing, and Conflict where a sync runs already.
    """
    report = SyncReport()
    steps = {Resource.FANS: _fans, Resource.CHATS: _chats, Resource.TRANSACTIONS: _transactions}
    with _alone(account):
        known = sync_states(account=account)
        for resource in Resource:
            if resource not in resources:
                continue
            state = known.get(resource)
            last = state.finished_at if state is not None else None
            begin = since or (last - OVERLAP if last else timezone.now() - FIRST)
            run = _Run(account, vendor_client(account), begin, dry_run, report, each)
            _pages(run, resource, steps[resource], whole=whole)
    logger.info("synced", account_id=account.account_id, pages=report.pages)
    return report


def _pages(run: _Run, resource: Resource, step: Callable[[_Run, str, Counts], str], *, whole: bool) -> None:
    counts = run.report.counts[resource]
    if run.dry_run:
        cursor = step(run, "", counts)
        while cursor:
            cursor = step(run, cursor, counts)
        return
    state = sync_begin(account=run.account, resource=resource, since=run.since, whole=whole)
    while True:
        sync_advance(state=state, cursor=step(run, state.cursor, counts))
        if not state.cursor:
            return


@contextmanager
def _alone(account: Account) -> Iterator[None]:
    """One sync of an account at a time, over all processes."""
    key: tuple[str, int] = ("onlyfans.account_sync", account.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, %s))", key)
        if not cursor.fetchone()[0]:
            raise Conflict("A sync of this account is running already.", code="sync_running")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, %s))", key)


def _fan(run: _Run, person: Item) -> Fan:
    facts = payloads.fan_facts(person)
    seen = person.get("lastSeen")
    seen_at = payloads.moment(seen) if seen else None
    return fan_meet(creator=run.account.creator, news=fan_news(facts, as_of=timezone.now(), seen_at=seen_at))


def _fans(run: _Run, cursor: str, counts: Counts) -> str:
    """One page of fans: names, totals, who subscribes; one who came by handle gets the id."""
    page = run.page(client_reads.fans_page(run.client, cursor=cursor))
    known = set(
        Fan.objects.filter(
            creator=run.account.creator, platform_id__in=[payloads.platform_id(item.get("id")) for item in page.items]
        ).values_list("platform_id", flat=True)
    )
    for item in page.items:
        counts.seen += 1
        counts.new += payloads.platform_id(item.get("id")) not in known
        if not run.dry_run:
            with _readable(counts), transaction.atomic():
                _fan(run, item)
    return page.cursor


def _chats(run: _Run, cursor: str, counts: Counts) -> str:
    """One page of chats, each with its messages since then; the chats are in the order of their last message."""
    page = run.page(client_reads.chats_page(run.client, cursor=cursor))
    old = False
    for chat in page.items:
        with _readable(counts):
            last, person = chat.get("lastMessage"), chat.get("fan")
            if not isinstance(last, dict) or not isinstance(person, dict):
                continue
            if payloads.moment(last.get("createdAt")) < run.since:
                old = True
                continue
            _messages(run, person, unread=chat.get("unreadMessagesCount"), counts=counts)
    # Behind the first that is older there are only older ones.
    return "" if old else page.cursor


def _messages(run: _Run, person: Item, *, unread: object, counts: Counts) -> None:
    """The messages of one chat since then. The newest `unread` of the fan are unread here too, where they are new."""
    fan_id = payloads.fan_facts(person).platform_id
    found: list[payloads.MessageFacts] = []
    cursor, reached = "", False
    while not reached:
        page = run.page(client_reads.messages_page(run.client, fan_id=fan_id, cursor=cursor))
        for item in page.items:
            counts.seen += 1
            with _readable(counts):
                facts = payloads.message_of(item, default_at=timezone.now())
                reached = reached or facts.created_at < run.since
                found.append(facts)
        cursor = page.cursor
        reached = reached or not cursor
    if run.dry_run:
        return
    with transaction.atomic():
        fan = fan_meet(creator=run.account.creator, news=fan_news(payloads.fan_facts(person), as_of=timezone.now()))
        theirs = [facts.platform_id for facts in found if not facts.sent_by_me]
        still_unread = set(theirs[: unread if isinstance(unread, int) else 0])
        # The oldest first, so that the order of the rows is that of the chat.
        for facts in reversed([facts for facts in found if facts.created_at >= run.since]):
            if deletion_known(account=run.account, message_id=facts.platform_id):
                continue
            counts.new += message_take(fan=fan, facts=facts, read=facts.platform_id not in still_unread)


def _transactions(run: _Run, cursor: str, counts: Counts) -> str:
    """One page of money, with the platform's own figures."""
    since = run.since.astimezone(UTC).isoformat(timespec="seconds")
    page = run.page(client_reads.transactions_page(run.client, since=since, cursor=cursor))
    facts: list[tuple[payloads.MoneyFacts, Item]] = []
    for item in page.items:
        counts.seen += 1
        with _readable(counts):
            person = item.get("user")
            facts.append((payloads.transaction_of(item), person if isinstance(person, dict) else {}))
    if not run.dry_run:
        with transaction.atomic():
            rows = [
                transaction_row(
                    each, source=TransactionSource.LEDGER, fan=_fan(run, person) if person.get("id") else None
                )
                for each, person in facts
            ]
            counts.new += transaction_bulk_record(creator=run.account.creator, rows=rows).inserted
    return page.cursor


@contextmanager
def _readable(counts: Counts) -> Iterator[None]:
    """What cannot be read is counted and named in the log, and the rest goes on."""
    try:
        yield
    except HuntazeError as error:
        counts.unreadable += 1
        logger.warning("left out of the sync", code=error.code, reason=error.detail)
