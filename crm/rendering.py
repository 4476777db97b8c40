"""Answers how data becomes JSON on the wire: by orjson, which is written for speed. Touches nothing."""

from typing import Any

import orjson
from rest_framework import renderers
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
