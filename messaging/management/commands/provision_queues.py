"""Answers a fresh AWS account: creates or corrects the queue and its dead-letter queue. Touches SQS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging import queue
from messaging.errors import QueueError


class Command(BaseCommand):
    help = "Create or correct the SQS queue and its dead-letter queue; safe to repeat. Prints the two variables to set."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            urls = queue.provision()
        except QueueError as error:
            raise CommandError(f"{error.reason} ({error.code})") from error
        self.stdout.write(f"SQS_RATE_LIMITER_QUEUE_URL={urls.queue}")
        self.stdout.write(f"SQS_RATE_LIMITER_DLQ_URL={urls.dlq}")
