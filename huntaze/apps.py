"""Answers what Django calls the project's own app, and registers its system checks and schema. Touches nothing else."""

from django.apps import AppConfig


class HuntazeConfig(AppConfig):
    name = "huntaze"
    verbose_name = "Huntaze"

    def ready(self) -> None:
        from huntaze import checks, schema  # noqa: F401  both register themselves, and need the apps to be loaded
