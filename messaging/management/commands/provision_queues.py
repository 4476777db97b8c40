"""Answers a fresh AWS account: creates or corrects the queue and its dead-letter queue. Touches SQS."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from messaging import queue_setup
from messaging.errors import QueueError
from messaging.sending_needs import NEEDED_TO_SEND, not_set


class Command(BaseCommand):
    help = "Create or correct the SQS queue and its dead-letter queue; safe to repeat. Prints the two variables to set."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--kms-key-id", default="", help="encrypt with this KMS key instead of SQS's own keys")
        parser.add_argument("--dry-run", action="store_true", help="say what would change and change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.AWS_REGION:
            raise CommandError(f"{not_set(['AWS_REGION'])}: set it to {NEEDED_TO_SEND['AWS_REGION']}.")
        try:
            done = queue_setup.queues_provision(kms_key_id=options["kms_key_id"], dry_run=options["dry_run"])
        except QueueError as error:
            raise CommandError(f"{error.reason} ({error.code})") from error
        variables = {"SQS_RATE_LIMITER_QUEUE_URL": done.queue, "SQS_RATE_LIMITER_DLQ_URL": done.dlq}
        if options["json"]:
            changes = [asdict(change) for change in done.changes]
            self.stdout.write(json.dumps({**variables, "dryRun": options["dry_run"], "changes": changes}, indent=2))
            return
        if options["dry_run"]:
            for change in done.changes:
                what = f"{change.attribute} {change.old or 'unset'} → {change.new}" if change.attribute else "created"
                self.stdout.write(f"{change.queue}: {what}")
            self.stdout.write(f"{len(done.changes)} changes would be made.")
            return
        for name, value in variables.items():
            self.stdout.write(f"{name}={value}")
