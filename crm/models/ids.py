"""Answers a new id of a row that is known before it is written. Touches the clock and chance."""

import uuid

from uuid_utils import compat as uuid_utils


def uuid7() -> uuid.UUID:
    """A time-ordered id (RFC 9562), so that the newest rows stand together in the index."""
    return uuid_utils.uuid7()
