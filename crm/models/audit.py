"""Answers which tables the database itself keeps of changes, of any app's rows. Touches the database alone."""

import pghistory
import pgtrigger
from django.db import models
from django.db.models import F

from crm.models.creators import Membership
from crm.models.fans import Fan


def audit_indexes(name: str) -> list[models.Index]:
    """Of a creator's changes in their order, of what a row was before, and of those to be forgotten."""
    return [
        models.Index("creator", F("pgh_created_at").desc(), F("pgh_id").desc(), name=f"{name}_event_by_time"),
        models.Index("id", "pgh_id", name=f"{name}_event_by_row"),
        models.Index("pgh_created_at", name=f"{name}_event_by_age"),
    ]


def audit_model(model: type[models.Model], *trackers: pghistory.Tracker, fields: list[str]) -> type[models.Model]:
    """Of rows that outlive what they are about, each with who acted (crm/acting.py) beside it."""
    made: type[models.Model] = pghistory.create_event_model(
        model,
        *trackers,
        fields=fields,
        # None is the documented way to leave them out.
        obj_field=None,  # type: ignore[arg-type]
        context_id_field=None,  # type: ignore[arg-type]
    )
    return made


# Changes as the database itself writes them down, whoever makes them: a change is two rows, what was and what is.
# What people decided about a fan: not what the platform and files say of hundreds of thousands at a time.
_FAN_KEPT = ("name", "email", "tags", "notes", "deleted_at", "erased_at")
_FAN_CHANGED = pgtrigger.Condition(
    "(({old}) IS DISTINCT FROM ({new}) AND COALESCE(current_setting('huntaze.bulk', true), '') = '')".format(
        old=", ".join(f'OLD."{name}"' for name in _FAN_KEPT), new=", ".join(f'NEW."{name}"' for name in _FAN_KEPT)
    )
)


class FanEvent(
    audit_model(  # type: ignore[misc]  # a class that is made here
        Fan,
        pghistory.UpdateEvent("before", row=pghistory.Old, condition=_FAN_CHANGED),
        pghistory.UpdateEvent("changed", condition=_FAN_CHANGED),
        fields=["id", "creator", *_FAN_KEPT],
    )
):
    """What somebody changed of a fan; the words go when the fan is erased."""

    class Meta:
        indexes = audit_indexes("fan")

    def __str__(self) -> str:
        return f"{self.pgh_label} fan {self.id}"


class MembershipEvent(
    audit_model(  # type: ignore[misc]
        Membership,
        pghistory.InsertEvent("added"),
        pghistory.UpdateEvent("before", row=pghistory.Old),
        pghistory.UpdateEvent("changed"),
        pghistory.DeleteEvent("removed"),
        fields=["id", "creator", "user", "role"],
    )
):
    """Who came to work for a creator, got another role or left."""

    class Meta:
        indexes = audit_indexes("membership")

    def __str__(self) -> str:
        return f"{self.pgh_label} membership {self.id}"
