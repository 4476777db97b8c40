"""Answers `manage.py load_demo`: fills a development database with demo data. Touches what huntaze/demo.py touches."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from huntaze.demo import demo_load
from huntaze.demo_content import PASSWORD, PEOPLE


class Command(BaseCommand):
    help = "Load the demo: two users, three creators, their fans and conversations. Does nothing when it is there."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.LOCAL:
            raise CommandError("The demo has a password that everybody knows; it is loaded only where LOCAL is true.")
        loaded = demo_load()
        if options["verbosity"]:
            emails = " or ".join(email for email, *_ in PEOPLE)
            self.stdout.write(
                f"{'Loaded' if loaded else 'The demo is there already'}. Sign in as {emails}, password {PASSWORD}."
            )
