"""Answers what Django calls this app. Touches nothing."""

from django.apps import AppConfig


class CRMConfig(AppConfig):
    name = "crm"
    verbose_name = "CRM"
