"""What every view of the API refuses: unknown and repeated query parameters, a body where none is read.

Which names a method takes is what its OpenAPI description declares, so that the two cannot differ. Touches nothing.
"""

from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

from django.http import QueryDict
from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm.errors import FieldError, HuntazeError, InvalidInput
from crm.json_types import UNKNOWN_MAX, JsonTypes, request_name
from crm.known_names import NAME_MAX, unknown_name


class Declared(NamedTuple):
    """What a method takes by its description: query parameters, those of them that are lists, and whether a body."""

    query: frozenset[str]
    lists: frozenset[str]
    body: bool


# By view and method: what is declared is read once in a process.
_DECLARED: dict[tuple[type[APIView], str], Declared | None] = {}


class StrictAPIView(APIView):
    """A view that takes the query parameters it declares, each once, and no others."""

    # Parameters that may come several times; the view itself says what that means.
    repeatable: ClassVar[frozenset[str]] = frozenset()
    # What the request was read by: errors of the services that follow bear its names.
    reader: serializers.BaseSerializer[Any] | None = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.admit(request)
        takes = declared(type(self), str(request.method))
        if takes is None:
            return
        if given := request.query_params:
            query_check(given, takes.query, self.repeatable | takes.lists)
        if not takes.body and request.method not in SAFE_METHODS:
            body_refuse(request)

    def admit(self, request: Request) -> None:
        """Raise where this caller may not; who may is told afterwards what is wrong with the request."""

    def read(self, serializer: type[JsonTypes], *, row: Any = None, partial: bool = False) -> dict[str, Any]:
        """The body, checked. Raises DRF's ValidationError, naming its members.

        row: what the body is about; its read-only members may be sent back as they are.
        """
        self.reader = reader = serializer(row, data=self.request.data, partial=partial)
        reader.is_valid(raise_exception=True)
        values: dict[str, Any] = reader.validated_data
        return values

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, HuntazeError) and exc.errors and self.reader is not None:
            exc.errors = tuple(replace(each, field=request_name(self.reader, each.field)) for each in exc.errors)
        return super().handle_exception(exc)


def declared(view: type[APIView], method: str) -> Declared | None:
    """What the view's method takes; None where it has no such method."""
    key = (view, method)
    if key not in _DECLARED:
        _DECLARED[key] = _declared(view, method)
    return _DECLARED[key]


def _declared(view: type[APIView], method: str) -> Declared | None:
    method = "GET" if method == "HEAD" else method
    handler = getattr(view, method.lower(), None)
    if handler is None or method == "OPTIONS":
        return None
    made: Any = view()
    made.request, made.kwargs = None, {}
    described = getattr(handler, "kwargs", {}).get("schema") or type(made.schema)
    schema: Any = described()
    schema.view, schema.method, schema.path = made, method, ""
    names: dict[str, bool] = schema.query_names()
    lists = frozenset(name for name, is_list in names.items() if is_list)
    return Declared(frozenset(names), lists, schema.reads_body(method))


def body_refuse(request: Request) -> None:
    """Raise InvalidInput that names each member of a JSON body where none is read."""
    media_type = request.content_type.partition(";")[0].strip() if request.content_type else ""
    if media_type != "application/json" or request.META.get("CONTENT_LENGTH") in {None, "", "0"}:
        return
    if given := request.data:
        names = [str(name)[:NAME_MAX] for name in given] if isinstance(given, dict) else [""]
        errors = [FieldError(name, "unknown_field", gettext("No body is read here.")) for name in names[:UNKNOWN_MAX]]
        raise InvalidInput(gettext("Some fields are not valid."), errors=tuple(errors))


def query_check(given: "QueryDict", known: frozenset[str], repeatable: frozenset[str]) -> None:
    """Raise InvalidInput that names each parameter which is unknown or comes twice."""
    unknown = given.keys() - known
    repeated = [name for name, values in given.lists() if len(values) > 1 and name not in unknown | repeatable]
    if unknown or repeated:
        twice = gettext("This is given more than once.")
        errors = [
            FieldError(name[:NAME_MAX], "unknown_parameter", unknown_name(name, known)) for name in sorted(unknown)
        ]
        errors += [FieldError(name, "repeated", twice) for name in repeated]
        raise InvalidInput(gettext("Some query parameters are not valid."), errors=tuple(errors[:UNKNOWN_MAX]))


def query_known(view: type[APIView], given: "QueryDict") -> "QueryDict":
    """Of a page's address what the view's GET takes, each once: an address may hold what a mailing put there."""
    takes = declared(view, "GET")
    kept = QueryDict(mutable=True)
    for name in given.keys() & (takes.query if takes else frozenset()):
        kept[name] = str(given[name])
    return kept
