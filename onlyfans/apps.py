"""Answers what Django calls this app. Touches nothing."""

from django.apps import AppConfig


class OnlyFansConfig(AppConfig):
    name = "onlyfans"
    verbose_name = "OnlyFans"
