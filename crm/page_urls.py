"""Answers which address leads to which CRM page. Touches nothing else."""

from django.urls import path

from crm import pages

urlpatterns = [
    path("platforms/onlyfans/fans", pages.fans, name="fans-page"),
    path("platforms/onlyfans/fans/<int:fan_id>", pages.fan_page, name="fan-page"),
    path("settings", pages.settings_page, name="settings"),
    path("platforms/onlyfans/fans/<int:fan_id>/write", pages.fan_write, name="fan-write"),
]
