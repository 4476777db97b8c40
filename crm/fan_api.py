"""Answers the HTTP API about one fan: change, deletion, restoration, export. Touches services and selectors."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import StreamingHttpResponse
from django.utils.http import parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm import fan_services, selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.fan_export import fan_export, fan_shown
from crm.json_types import JsonTypes, QueryParameters
from crm.models import Fan
from crm.rendering import JSONRenderer

# As many as an import takes (onlyfans.csv_values).
TAGS_MAX = 50
NOTES_MAX_CHARACTERS = 10_000

ETAG = OpenApiParameter(
    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=[200, 201], description="Names this state of the fan."
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag that you read the fan with: 412 where it has changed since. Without it, or with `*`, "
    "whatever the state.",
)
NO_SUCH_FAN = OpenApiResponse(description="There is no such fan, or they were deleted.")
CHANGES = {
    404: NO_SUCH_FAN,
    409: OpenApiResponse(description="Another fan has this `platformId`; `fanId` says who."),
    412: OpenApiResponse(description="Somebody changed the fan since: read it again."),
}


class FanSerializer(JsonTypes, serializers.ModelSerializer[Fan]):
    """`deletedAt` is set on deleted fans alone, who can be restored."""

    platformId = serializers.CharField(
        source="platform_id",
        max_length=64,
        help_text="The id at the platform, or the handle in lower case while nobody knows the id.",
    )
    tags = serializers.ListField(
        child=serializers.CharField(max_length=50), max_length=TAGS_MAX, default=list, help_text="Each once."
    )
    notes = serializers.CharField(max_length=NOTES_MAX_CHARACTERS, allow_blank=True, default="")
    valueCents = serializers.IntegerField(source="value_cents", min_value=0, max_value=2**53 - 1, default=0)
    lastSeenAt = serializers.DateTimeField(source="last_seen_at", read_only=True, allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at", read_only=True)
    updatedAt = serializers.DateTimeField(source="updated_at", read_only=True)
    deletedAt = serializers.DateTimeField(source="deleted_at", read_only=True, allow_null=True)

    class Meta:
        model = Fan
        fields = (
            "id",
            "platform",
            "platformId",
            "handle",
            "name",
            "email",
            "avatar",
            "tags",
            "notes",
            "valueCents",
            "lastSeenAt",
            "createdAt",
            "updatedAt",
            "deletedAt",
        )
        read_only_fields = ("platform",)
        extra_kwargs = {name: {"default": ""} for name in ("handle", "name", "email", "avatar")}

    def validate_handle(self, handle: str) -> str:
        return handle.removeprefix("@")

    def validate_tags(self, tags: list[str]) -> list[str]:
        return list(dict.fromkeys(tags))


class FanDeletionFilterSerializer(QueryParameters):
    """The query parameters of a deletion."""

    erase = serializers.BooleanField(
        required=False,
        default=False,
        help_text="For a data-protection request: erase at once and for good, whether deleted before or not.",
    )


class FanDeletedSerializer(serializers.ModelSerializer[Fan]):
    """A deleted fan, and until when they can be restored."""

    deletedAt = serializers.DateTimeField(source="deleted_at")
    restorableUntil = serializers.SerializerMethodField()

    class Meta:
        model = Fan
        fields = ("id", "platformId", "handle", "name", "deletedAt", "restorableUntil")

    platformId = serializers.CharField(source="platform_id")

    @extend_schema_field(serializers.DateTimeField())
    def get_restorableUntil(self, fan: Fan) -> str:
        assert fan.deleted_at is not None  # noqa: S101  the service has just set it
        return serializers.DateTimeField().to_representation(fan.deleted_at + selectors.RESTORABLE_FOR)


class FanRowAPIView(CreatorAPIView):
    """What the views that show fans as rows of the page's table share."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_fans.html"
    # By the id of the element that the answer is for, where that is no row.
    fragment_templates: ClassVar[dict[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        # The part of the page that asks says what it can show.
        target = request._request.htmx.target or ""  # type: ignore[attr-defined]  # noqa: SLF001
        self.fragment_template = self.fragment_templates.get(target, self.fragment_template)

    def shown(self, fan: Fan, *, status: int = 200) -> Response:
        """The fan with the ETag that the next change names; asked again each time, never kept by a cache."""
        headers = {"ETag": etag_of(fan), "Cache-Control": "private, no-cache"}
        return Response(fan_shown(fan), status=status, headers=headers)


class FanView(FanRowAPIView):
    """One fan."""

    fragment_template = "crm/_fan_row.html"
    fragment_templates = {"fan": "crm/_fan_page.html"}

    @extend_schema(
        operation_id="fans_retrieve",
        parameters=[
            *CREATOR_PARAMETERS,
            ETAG,
            OpenApiParameter(
                "If-None-Match",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The ETag of the fan as you have it: 304 while that is still so.",
            ),
        ],
        responses={
            200: FanSerializer,
            304: OpenApiResponse(description="It is as you have it."),
            404: NO_SUCH_FAN,
        },
    )
    def get(self, request: Request, fan_id: int) -> Response:
        fan = selectors.fan_get(creator=self.creator, fan_id=fan_id)
        known = [tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))]
        if etag_of(fan) in known or "*" in known:
            return Response(status=304, headers={"ETag": etag_of(fan), "Cache-Control": "private, no-cache"})
        return self.shown(fan)

    @extend_schema(
        operation_id="fans_replace",
        parameters=[*CREATOR_PARAMETERS, IF_MATCH, ETAG],
        request=FanSerializer(partial=True),
        responses={200: FanSerializer, **CHANGES},
    )
    def put(self, request: Request, fan_id: int) -> Response:
        """Change some members of a fan, as PATCH does: name, tags, notes and valueCents, or others. The rest stays."""
        return self._change(request, fan_id)

    @extend_schema(
        operation_id="fans_update",
        parameters=[*CREATOR_PARAMETERS, IF_MATCH, ETAG],
        request=FanSerializer(partial=True),
        responses={200: FanSerializer, **CHANGES},
    )
    def patch(self, request: Request, fan_id: int) -> Response:
        """Change some members of a fan. The rest stays as it is."""
        return self._change(request, fan_id)

    def _change(self, request: Request, fan_id: int) -> Response:
        fan = selectors.fan_get(creator=self.creator, fan_id=fan_id)
        changes = self.read(FanSerializer, row=fan, partial=True)
        return self.shown(fan_services.fan_update(fan=fan, seen=versions_seen(request), **changes))

    @extend_schema(
        operation_id="fans_delete",
        parameters=[*CREATOR_PARAMETERS, FanDeletionFilterSerializer, IF_MATCH],
        responses={
            200: FanDeletedSerializer,
            204: OpenApiResponse(description="Erased (`erase=true`)."),
            404: NO_SUCH_FAN,
            412: CHANGES[412],
        },
    )
    def delete(self, request: Request, fan_id: int) -> Response:
        """Delete a fan: they are hidden everywhere, and nothing more goes out to them; for owners and managers.

        They can be restored for 30 days, then they are erased. With `erase=true` they are erased at once: messages
        keep their times, states and prices and lose their text.
        """
        selectors.membership_require(self.membership, selectors.MANAGERS)
        if self.asked(FanDeletionFilterSerializer)["erase"]:
            held = selectors.fan_get_held(creator=self.creator, fan_id=fan_id)
            fan_services.fan_erase(fan=held, seen=versions_seen(request))
            return Response(status=204)
        fan = selectors.fan_get(creator=self.creator, fan_id=fan_id)
        deleted = fan_services.fan_delete(fan=fan, seen=versions_seen(request))
        own_page = self.fragment_template == self.fragment_templates["fan"]
        self.fragment_template = "crm/_fan_gone.html" if own_page else "crm/_fan_deleted.html"
        return Response(FanDeletedSerializer(deleted).data)


class FanRestoreView(FanRowAPIView):
    """Bring a deleted fan back, with conversation and messages; messages that were cancelled stay so."""

    write_roles = selectors.MANAGERS
    fragment_template = "crm/_fan_row.html"
    fragment_templates = {"fan": "crm/_fan_page.html"}

    @extend_schema(
        operation_id="fans_restore",
        parameters=[*CREATOR_PARAMETERS, ETAG],
        request=None,
        responses={200: FanSerializer, 404: OpenApiResponse(description="There is no such fan, or not any more.")},
    )
    def post(self, request: Request, fan_id: int) -> Response:
        held = selectors.fan_get_held(creator=self.creator, fan_id=fan_id)
        return self.shown(fan_services.fan_restore(fan=held))


class FanExportView(CreatorAPIView):
    """Everything held on one fan, deleted or not, as a JSON file; for owners and managers."""

    read_roles = selectors.MANAGERS

    @extend_schema(
        operation_id="fans_export",
        parameters=CREATOR_PARAMETERS,
        responses={200: OpenApiResponse(OpenApiTypes.OBJECT), 404: NO_SUCH_FAN},
    )
    def get(self, request: Request, fan_id: int) -> StreamingHttpResponse:
        fan = selectors.fan_get_held(creator=self.creator, fan_id=fan_id)
        pieces = fan_export(fan=fan)
        return StreamingHttpResponse(
            _asynchronous(pieces) if isinstance(request._request, ASGIRequest) else pieces,  # noqa: SLF001
            content_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="fan-{fan.pk}.json"', "Cache-Control": "no-store"},
        )


async def _asynchronous(pieces: Iterator[str]) -> AsyncIterator[str]:
    """For a server that would otherwise collect all of a plain iterator before it sends the first byte."""
    following = sync_to_async(lambda: next(pieces, None))
    while (piece := await following()) is not None:
        yield piece


def etag_of(fan: Fan) -> str:
    return f'"{fan.version}"'


def versions_seen(request: Request) -> list[int] | None:
    """The versions that If-Match names; None for `*` and without it. One that was never ours is none of them."""
    tags = parse_etags(request.headers.get("If-Match", "*"))
    if tags == ["*"]:
        return None
    # A weak tag (W/…) matches nothing here, as RFC 9110 section 13.1.1 has it.
    return [int(tag[1:-1]) for tag in tags if tag[1:-1].isascii() and tag[1:-1].isdigit() and len(tag) < 20]
