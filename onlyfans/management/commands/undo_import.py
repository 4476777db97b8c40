"""Answers `manage.py undo_import`: an import is taken back. Touches import_undo alone."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from crm.errors import Conflict
from onlyfans.import_services import import_undo, undo_sentence
from onlyfans.models import ImportBatch


class Command(BaseCommand):
    help = "Undo an import of fans or transactions. Ends with 1, and changes nothing, where its fans are in use by now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "import_id", type=int, help="as import_fans and import_earnings with --json and the admin show it"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        batch = ImportBatch.objects.filter(pk=options["import_id"]).first()
        if batch is None:
            raise CommandError(f"There is no import {options['import_id']}.")
        try:
            self.stdout.write(self.style.SUCCESS(undo_sentence(import_undo(batch=batch))))
        except Conflict as error:
            raise CommandError(error.detail) from error
