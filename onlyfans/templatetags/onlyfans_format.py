"""Answers how an import ended, for a page. Touches nothing."""

from django import template

from onlyfans.models import ImportStatus

register = template.Library()


@register.filter
def import_status(status: str) -> str:
    """The status of an import in words."""
    return str(ImportStatus(status).label)
