"""Answers a repeated POST with what the first one answered, by its Idempotency-Key. Touches crm/idempotency.py."""

import hashlib
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from django.core.files.uploadedfile import UploadedFile
from django.db import DatabaseError
from django.http import QueryDict
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from crm import idempotency
from crm.api import CREATOR_PARAMETERS, CreatorAPIView
from crm.errors import FieldError, InvalidInput
from crm.idempotency import Answer, Claim

logger = structlog.get_logger(__name__)
HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEY = re.compile(r"[ -~]{1,255}")
# What says for whom and from where, not what.
BESIDE_THE_POINT = frozenset({"creator", "csrfmiddlewaretoken"})
ONCE_PARAMETERS = [
    *CREATOR_PARAMETERS,
    OpenApiParameter(
        HEADER,
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
        OpenApiParameter.HEADER,
        description="A name for this request, such as a random UUID. Sent again within 24 hours with the same body, it "
        f"is not done again: the answer is the first one's, with the header `{REPLAYED}: true`. After a 503 it goes on "
        "with what was stored. With another body, or while the first request is running, the answer is 409.",
    ),
    OpenApiParameter(
        REPLAYED,
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 202],
        description="`true` where the answer is that of an earlier request with the same Idempotency-Key.",
    ),
]


class OnceAPIView(CreatorAPIView):
    """A view whose POST, under `once`, happens once per Idempotency-Key.

    `post` gives `self.stored` to the service, which calls it in the transaction that makes the row.
    """

    claim: Claim | None = None

    def stored(self, subject: object) -> None:
        if self.claim is not None:
            idempotency.key_bind(self.claim, subject=str(subject))

    def answer_again(self, subject: str) -> Response:
        """The answer for the row that was made, where the process died before it could answer, or answered 503.

        What keeps that row from being done is tried once more.
        """
        raise NotImplementedError


def once(post: Callable[..., Response]) -> Callable[..., Response]:
    """Decorates `post` of an OnceAPIView. What made nothing leaves its key free, so a mended request may follow."""

    @wraps(post)
    def done_once(view: OnceAPIView, request: Request, *args: Any, **kwargs: Any) -> Response:
        key = _key_of(request)
        if key is None:
            return post(view, request, *args, **kwargs)
        found = idempotency.key_claim(
            creator=view.creator, user=view.membership.user, key=key, request_hash=_hash_of(request)
        )
        if isinstance(found, Answer):
            return _replayed(Response(json.loads(found.body), status=found.status_code))
        view.claim = found
        try:
            response = view.answer_again(found.subject) if found.subject else post(view, request, *args, **kwargs)
        except Exception as error:
            try:
                response = view.handle_exception(error)
            except Exception:
                idempotency.key_release(found)
                raise
        _keep(found, response)
        return _replayed(response) if found.subject and not found.resumed else response

    return done_once


def _key_of(request: Request) -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not KEY.fullmatch(key):
        wrong = FieldError(HEADER, "invalid", gettext("A key is 1 to 255 printable ASCII characters."))
        raise InvalidInput(gettext("The header %(header)s is not valid.") % {"header": HEADER}, errors=(wrong,))
    return key


def _hash_of(request: Request) -> str:
    """The same for the same wish, whatever the order of its members. Raises ParseError for what cannot be read."""
    query = sorted((name, values) for name, values in request.query_params.lists() if name not in BESIDE_THE_POINT)
    data = request.data
    if isinstance(data, QueryDict):
        data = {
            name: [_file_hash(value) if isinstance(value, UploadedFile) else value for value in values]
            for name, values in data.lists()
            if name not in BESIDE_THE_POINT
        }
    wish = json.dumps([request.method, request.path, query, data], sort_keys=True)
    return hashlib.sha256(wish.encode()).hexdigest()


def _file_hash(file: "UploadedFile[Any]") -> list[str | None]:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return [file.name, digest.hexdigest()]


def _keep(claim: Claim, response: Response) -> None:
    """The answer, where something was made. Without the headers: whoever waits and repeats is answered the same."""
    try:
        body = json.dumps(response.data, cls=JSONEncoder)
        if not idempotency.key_answer(claim, Answer(status_code=response.status_code, body=body)):
            idempotency.key_release(claim)
    except DatabaseError:
        # It is done, and the caller may know; the key finds the row again.
        logger.exception("answer not kept", key_id=claim.key_id)


def _replayed(response: Response) -> Response:
    response[REPLAYED] = "true"
    if response.status_code >= 400:
        response.content_type = "application/problem+json"
    return response
