"""Answers `manage.py translations`: brings the catalogues in step with the pages. Touches locale/."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from huntaze import catalogue


class Command(BaseCommand):
    requires_system_checks: list[str] = []  # it looks at files alone
    help = "Bring the catalogues of every language in step with what the pages say, and compile them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="write nothing; fail where a catalogue is behind or has gaps"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        problems = []
        for language, _name in settings.LANGUAGES:
            if language == settings.LANGUAGE_CODE:
                continue
            for domain in (catalogue.PYTHON, catalogue.SCRIPTS):
                problems += self._one(language, domain, check=options["check"])
        if options["check"] and problems:
            raise CommandError("\n".join([*problems, "Run make translations and fill the gaps in locale/."]))
        for problem in problems:
            self.stdout.write(problem)

    def _one(self, language: str, domain: str, *, check: bool) -> list[str]:
        path = catalogue.catalogue_path(language, domain)
        fresh = catalogue.catalogue_update(language, domain)
        edited, compiled = catalogue.catalogue_render(fresh)
        there = (path, path.with_suffix(".mo"))
        behind = [file for file, content in zip(there, (edited, compiled), strict=True) if _read(file) != content]
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(edited)
            path.with_suffix(".mo").write_bytes(compiled)
        gaps = [
            f"{path.name} ({language}) has no words for: {words}" for words in catalogue.catalogue_untranslated(fresh)
        ]
        return [f"{file.name} ({language}) is behind the pages." for file in behind if check] + gaps


def _read(path: Any) -> bytes | None:
    return path.read_bytes() if path.exists() else None
