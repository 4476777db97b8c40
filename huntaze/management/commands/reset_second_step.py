"""Answers `manage.py reset_second_step`: somebody lost the app, the passkeys and the codes. Touches second steps."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm.models import User
from huntaze.second_step import second_step_reset


class Command(BaseCommand):
    help = "Take a user's second step away (app, passkeys, recovery codes); the password alone signs them in then."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", help="the user's e-mail address")
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"].strip().lower()
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"Nobody signs in as {email}.")
        question = f"Make sure that {email} is who asks. Take their second step away? Type yes: "
        if not options["yes"] and input(question).strip().lower() != "yes":
            raise CommandError("Nothing was changed.")
        count = second_step_reset(user=user)
        if not count:
            self.stdout.write(f"{email} had no second step.")
            return
        self.stdout.write(self.style.SUCCESS(f"{email} signs in by the password alone, and is signed out everywhere."))
