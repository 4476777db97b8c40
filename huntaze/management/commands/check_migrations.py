"""Answers `manage.py check_migrations`: whether new migrations may be applied while people work. Only reads."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from huntaze.migration_safety import dangers


class Command(BaseCommand):
    help = "Name what in the new migrations would lock a table for long or break the version that still runs."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        found = dangers()
        for danger in found:
            self.stderr.write(str(danger))
        if found:
            raise CommandError("These migrations are not safe on a live database; docs/how-to/upgrade.md says why.")
