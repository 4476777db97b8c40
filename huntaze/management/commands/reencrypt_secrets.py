"""Answers `manage.py reencrypt_secrets`: SECRET_KEY was rotated. Touches what huntaze/stored_secrets.py does."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from huntaze.stored_secrets import Report, stored_secrets_reencrypt
from messaging.management.progress import Progress


class Command(BaseCommand):
    help = (
        "Encrypt vendor keys, webhook secrets and second steps with the SECRET_KEY of today, and say whether a value "
        "of SECRET_KEY_FALLBACKS is still needed for any; safe to repeat. Ends with 1 where no key opens one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count what needs a former key and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        progress = Progress(self.stderr, "rows")
        try:
            report = stored_secrets_reencrypt(dry_run=dry_run, progress=progress)
        finally:
            progress.close()
        # Looked at again: a process that was not restarted yet may have stored one under the key of before.
        left = report if dry_run else stored_secrets_reencrypt(dry_run=True)
        if options["json"]:
            self.stdout.write(json.dumps(_json(report, left, dry_run=dry_run), indent=2))
        else:
            done = "would be encrypted anew" if dry_run else "were encrypted anew"
            self.stdout.write(f"{report.secrets} secrets, {report.former} {done}.")
            self.stdout.write(_verdict(left))
        for each in report.unreadable:
            self.stderr.write(str(each))
        if report.unreadable:
            raise CommandError(
                f"{len(report.unreadable)} secrets are opened by no key. Put the SECRET_KEY under which they were "
                "stored into SECRET_KEY_FALLBACKS and do this again. Where it is lost: the creator's owner pastes the "
                "vendor's key again, connect_webhooks --rotate makes another webhook secret, reset_second_step takes "
                "a second step away."
            )


def _verdict(left: Report) -> str:
    if left.former:
        return f"{left.former} secrets need a former key: leave SECRET_KEY_FALLBACKS as it is."
    if left.unreadable:
        return "All others need no former key any more."
    return "No secret needs a former key any more: SECRET_KEY_FALLBACKS may be emptied."


def _json(report: Report, left: Report, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "secrets": report.secrets,
        "encryptedAnew": 0 if dry_run else report.former,
        "needFormerKey": left.former,
        "unreadable": [asdict(each) for each in report.unreadable],
    }
