"""Answers how long changes are remembered, and forgets what was said of an erased fan. Touches events alone."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from crm.audit_selectors import event_models
from crm.models import Fan, FanEvent

# Events of one table that one call of audit_purge deletes at most; the next call goes on.
PURGE_MAX = 5_000


def audit_forget(*, fan: Fan) -> None:
    """That somebody changed the fan, and when, stays; what stood there does not."""
    FanEvent.objects.filter(id=fan.pk).update(name="", email="", tags=[], notes="")


def audit_purge() -> int:
    """Delete the events that are older than AUDIT_KEEP_DAYS; answers how many."""
    old = timezone.now() - timedelta(days=settings.AUDIT_KEEP_DAYS)
    total = 0
    for model in event_models():
        due = model.objects.filter(pgh_created_at__lt=old).order_by("pgh_created_at").values("pk")[:PURGE_MAX]
        total += int(model.objects.filter(pk__in=due).delete()[0])
    return total
