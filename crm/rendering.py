"""Answers how data becomes JSON on the wire and JSON becomes data: by orjson, which is written for speed.
Touches nothing."""

import json
from typing import Any

import orjson
from django.utils.translation import gettext
from rest_framework import parsers, renderers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.utils.encoders import JSONEncoder

from crm.errors import FieldError, InvalidInput
from crm.known_names import NAME_MAX


def _once(pairs: list[tuple[str, Any]]) -> None:
    """Raise InvalidInput that names a member which an object has twice: readers disagree about which one counts."""
    if len({name for name, _ in pairs}) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)[:NAME_MAX]
        wrong = FieldError(twice, "repeated", gettext("This is given more than once."))
        raise InvalidInput(gettext("Some fields are not valid."), errors=(wrong,))


class JSONRenderer(renderers.JSONRenderer):
    """DRF's, encoded by orjson; DRF's own encoder says what becomes of what JSON has no word for."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None:
            return b""
        try:
            return orjson.dumps(data, default=JSONEncoder().default, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z)
        except TypeError:  # a number beyond 64 bits
            return super().render(data, accepted_media_type, renderer_context)


class JSONParser(parsers.JSONParser):
    """DRF's, decoded by orjson, which refuses half of a surrogate pair: neither an answer nor the database can hold it.

    What is nested so deep that orjson would not write it again (254 levels) is refused too: whatever goes through it
    level by level further in would break. JSON is UTF-8 (RFC 8259), whatever a header calls it.
    """

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        raw = stream.read()
        try:
            data = orjson.loads(raw)
            orjson.dumps(data)
        except (ValueError, TypeError) as error:
            raise ParseError(f"JSON parse error - {error}") from error
        # orjson takes the last of two, and tells no one; this reads 100 kB in a millisecond.
        json.loads(raw, object_pairs_hook=_once, parse_int=str, parse_float=str)
        return data


class Negotiation(DefaultContentNegotiation):
    """DRF's, which weighs what most callers accept, anything or the view's first kind, for longer than it need."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        first = renderers[0]
        if format_suffix is None and request.headers.get("Accept", "*/*") in ("*/*", first.media_type):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
