"""Answers what is missing here of what the vendor knows: fills it in, once or every so often.
Touches what onlyfans/sync.py does."""

import json
import signal
import threading
import time
from argparse import ArgumentTypeError
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import close_old_connections

from crm.errors import HuntazeError, NotFound
from messaging.heartbeat import heartbeat_file_touch
from messaging.management.progress import Progress
from onlyfans.models import Account, Resource
from onlyfans.selectors import account_list
from onlyfans.sync import account_sync
from onlyfans.vendor_answers import VendorError

logger = structlog.get_logger(__name__)
BEAT_SECONDS = 20


def a_time(value: str) -> datetime:
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise ArgumentTypeError("a date (2026-01-31) or a time (2026-01-31T12:00:00Z)") from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def at_least_a_minute(value: str) -> float:
    if not value.isdecimal() or not 60 <= int(value) <= 7 * 86_400:
        raise ArgumentTypeError("seconds, from 60 to 604800")
    return float(value)


class Command(BaseCommand):
    help = "Store fans, chats, messages and money that the vendor knows and that are not stored here; safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=int, action="append", metavar="ID", help="repeatable")
        parser.add_argument("--all", action="store_true", help="every connected account")
        parser.add_argument(
            "--since", type=a_time, help="how far back; by default since the last sync, at first 30 days"
        )
        parser.add_argument("--only", choices=Resource.values, action="append", help="only this; repeatable")
        parser.add_argument("--whole", action="store_true", help="start over where a sync was interrupted")
        parser.add_argument("--every", type=at_least_a_minute, metavar="SECONDS", help="go on until SIGTERM")
        parser.add_argument("--dry-run", action="store_true", help="read and count; store nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["creator"]) == options["all"]:
            raise CommandError("Say --creator ID or --all.")
        if not options["every"]:
            troubles = self._once(options)
            if troubles:
                raise CommandError("\n".join(troubles))
            return
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        while not stopping.is_set():
            close_old_connections()
            for trouble in self._once(options, stopping):
                logger.warning("sync not complete", trouble=trouble)
            end = time.monotonic() + options["every"]
            while (left := end - time.monotonic()) > 0 and not stopping.is_set():
                heartbeat_file_touch()
                stopping.wait(min(left, BEAT_SECONDS))

    def _once(self, options: dict[str, Any], stopping: threading.Event | None = None) -> list[str]:
        try:
            accounts = account_list(creator_ids=None if options["all"] else options["creator"])
        except NotFound as error:
            raise CommandError(error.detail) from error
        done, troubles = [], []
        for account in accounts:
            if stopping is not None and stopping.is_set():
                break
            heartbeat_file_touch()
            try:
                done.append(self._account(account, options))
            except (VendorError, HuntazeError) as error:
                troubles.append(f"{account.account_id}: {error} What was read is stored; run it again to go on.")
        if options["json"]:
            self.stdout.write(
                json.dumps({"dryRun": options["dry_run"], "accounts": done, "errors": troubles}, indent=2)
            )
        return troubles

    def _account(self, account: Account, options: dict[str, Any]) -> dict[str, Any]:
        progress = Progress(self.stderr, f"pages of {account.account_id}")
        try:
            report = account_sync(
                account,
                since=options["since"],
                resources=[Resource(each) for each in options["only"] or Resource.values],
                whole=options["whole"],
                dry_run=options["dry_run"],
                each=progress,
            )
        finally:
            progress.close()
        if not options["json"]:
            self.stdout.write(f"{account.account_id}: {report.pages} pages")
            for name, counts in report.counts.items():
                left_out = f", {counts.unreadable} unreadable" if counts.unreadable else ""
                self.stdout.write(f"  {name}: {counts.seen} seen, {counts.new} new{left_out}")
        return {"account": account.account_id, "creator": account.creator_id, **asdict(report)}
