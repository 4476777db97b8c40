"""Answers a list page by page, by position in its order. Touches nothing but the rows it is given to read."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.db.models import F, Field, Func, QuerySet, TextField, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils import timezone
from django.utils.translation import gettext
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.serializers import ValidationError as InvalidQuery
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from crm.listing import Listing


class _Row(Func):
    """Several values as one that PostgreSQL compares from the left, straight in an index over them."""

    template = "(%(expressions)s)"
    output_field = TextField()  # nothing is converted; Django's comparison asks for one


class KeysetPagination(CursorPagination):
    """Pages by position, so that page 100 costs what page 1 does and nothing is shown twice while rows arrive.

    `ordering` names fields or annotations that are never NULL, all up or all down, the last one unique. A cursor holds
    their values in the row that a page ends or begins with; DRF's own knows the first alone and counts within ties.
    """

    ordering: tuple[str, ...]
    page_size = 50
    page_size_query_param = "pageSize"
    max_page_size = 200

    def paginate_queryset(  # type: ignore[override]  # a list in memory has no positions
        self, queryset: QuerySet[Any] | Listing[Any], request: Request, view: APIView | None = None
    ) -> list[Any]:
        self.request = request
        size = self.get_page_size(request)
        ordering = self.get_ordering(request, queryset, view)
        self.names = [name.removeprefix("-") for name in ordering]
        position, backwards = self._position(queryset)
        descending = ordering[0].startswith("-") != backwards
        if isinstance(queryset, Listing):
            found = queryset.page(self.names, descending=descending, after=position, limit=size + 1)
        else:
            found = self._queried(queryset, position, descending=descending, limit=size + 1)
        more, came_from = len(found) > size, position is not None
        found = found[:size][:: -1 if backwards else 1]
        self.has_next, self.has_previous = (came_from, more) if backwards else (more, came_from)
        self.ends = (self._place(found[0]), self._place(found[-1])) if found else None
        return found

    def _place(self, row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in self.names)

    def _queried(self, queryset: Any, position: list[Any] | None, *, descending: bool, limit: int) -> list[Any]:
        if position is not None:
            row = _Row(*(F(name) for name in self.names))
            compare = LessThan if descending else GreaterThan
            queryset = queryset.filter(compare(row, _Row(*(Value(value) for value in position))))
        sign = "-" if descending else ""
        return list(queryset.order_by(*(sign + name for name in self.names))[:limit])

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get(self.page_size_query_param)
        if not given:
            return self.page_size
        if not (given.isascii() and given.isdigit() and len(given) < 10 and int(given) > 0):
            raise InvalidQuery({self.page_size_query_param: gettext("Give a whole number from 1.")})
        return min(int(given), self.max_page_size)

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": dict(link), "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [
            {
                "in": "query",
                "name": self.cursor_query_param,
                "schema": {"type": "string"},
                "description": "Where the page begins: taken from `next` or `previous`, never made up.",
            },
            {
                "in": "query",
                "name": self.page_size_query_param,
                "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
                "description": f"50 by default, 100 for messages and recipients, {self.max_page_size} at most.",
            },
        ]

    def _position(self, queryset: QuerySet[Any] | Listing[Any]) -> tuple[list[Any] | None, bool]:
        """Where the page begins, and whether it goes towards the list's head; None for the head itself."""
        given = self.request.query_params.get(self.cursor_query_param)
        if not given:
            return None, False
        try:
            pairs = orjson.loads(urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4)))
            values = [_value(_field(queryset, name), pairs[name]) for name in self.names]
        except (Base64Error, LookupError, TypeError, ValueError, ValidationError, OverflowError) as error:
            raise InvalidQuery(
                {self.cursor_query_param: gettext("This is no cursor of this list in this order.")}
            ) from error
        return values, "_back" in pairs

    def _link(self, values: tuple[Any, ...], **extra: str) -> str:
        position = {name: _text(value) for name, value in zip(self.names, values, strict=True)}
        # Nothing in it means anything in an address.
        cursor = urlsafe_b64encode(orjson.dumps(position | extra)).decode().rstrip("=")
        # As build_absolute_uri, which looks through an address for what Django's own never holds.
        address = f"{self.request.scheme}://{self.request.get_host()}{self.request.get_full_path()}"
        if "?" not in address:
            return f"{address}?{self.cursor_query_param}={cursor}"
        return replace_query_param(address, self.cursor_query_param, cursor)

    # What a position beyond the last row would name is unknown, so an empty page leads nowhere.
    def get_next_link(self) -> str | None:
        return self._link(self.ends[1]) if self.has_next and self.ends else None

    def get_previous_link(self) -> str | None:
        return self._link(self.ends[0], _back="1") if self.has_previous and self.ends else None

    def get_ordering(
        self, request: Request, queryset: QuerySet[Any] | Listing[Any], view: APIView | None
    ) -> tuple[str, ...]:
        return self.ordering


def _text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _field(queryset: QuerySet[Any] | Listing[Any], name: str) -> "Field[Any, Any]":
    if isinstance(queryset, Listing):
        return queryset.keys[name].field
    annotation = queryset.query.annotations.get(name)
    field: Field[Any, Any] = (
        annotation.output_field if annotation else queryset.model._meta.get_field(name)  # noqa: SLF001  Django's public one
    )
    return field


def _value(field: "Field[Any, Any]", text: Any) -> Any:
    """The text as a value of the field. Raises TypeError, ValueError or ValidationError."""
    if not isinstance(text, str):
        raise TypeError(text)
    value = field.to_python(text)
    field.run_validators(value)  # a number that is none of the database's
    if "\x00" in text or (hasattr(value, "tzinfo") and timezone.is_naive(value)):
        raise ValueError(text)
    return value
