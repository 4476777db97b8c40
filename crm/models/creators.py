"""Answers which tables keep the creators, the tenants of every row, and who works for them.
Touches the database alone."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy

from crm.models.indexes import search_index
from crm.models.users import User


class Platform(models.TextChoices):
    ONLYFANS = "onlyfans", "OnlyFans"


class Creator(models.Model):
    """One managed account on the platform; the tenant of every row."""

    name = models.CharField(max_length=100)
    platform = models.CharField(max_length=20, choices=Platform.choices, default=Platform.ONLYFANS)
    time_zone = models.CharField(max_length=64, default="UTC")
    members = models.ManyToManyField(User, through="Membership", related_name="creators")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(platform__in=Platform.values), name="creator_platform_known"),
            models.CheckConstraint(condition=~Q(name=""), name="creator_name_given"),
        ]
        indexes = [search_index("creator_search", "name")]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", gettext_lazy("Owner")
    MANAGER = "manager", gettext_lazy("Manager")
    CHATTER = "chatter", gettext_lazy("Chatter")
    ANALYST = "analyst", gettext_lazy("Analyst")


class Membership(models.Model):
    """A user reaches a creator through exactly one of these."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    creator = models.ForeignKey(Creator, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "creator"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} at {self.creator_id} as {self.role}"
