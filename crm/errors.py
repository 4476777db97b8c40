"""Answers what went wrong, in words that a user can act on. Touches nothing: no HTTP, no database."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class ErrorKind(StrEnum):
    """What sort of trouble it is; the door that catches it knows what to make of that."""

    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    STALE = "stale"
    FORBIDDEN = "forbidden"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with one field of what was asked.

    `field` is the domain's name (`media_urls[0]`, `audience.recipient_ids`); each door says it in the names of its own
    request.
    """

    field: str
    code: str
    detail: str


class HuntazeError(Exception):
    """The root of every error the domain raises. `detail` never holds a message's text, a key or an e-mail address.

    `extra` goes to the caller beside the error (for instance the id of the message that could not be queued).
    """

    kind = ErrorKind.INVALID
    code = "invalid"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: tuple[FieldError, ...] = (),
        extra: Mapping[str, object] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = errors
        self.extra = dict(extra or {})
        self.retry_after = retry_after


class InvalidInput(HuntazeError):
    kind = ErrorKind.INVALID


class NotFound(HuntazeError):
    kind = ErrorKind.NOT_FOUND
    code = "not_found"


class Conflict(HuntazeError):
    kind = ErrorKind.CONFLICT
    code = "conflict"


class Stale(HuntazeError):
    """Somebody else changed the thing since the caller read it."""

    kind = ErrorKind.STALE
    code = "stale"


class Forbidden(HuntazeError):
    """The caller reaches the thing, but their role may not do this to it."""

    kind = ErrorKind.FORBIDDEN
    code = "forbidden"


class TooLarge(HuntazeError):
    kind = ErrorKind.TOO_LARGE
    code = "too_large"


class Unreadable(HuntazeError):
    kind = ErrorKind.UNREADABLE
    code = "unreadable"


class Unavailable(HuntazeError):
    """Something outside cannot be reached or is not configured; trying again later may help."""

    kind = ErrorKind.UNAVAILABLE
    code = "unavailable"
