"""Answers the HTTP API about many fans: the list, a new one on it, tags. Touches services and selectors."""

from typing import Any, ClassVar

from django.utils.translation import gettext
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from crm import fan_services, selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView
from crm.fan_api import CHANGES, ETAG, TAGS_MAX, FanRowAPIView, FanSerializer
from crm.fan_export import fan_shown
from crm.json_types import JsonTypes, MomentField, QueryParameters
from crm.pagination import KeysetPagination


class FanPagination(KeysetPagination):
    """By value, by when they were seen (never is the longest ago), by the name that a list shows, by age here."""

    FIELDS: ClassVar[dict[str, str]] = {
        "valueCents": "value_cents",
        "lastSeenAt": "seen_order",
        "name": "name_order",
        "createdAt": "created_at",
    }
    ORDERINGS: ClassVar[list[str]] = [sign + name for name in FIELDS for sign in ("-", "")]
    DEFAULT = "-valueCents"

    def get_ordering(self, request: Request, queryset: Any, view: APIView | None) -> tuple[str, ...]:
        asked = request.query_params.get("ordering") or self.DEFAULT
        sign = "-" if asked.startswith("-") else ""
        return (sign + self.FIELDS[asked.removeprefix("-")], f"{sign}id")


class FanFilterSerializer(QueryParameters):
    """The query parameters of the list of fans."""

    search = serializers.CharField(
        required=False, default="", max_length=100, allow_blank=True, help_text="Part of the name or the @handle."
    )
    tag = serializers.CharField(
        required=False, default="", max_length=50, allow_blank=True, help_text="Fans who have this tag."
    )
    minValueCents = serializers.IntegerField(
        source="min_value_cents",
        required=False,
        default=None,
        min_value=0,
        max_value=2**53 - 1,
        help_text="Fans who have spent at least this much in all.",
    )
    activeSince = MomentField(
        source="active_since", required=False, default=None, help_text="Fans who were seen since then."
    )
    deleted = serializers.BooleanField(
        required=False, default=False, help_text="Deleted fans who can be restored instead; for owners and managers."
    )
    ordering = serializers.ChoiceField(choices=FanPagination.ORDERINGS, required=False, default=FanPagination.DEFAULT)


class FanListView(FanRowAPIView):
    """The creator's fans, the most valuable first unless `ordering` says otherwise."""

    fragment_templates = dict.fromkeys(("fan-choices", "fan-choices-more"), "crm/_fan_choices.html")

    @extend_schema(
        operation_id="fans_list",
        parameters=[*CREATOR_PARAMETERS, FanFilterSerializer],
        responses=FanSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(FanFilterSerializer)
        del asked["ordering"]
        if asked["deleted"]:
            selectors.membership_require(self.membership, selectors.MANAGERS)
        return self.listed_fast(selectors.fan_list(creator=self.creator, **asked), fan_shown, FanPagination)

    @extend_schema(
        operation_id="fans_create",
        parameters=[*CREATOR_PARAMETERS, ETAG],
        request=FanSerializer,
        responses={201: FanSerializer, 409: CHANGES[409]},
    )
    def post(self, request: Request) -> Response:
        """Add a fan by hand. One whom the creator has already is a conflict."""
        fan = fan_services.fan_create(creator=self.creator, **self.read(FanSerializer))
        return self.shown(fan, status=201)


class FanTagSerializer(JsonTypes):
    """At least one tag to add or to remove."""

    fanIds = serializers.ListField(
        source="fan_ids",
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=fan_services.TAGGED_MAX,
        help_text="Our own ids.",
    )
    add = serializers.ListField(child=serializers.CharField(max_length=50), default=list, max_length=TAGS_MAX)
    remove = serializers.ListField(child=serializers.CharField(max_length=50), default=list, max_length=TAGS_MAX)

    def validate(self, attrs: Any) -> Any:
        if not attrs["add"] and not attrs["remove"]:
            raise serializers.ValidationError({"add": [gettext("Name a tag to add or to remove.")]})
        return attrs


class FanTaggedSerializer(serializers.Serializer[Any]):
    """Who has other tags now; the others had them as they were wished."""

    changed = serializers.ListField(child=serializers.IntegerField())


class FanTagView(CreatorAPIView):
    """Tag many fans at once."""

    @extend_schema(
        operation_id="fans_tag",
        parameters=CREATOR_PARAMETERS,
        request=FanTagSerializer,
        responses={
            200: FanTaggedSerializer,
            400: OpenApiResponse(description="Each fan that is not known is named; nothing was changed."),
        },
    )
    def post(self, request: Request) -> Response:
        changed = fan_services.fan_bulk_tag(creator=self.creator, most=TAGS_MAX, **self.read(FanTagSerializer))
        return Response(FanTaggedSerializer({"changed": changed}).data)
