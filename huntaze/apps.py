"""Answers what Django calls the project's own app, and registers its system checks. Touches nothing else."""

from django.apps import AppConfig


class HuntazeConfig(AppConfig):
    name = "huntaze"
    verbose_name = "Huntaze"

    def ready(self) -> None:
        from huntaze import checks  # noqa: F401  registers the checks, which need the apps to be loaded
