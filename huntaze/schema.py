"""Answers what the operations of the OpenAPI document share: errors, pages, tags, sign-in. Touches nothing.

A view says what is its own. What else it can answer follows from what it is (it asks for a user, has a creator, reads
a body, sends), so that a new view needs no line here; its examples are made in huntaze/schema_examples.py.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Literal

from django.http import HttpRequest
from django.utils.translation import override
from drf_spectacular.contrib import rest_framework_simplejwt as simplejwt
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction, OpenApiParameter
from rest_framework.serializers import ListField

from crm.pagination import KeysetPagination
from huntaze.api import TITLES
from huntaze.schema_examples import FILES, example_complete, example_of

PROBLEM = "application/problem+json"
CSV = "text/csv"
UPLOAD = "multipart/form-data"
# The last of these that stands in an address says what the operation is about.
TAGS = {
    "auth": "Signing in, by token; a browser page uses its session",
    "fans": "Who the fans are",
    "conversations": "What was said, by fan",
    "messages": "What goes out, and how it is getting on",
    "campaigns": "One text to many fans",
    "imports": "Fans from a file",
    "quick-replies": "Texts that are written often",
    "team": "Who works for a creator",
    "creator": "What holds for all of a creator",
    "account": "The platform's account that a creator sends through",
    "analytics": "What happened, and what it was worth",
    "webhooks": "What the platform tells",
    "monitoring": "Whether everything is well",
}
TAG_OF = {**{name: name for name in TAGS}, "import": "imports", "bulk": "campaigns"}
# What the package's own views say of themselves is for who reads their code.
SIGNING_IN = {
    "/api/auth/token": "Sign in with e-mail address and password.\n\nSend the access token as "
    "`Authorization: Bearer …`; it is good for 15 minutes. With the refresh token, good for 14 days, the next ones are "
    "fetched at `/api/auth/token/refresh`. After several wrong passwords in a row the answer is 429 for a while.",
    "/api/auth/token/refresh": "Fetch the next access token.\n\nThe answer has a new refresh token too: keep that "
    "one, the one that was sent counts no more. Of two requests with the same token one gets the next tokens, the "
    "other 401 with the code `token_used`.",
    "/api/auth/token/verify": "Ask whether a token counts.\n\n200 for one that does, 401 for one that has run out or "
    "whose sign-in has ended.",
    "/api/auth/logout": "Sign out: the refresh token and all access tokens of the same sign-in count no more.",
}
# Of an id in an address: where a client finds it.
PATH_IDS = {
    "fan_id": "The fan's `id` here, as lists and conversations have it.",
    "conversation_id": "The conversation's `id`.",
    "message_id": "The message's id: `messageId` of an answer, `id` in a conversation.",
    "campaign_id": "The campaign's `id`; `campaignId` where it was started.",
    "import_id": "The import's `id`; `importId` where the file was sent.",
    "account_key": "The account's own part of its webhook address.",
}
DESCRIPTIONS = {
    400: "Malformed, or not valid: `errors` names each field.",
    401: "No token or session, or one that does not count any more.",
    403: "The caller's role may not do this.",
    404: "There is no such thing, or it is not the caller's.",
    406: "The answer comes in none of the types that `Accept` names.",
    409: "The `Idempotency-Key` came with another body before, or its first request is running.",
    412: "Changed since the caller read it.",
    413: "The body is too large.",
    415: "The body is of a type that is not read here.",
    422: "The file cannot be read.",
    429: "Too many requests: wait for as long as `Retry-After` says.",
    503: "Not available now; where `Retry-After` is there it says for how long.",
}
# The codes that examples show; each of them is one of several that the status has.
CODES = {400: "invalid", 401: "not_authenticated", 403: "role_not_allowed", 412: "stale", 413: "too_large"} | {
    415: "unsupported_media_type",
    422: "unreadable",
    429: "throttled",
    503: "unavailable",
}
HEADERS = {
    "Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds to wait."},
    "RateLimit": {
        "schema": {"type": "string"},
        "description": 'What is left of the window and the seconds until the next one: `"general";r=599;t=42`. '
        "Absent while nobody is counted.",
        "example": '"general";r=599;t=42',
    },
    "RateLimit-Policy": {
        "schema": {"type": "string"},
        "description": 'The requests that a window allows and its seconds: `"general";q=600;w=60`.',
        "example": '"general";q=600;w=60',
    },
    "X-Request-Id": {
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "description": "The name of this request in the logs: the one that the caller gave, or a new one.",
    },
}
FIELD_PROBLEM = {
    "type": "object",
    "description": "One thing wrong with one field; an empty `field` means the body as a whole.",
    "properties": {"field": {"type": "string"}, "code": {"type": "string"}, "detail": {"type": "string"}},
    "required": ["field", "code", "detail"],
}
MEMBERS: dict[str, Any] = {
    "type": {"type": "string", "description": "Always `about:blank`: `code` tells one problem from another."},
    "title": {"type": "string"},
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "detail": {"type": "string", "description": "In words, for the person in front of it."},
    "code": {"type": "string", "description": "For programs, and stable."},
    "errors": {"type": "array", "items": {"$ref": "#/components/schemas/FieldProblem"}},
}
PROBLEMS = {
    "FieldProblem": FIELD_PROBLEM,
    "Problem": {
        "type": "object",
        "description": "What went wrong (RFC 9457). Some problems have members of their own beside these.",
        "properties": MEMBERS,
        "required": ["type", "title", "status", "detail", "code"],
        "additionalProperties": True,
    },
    "SendProblem": {
        "type": "object",
        "description": "Nothing can be sent now. Where the queue did not take a message that is stored, `messageId` "
        "names it and `status` is how it stands. A POST to `retryUrl` tries that message again, and so does the same "
        "request, with its `Idempotency-Key` or without one.",
        "properties": {
            **MEMBERS,
            "status": {"oneOf": [{"type": "integer", "enum": [503]}, {"type": "string", "enum": ["failed"]}]},
            "messageId": {"type": "string", "format": "uuid"},
            "campaignId": {"type": "integer", "description": "Of a bulk message, or a campaign."},
            "retryUrl": {"type": "string", "format": "uri"},
        },
        "required": ["type", "title", "status", "detail", "code"],
        "additionalProperties": True,
    },
}

# The package's own name for a choice that may be null.
NULL = {"$ref": "#/components/schemas/NullEnum"}


class EnglishSchemaGenerator(SchemaGenerator):
    """Writes the document in the one language that its descriptions have, whatever the reader's is."""

    def get_schema(self, request: HttpRequest | None = None, public: bool = False) -> Any:
        with override("en"):
            return super().get_schema(request, public)  # type: ignore[no-untyped-call]


class Schema(AutoSchema):
    """One operation, with all that it can answer."""

    def get_tags(self) -> list[str]:
        return [TAG_OF[part] for part in self.path.split("/") if part in TAG_OF][-1:] or ["other"]

    def get_operation_id(self) -> str:
        return str(super().get_operation_id()).removesuffix("_create")

    def get_description(self) -> str:  # type: ignore[override]  # spectacular's own takes nothing either
        return SIGNING_IN.get(self.path) or str(super().get_description())

    def get_summary(self) -> str:
        """The first sentence of what the operation says of itself."""
        return str(super().get_summary() or self.get_description().split("\n\n")[0].split(". ")[0].rstrip("."))

    def query_names(self) -> dict[str, bool]:
        """The query parameters that the document has of the view's method, and whether each may come several times.

        Requests are held to them (crm/strict_api.py).
        """
        found = {each["name"]: False for each in self._get_pagination_parameters()}  # type: ignore[no-untyped-call]
        for each in self.get_override_parameters():
            if not isinstance(each, OpenApiParameter):
                fields = (each() if isinstance(each, type) else each).fields
                found |= {name: isinstance(field, ListField) for name, field in fields.items()}
            elif each.location == OpenApiParameter.QUERY and not each.response:
                found[each.name] = bool(each.many)
        return found

    def reads_body(self, method: str) -> bool:
        """Whether the view's method has a body in the document."""
        return method in {"POST", "PUT", "PATCH"} and self.get_request_serializer() is not None

    def _get_paginator(self) -> KeysetPagination | None:
        # CreatorAPIView.listed is the one way to answer with a list, but for those that are short and say so.
        return KeysetPagination() if getattr(self.view, "paged", True) else None

    def _get_parameters(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = super()._get_parameters()
        for parameter in found:
            if parameter["in"] == "path":
                parameter["description"] = PATH_IDS.get(parameter["name"], "")
            if parameter["in"] == "query" and not parameter.get("required"):
                # A form sends its empty fields too; they count as left out.
                parameter["allowEmptyValue"] = True
                parameter["schema"].pop("minLength", None)
        return found

    def _get_response_bodies(self, direction: Literal["request", "response"] = "response") -> dict[str, Any]:
        found: dict[int, dict[str, Any]] = {
            int(status): response for status, response in super()._get_response_bodies(direction).items()
        }
        counted = ("RateLimit", "RateLimit-Policy") if self.view.throttle_classes else ()
        for status, response in found.items():
            if status >= 400:
                response |= problem_response(status, response["description"])
            else:
                # A page's fragment is for our own pages; beside the JSON a generator would make every answer either.
                response.get("content", {}).pop("text/html", None)
            shared = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *counted)}
            response["headers"] = {**response.get("headers", {}), **shared}
        for status in self._statuses() - set(found):
            found[status] = {"$ref": f"#/components/responses/Problem{status}"}
        if self._sends():
            found[503] = {"$ref": "#/components/responses/SendProblem503"}
        return {str(status): found[status] for status in sorted(found)}

    def _statuses(self) -> set[int]:
        """The errors that the view can answer for what it is."""
        view, writes = self.view, self.method not in {"GET", "HEAD"}
        reads_body = bool(self._get_request_body())  # type: ignore[no-untyped-call]
        found = {400, 401, 406}
        if view.throttle_classes:
            found.add(429)
        # By what they have: DRF imports this module while those of the views are being imported.
        if hasattr(view, "read_roles"):
            found |= {403, 404}
        elif writes and view.authentication_classes:
            found.add(403)  # a session without its CSRF token
        if "{" in self.path:
            found.add(404)
        if reads_body:
            found.add(413)
            if view.parser_classes:
                found.add(415)
        if self.method == "POST" and hasattr(view, "answer_again"):
            found.add(409)
        if self._sends():
            found.add(503)
        return found

    def _sends(self) -> bool:
        return self.method == "POST" and getattr(self.view, "write_scope", "") == "sends"


def problem_response(status: int, description: str = "", *, schema: str = "Problem") -> dict[str, Any]:
    """The response of one status; the description says why, where it is not the status's usual reason."""
    description = description or DESCRIPTIONS[status]
    example: dict[str, Any] = {
        "type": "about:blank",
        "title": TITLES[status],
        "status": status,
        "detail": description,
        "code": CODES.get(status, HTTPStatus(status).name.lower()),
    }
    if status == 400:
        example["errors"] = [{"field": "priceCents", "code": "min_value", "detail": "Give 300 to 20000 cents."}]
    names = ["X-Request-Id", *(["Retry-After"] if status in {429, 503} else [])]
    names += ["RateLimit", "RateLimit-Policy"] if status == 429 else []
    return {
        "description": description,
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names},
        "content": {PROBLEM: {"schema": {"$ref": f"#/components/schemas/{schema}"}, "example": example}},
    }


def document_complete(
    result: dict[str, Any], generator: SchemaGenerator, request: HttpRequest | None, public: bool
) -> dict[str, Any]:
    """A postprocessing hook: what belongs to no single operation. Runs after the enums have their names."""
    components = result["components"]
    schemas = components["schemas"]
    schemas.pop("NullEnum", None)
    for name, schema in schemas.items():
        _blank_describe(schema)
        _null_describe(schema)
        if not name.endswith("Request"):
            _always_there(schema)
            continue
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
        if name.startswith("Patched"):
            _defaults_drop(schema)
    schemas |= PROBLEMS
    components["schemas"] = dict(sorted(schemas.items()))
    components["headers"] = HEADERS
    components["securitySchemes"]["jwtAuth"]["description"] = "The access token that `/api/auth/token` answers with."
    components["securitySchemes"]["cookieAuth"]["description"] = (
        "The session of a browser page; what writes sends the `csrftoken` cookie's value as `X-CSRFToken` too."
    )
    components["responses"] = {
        **{f"Problem{status}": problem_response(status) for status in DESCRIPTIONS},
        "SendProblem503": problem_response(503, schema="SendProblem"),
    }
    used = {tag for operation in _operations(result) for tag in operation["tags"]}
    result["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    for operation in _operations(result):
        # Said of those, too, that anybody may call: a generator need not guess.
        operation.setdefault("security", [])
        name = operation["operationId"]
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for status, body in bodies.items():
            for kind, media in body.get("content", {}).items():
                if kind == CSV:
                    media["example"] = FILES[name]
                # A file is no value that the document could show; the fields beside it are told one by one.
                elif kind != UPLOAD and "example" not in media and "examples" not in media:
                    media["example"] = example_complete(name, status, example_of(media["schema"], schemas))
    return result


def _operations(result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in result["paths"].values():
        yield from path.values()


def _blank_describe(schema: dict[str, Any]) -> None:
    """Of "an address or nothing": nothing may fit both, and the default is the whole field's."""
    for each in schema.get("properties", {}).values():
        choices = each.get("oneOf", ())
        if any(choice.get("maxLength") == 0 for choice in choices):
            each["anyOf"] = each.pop("oneOf")
            defaults = [choice.pop("default") for choice in choices if "default" in choice]
            if defaults:
                each["default"] = defaults[0]
    if schema.get("enum") == [""]:
        schema["type"] = "string"


def _null_describe(schema: dict[str, Any]) -> None:
    """Of "one of these words or null": `nullable` says it, and a type of null alone is nobody's to write."""
    for each in schema.get("properties", {}).values():
        choices = each.get("oneOf", ())
        if NULL in choices:
            each.pop("oneOf")
            each["allOf"] = [choice for choice in choices if choice != NULL]
            each["nullable"] = True


def _always_there(schema: dict[str, Any]) -> None:
    """An answer has every member, and defaults are for what is asked."""
    _defaults_drop(schema)
    if schema.get("properties"):
        schema["required"] = sorted(schema["properties"])


def _defaults_drop(schema: dict[str, Any]) -> None:
    """What a PATCH leaves out stays as it is: a client must not fill it in."""
    for each in schema.get("properties", {}).values():
        each.pop("default", None)


class TokenScheme(simplejwt.SimpleJWTScheme):  # type: ignore[no-untyped-call]  # of the base's __init_subclass__
    target_class = "huntaze.tokens.TokenAuthentication"


class ObtainExtension(simplejwt.TokenObtainPairSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.ObtainSerializer"

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        found: dict[str, Any] = super().map_serializer(auto_schema, direction)  # type: ignore[no-untyped-call]
        if direction == "request":  # the base knows its own fields alone
            found["properties"]["otp"] = {
                "type": "string",
                "writeOnly": True,
                "minLength": 1,
                "maxLength": 20,
                "description": "Of users with two-step sign-in: a code of the authenticator app, or a recovery code.",
            }
        return found


class RefreshExtension(simplejwt.TokenRefreshSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.RefreshSerializer"


class VerifyExtension(simplejwt.TokenVerifySerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "huntaze.tokens.VerifySerializer"
