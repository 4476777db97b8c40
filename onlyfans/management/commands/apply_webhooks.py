"""Answers what became of the vendor's events: applies those that wait, or tries again. Touches onlyfans/events.py's."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging.management.progress import Progress
from onlyfans.events import events_apply, events_apply_again
from onlyfans.selectors import webhook_event_list

SHOWN_MAX = 20


class Command(BaseCommand):
    help = "Apply the vendor's events that are stored and not applied yet; each is applied once, however often asked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--event", metavar="ID", default="", help="only the event with this id (evt_…)")
        parser.add_argument("--failed", action="store_true", help="those that were tried and failed, now")
        parser.add_argument("--dry-run", action="store_true", help="list what waits and apply nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        event_id, failed = options["event"], options["failed"]
        waiting = webhook_event_list(failed=failed, event_id=event_id)
        if event_id and not waiting.exists():
            raise CommandError(f"No event {event_id} waits: it is unknown, or applied.")
        applied = missed = 0
        if not options["dry_run"]:
            progress = Progress(self.stderr, "events", total=waiting.count())
            again = failed or event_id
            report = (
                events_apply_again(failed=failed, event_id=event_id, each=progress)
                if again
                else events_apply(each=progress)
            )
            progress.close()
            applied, missed = report.applied, report.failed
        left = list(waiting.all()[:SHOWN_MAX])
        if options["json"]:
            rows = [{"eventId": e.event_id, "kind": e.kind, "attempts": e.attempts, "error": e.error} for e in left]
            found = {"dryRun": options["dry_run"], "applied": applied, "failed": missed, "waiting": waiting.count()}
            self.stdout.write(json.dumps({**found, "events": rows}, indent=2))
            return
        self.stdout.write(f"{applied} applied, {missed} failed, {waiting.count()} waiting")
        for event in left:
            self.stdout.write(f"  {event.event_id}  {event.kind}  {event.error or 'not tried yet'}")
