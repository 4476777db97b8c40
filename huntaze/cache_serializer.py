"""Answers how what is cached is written into Redis and read again: as JSON, so that reading it runs nothing.
Touches nothing.

django-redis pickles, unless it is told otherwise: whoever can write to Redis could run code in every process then.
"""

import json
from datetime import date, datetime
from typing import Any

import orjson

# What orjson itself would write as something else.
AS_IT_IS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
MOMENT, DAY = "__moment__", "__day__"
# Before the bytes of a file, which the admin keeps between the steps of an import. No JSON begins so.
RAW = b"\0"


class DataSerializer:
    """Texts, numbers, lists, dictionaries by texts, days and moments; or bytes alone. A tuple comes back as a list;
    what is none of these raises TypeError where it is put in."""

    def __init__(self, options: dict[str, Any]) -> None:
        """As django-redis makes it, with the cache's OPTIONS; there is nothing to choose."""

    def dumps(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return RAW + value
        return orjson.dumps(value, default=_told, option=AS_IT_IS)

    def loads(self, value: bytes) -> Any:
        return value[1:] if value.startswith(RAW) else json.loads(value, object_hook=_read)


def _told(value: object) -> dict[str, str]:
    if isinstance(value, datetime):
        return {MOMENT: value.isoformat()}
    if isinstance(value, date):
        return {DAY: value.isoformat()}
    raise TypeError(f"{type(value).__name__} cannot be cached.")


def _read(found: dict[str, Any]) -> Any:
    if MOMENT in found:
        return datetime.fromisoformat(found[MOMENT])
    return date.fromisoformat(found[DAY]) if DAY in found else found
