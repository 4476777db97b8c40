"""Request bodies and query parameters: known names, JSON types, lengths, choices by name. Touches nothing.

The framework passes over what it does not know, takes 5 for "5" and "true" for true, which hides a client's mistake
until it costs something. What comes from a form is text throughout, and stays readable as it was.
"""

import re
from typing import Any, ClassVar

from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from crm.known_names import NAME_MAX, not_a_choice, unknown_name

NAMES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], type | tuple[type, ...], str], ...] = (
    (serializers.BooleanField, bool, gettext_noop("true or false")),
    (serializers.IntegerField, int, gettext_noop("a whole number")),
    (serializers.FileField, object, gettext_noop("a file")),
    (serializers.CharField, str, gettext_noop("a text")),
    (serializers.DateTimeField, str, gettext_noop("a time as text")),
    (serializers.DateField, str, gettext_noop("a date as text")),
    (serializers.ChoiceField, str, gettext_noop("a text")),
)
# A form of a page proves with it where it comes from.
CSRF = "csrfmiddlewaretoken"
# A page of problems is no help, and a body may hold thousands of names.
UNKNOWN_MAX = 20
PIECE = re.compile(r"\[\d+\]|[^.\[\]]+")


class MomentField(serializers.DateTimeField):
    """A time with its offset from UTC: without one it would mean another moment in each reader's time zone."""

    default_error_messages = {
        "make_aware": gettext_lazy(
            "Give the time with its offset from UTC: 2026-03-01T18:30:00Z or 2026-03-01T19:30:00+01:00."
        )
    }

    def enforce_timezone(self, value: Any) -> Any:
        if timezone.is_naive(value):
            self.fail("make_aware")
        return super().enforce_timezone(value)


class NamedChoices(serializers.Serializer[Any]):
    """A mixin: the refusal of a choice names the choices."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for each in fields.values():
            field = each.child if isinstance(each, serializers.ListField) else each
            if isinstance(field, serializers.ChoiceField):
                names = [str(each).replace("{", "{{").replace("}", "}}") for each in field.choices]
                told = not_a_choice("{input}", names)
                field.error_messages = {**field.error_messages, "invalid_choice": told}
            elif isinstance(field, serializers.BooleanField):
                told = gettext("Give %(what)s.") % {"what": gettext("true or false")}
                field.error_messages = {**field.error_messages, "invalid": told}
        return fields


class QueryParameters(NamedChoices):
    """A mixin for what reads query parameters. Which names there are is checked before (crm/strict_api.py)."""


class JsonTypes(NamedChoices):
    """A mixin for what reads a body: an unknown member, or a value of another JSON type, is an error that names it."""

    # Of an item in a list: the member that is the item's value to the domain, whose errors are about that.
    stands_for: ClassVar[str] = ""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            wrong: dict[str, Any] = self._unknown(data)
            if not isinstance(data, QueryDict):
                wrong |= {
                    str(field.field_name): problems
                    for field in self._writable_fields
                    if (problems := _problems(field, data.get(str(field.field_name))))
                }
            if wrong:
                raise serializers.ValidationError(self._other_errors(data) | wrong)
        return super().to_internal_value(data)

    def _unknown(self, data: Any) -> dict[str, Any]:
        """Each name that is not the body's to have, with the reason."""
        writable = {str(field.field_name): field for field in self._writable_fields}
        if isinstance(data, QueryDict):
            return _unknown_in_form(data, writable)
        unknown = [name for name in data if name not in writable and not self._as_read(name, data[name])][:UNKNOWN_MAX]
        return {name[:NAME_MAX]: [self._refused(name, writable)] for name in unknown}

    def _as_read(self, name: str, value: Any) -> bool:
        """Whether this is a member that the system sets, as the row has it: what was read may be sent back whole."""
        field = self.fields.get(name)
        if self.instance is None or field is None:
            return False
        attribute = field.get_attribute(self.instance)
        shown = None if attribute is None else field.to_representation(attribute)
        return bool(shown == value)

    def _refused(self, name: str, known: Any) -> ErrorDetail:
        if name in self.fields:
            return ErrorDetail(gettext("This is set by the system and cannot be given."), code="read_only")
        return ErrorDetail(unknown_name(name, known), code="unknown_field")

    def _other_errors(self, data: Any) -> dict[str, Any]:
        """What else is wrong, so that one answer names everything."""
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            return error.detail if isinstance(error.detail, dict) else {}
        return {}


def _unknown_in_form(form: "QueryDict", known: dict[str, Any]) -> dict[str, Any]:
    """As JsonTypes does; `attachments[0]url` is a name of a form too, and a name given twice is a mistake."""
    found: dict[str, Any] = {}
    for name, values in form.lists():
        field = known.get(name.partition("[")[0])
        plain = not isinstance(field, serializers.ListField | serializers.ListSerializer)
        if name == CSRF:
            continue
        if field is None or (plain and "[" in name):
            found[name[:NAME_MAX]] = [ErrorDetail(unknown_name(name, known), code="unknown_field")]
        elif plain and len(values) > 1:
            found[name] = [ErrorDetail(gettext("This is given more than once."), code="repeated")]
    return dict(list(found.items())[:UNKNOWN_MAX])


def request_name(serializer: Any, field: str) -> str:
    """What a request calls a field of the domain: `media_urls[0]` is `mediaUrls[0]` or `attachments[0].url`.

    A name that the serializer's sources do not have stays as it is.
    """
    at, name = serializer, ""
    for piece in PIECE.findall(field):
        if piece.startswith("["):
            name, at = name + piece, getattr(at, "child", None)
            continue
        fields = getattr(at, "fields", None) or {}
        at = next((each for each in fields.values() if each.source == piece), None)
        name = f"{name}.{piece if at is None else at.field_name}".lstrip(".")
    inside = getattr(at, "stands_for", "")
    return f"{name}.{inside}" if inside else name


def _problems(field: Any, value: Any) -> Any:
    """As a serializer's errors are; nothing for what is left out, null, or another one's to judge."""
    if value is None:
        return None
    if isinstance(field, serializers.ListField):
        items = value if isinstance(value, list) else []
        return {index: found for index, item in enumerate(items) if (found := _problems(field.child, item))}
    for kind, accepted, name in NAMES:
        if isinstance(field, kind):
            fits = isinstance(value, accepted) and (accepted is not int or not isinstance(value, bool))
            return (
                _too_long(field, value)
                if fits
                else [ErrorDetail(gettext("Give %(what)s.") % {"what": gettext(name)}, code="wrong_type")]
            )
    return None


def _too_long(field: Any, value: Any) -> Any:
    """The framework counts a text's characters once the blanks around it are gone; the description means all."""
    most = getattr(field, "max_length", None)
    if most is None or not isinstance(value, str) or len(value) <= most:
        return None
    return [ErrorDetail(field.error_messages["max_length"].format(max_length=most), code="max_length")]
