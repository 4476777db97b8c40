"""Answers whether a JSON body holds the types and lengths that its description promises. Touches nothing.

The framework takes 5 for "5" and "true" for true, which hides a client's mistake until it costs something. What comes
from a form is text throughout, and stays readable as it was.
"""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext, gettext_noop
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

NAMES: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], type | tuple[type, ...], str], ...] = (
    (serializers.BooleanField, bool, gettext_noop("true or false")),
    (serializers.IntegerField, int, gettext_noop("a whole number")),
    (serializers.FileField, object, gettext_noop("a file")),
    (serializers.CharField, str, gettext_noop("a text")),
    (serializers.DateTimeField, str, gettext_noop("a time as text")),
    (serializers.DateField, str, gettext_noop("a date as text")),
    (serializers.ChoiceField, str, gettext_noop("a text")),
)


class JsonTypes(serializers.Serializer[Any]):
    """A mixin for what reads a body: a value of another JSON type than the field's is an error that names it."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and not isinstance(data, QueryDict):
            wrong = {
                str(field.field_name): problems
                for field in self._writable_fields
                if (problems := _problems(field, data.get(str(field.field_name))))
            }
            if wrong:
                raise serializers.ValidationError(self._other_errors(data) | wrong)
        return super().to_internal_value(data)

    def _other_errors(self, data: Any) -> dict[str, Any]:
        """What else is wrong, so that one answer names everything."""
        try:
            super().to_internal_value(data)
        except serializers.ValidationError as error:
            return error.detail if isinstance(error.detail, dict) else {}
        return {}


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
