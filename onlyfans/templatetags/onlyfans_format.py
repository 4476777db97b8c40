"""Answers how an import ended, for a page. Touches nothing."""

from django import template

from onlyfans.models import ImportStatus, Resource

register = template.Library()


@register.filter
def import_status(status: str) -> str:
    """The status of an import in words."""
    return str(ImportStatus(status).label)


@register.filter
def sync_resource(resource: str) -> str:
    """What is synced, in words."""
    return str(Resource(resource).label)
