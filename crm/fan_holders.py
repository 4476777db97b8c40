"""Answers who else keeps something of a fan: a port, and the adapters that the settings name. Touches no table."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from crm.models import Fan

Section = Iterable[Mapping[str, Any]]


class FanHolder(Protocol):
    """Whatever keeps rows about a fan outside the CRM. Each method is called in the transaction that concerns the fan.

    A holder never sees the fan's messages as its own: the CRM hides, erases and exports those itself.
    """

    def withdraw(self, fan: Fan) -> None:
        """The fan is deleted and may be restored: from now on nothing goes out to them."""

    def erase(self, fan: Fan) -> None:
        """Keep nothing that says who the fan is or what was said; `fan` still has all its fields. Counts may stay."""

    def export(self, fan: Fan) -> Mapping[str, Section]:
        """What is kept about the fan, by section: rows of JSON values, times and UUIDs, read as they are asked for."""


@cache
def _holders(paths: tuple[str, ...]) -> tuple[FanHolder, ...]:
    return tuple(import_string(path)() for path in paths)


def fan_holders() -> tuple[FanHolder, ...]:
    """One of each class that FAN_HOLDERS names."""
    return _holders(tuple(settings.FAN_HOLDERS))
