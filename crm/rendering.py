"""Answers how data becomes JSON on the wire: by orjson, which is written for speed. Touches nothing."""

from typing import Any

import orjson
from rest_framework import renderers
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


class Negotiation(DefaultContentNegotiation):
    """DRF's, which weighs what most callers accept, anything or the view's first kind, for longer than it need."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        first = renderers[0]
        if format_suffix is None and request.headers.get("Accept", "*/*") in ("*/*", first.media_type):
            return first, first.media_type
        return super().select_renderer(request, renderers, format_suffix)
