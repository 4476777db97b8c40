"""Answers who may do what in the admin: the groups Operators and Support, and their rights. Touches both by name."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.core.management.base import BaseCommand
from django.db import transaction
from django.db.models import Q

# Looked at by both; texts, keys and people's data are on no page of these.
VIEWED = {
    "crm": ("creator", "membership", "conversation", "message", "transaction", "user"),
    "messaging": ("campaign", "delivery", "sendingprofile"),
    "onlyfans": ("account", "importbatch", "importrow", "syncstate", "webhookevent"),
}
# What the actions ask for: retry and redrive, pause, cancel, undo, sign out everywhere.
OPERATED = (
    "messaging.change_campaign",
    "messaging.change_delivery",
    "messaging.change_sendingprofile",
    "onlyfans.change_importbatch",
    "crm.add_endedsignin",
    "crm.view_signin",
    "crm.view_fan",
)
GROUPS = {
    "Support": tuple(f"{app}.view_{model}" for app, models in VIEWED.items() for model in models),
    "Operators": (*(f"{app}.view_{model}" for app, models in VIEWED.items() for model in models), *OPERATED),
}


class Command(BaseCommand):
    help = "Create or correct the groups Operators (look and act) and Support (look); safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        for name, rights in GROUPS.items():
            with transaction.atomic():
                group, _ = Group.objects.get_or_create(name=name)
                group.permissions.set(_permissions(rights))
            self.stdout.write(f"{name}: {len(rights)} rights")


def _permissions(rights: tuple[str, ...]) -> list[Permission]:
    wanted = Q()
    for right in rights:
        app, codename = right.split(".")
        wanted |= Q(content_type__app_label=app, codename=codename)
    found = list(Permission.objects.filter(wanted))
    if len(found) != len(rights):
        raise LookupError("Some rights are not there yet; run `manage.py migrate` first.")
    return found
