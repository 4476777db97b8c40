"""Answers what Django calls the project's own app, and registers what else must be. Touches nothing else."""

from django.apps import AppConfig


class HuntazeConfig(AppConfig):
    name = "huntaze"
    verbose_name = "Huntaze"

    def ready(self) -> None:
        from huntaze import checks, schema, sign_in  # noqa: F401  they register themselves, and need the apps loaded
