"""Answers an operator after an outage: everything that failed is sent once more. Touches failed_retry alone."""

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from crm.errors import HuntazeError
from crm.models import Creator
from messaging.failed_retry import RetryReport, failed_retry
from messaging.management.progress import Progress


class Command(BaseCommand):
    help = "Send failed messages again, under their own idempotency keys and at the platform's pace."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--creator", type=int, help="only this creator's, by id")
        parser.add_argument("--since", help="only what failed since this time (ISO 8601; UTC where it names no zone)")
        parser.add_argument("--reason-code", default="", help="only what failed for it, as `dlq show` prints it")
        parser.add_argument("--unknown", action="store_true", help="also what may have reached the fan; look first")
        parser.add_argument("--dry-run", action="store_true", help="say what would be sent and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["creator"] is not None and not Creator.objects.filter(pk=options["creator"]).exists():
            raise CommandError(f"There is no creator {options['creator']}.")
        progress = Progress(self.stderr, "messages")
        try:
            report = failed_retry(
                creator_id=options["creator"],
                since=_moment(options["since"]),
                reason_code=options["reason_code"],
                unknown=options["unknown"],
                dry_run=options["dry_run"],
                progress=progress,
            )
        except HuntazeError as error:
            raise CommandError(error.detail) from error
        finally:
            progress.close()
        if options["json"]:
            self.stdout.write(json.dumps(_json(report, dry_run=options["dry_run"]), ensure_ascii=False, indent=2))
        elif options["dry_run"]:
            self.stdout.write(f"{len(report.found)} messages would be sent again.")
        else:
            self.stdout.write(
                f"{len(report.retried)} of {len(report.found)} messages are on their way again; "
                f"{len(report.meanwhile)} were already, by somebody else."
            )
        if report.refused:
            raise CommandError(
                f"{len(report.refused)} were refused and {report.untouched} not tried. {report.refused[-1][1]}"
            )


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--since is no time: {text!r}. Write it as 2026-11-20T14:00.") from error
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _json(report: RetryReport, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "found": [str(message_id) for message_id in report.found],
        "retried": [str(message_id) for message_id in report.retried],
        "meanwhile": [str(message_id) for message_id in report.meanwhile],
        "refused": [{"messageId": str(message_id), "reason": reason} for message_id, reason in report.refused],
        "untouched": 0 if dry_run else report.untouched,
    }
