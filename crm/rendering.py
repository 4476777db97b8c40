"""Answers how data becomes JSON on the wire and JSON becomes data: by orjson, which is written for speed.
Touches nothing."""

from typing import Any

import orjson
from rest_framework import parsers, renderers
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.utils.encoders import JSONEncoder


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
        try:
            data = orjson.loads(stream.read())
            orjson.dumps(data)
        except (ValueError, TypeError) as error:
            raise ParseError(f"JSON parse error - {error}") from error
        return data


class Negotiation(DefaultContentNegotiation):
    """DRF's, which weighs what most callers accept, anything or the view's first kind, for longer than it need."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        first = renderers[0]
        if format_suffix is None and request.headers.get("Accept", "*/*") in ("*/*", first.media_type):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
