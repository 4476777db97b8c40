"""Answers what every view of one creator shares, and the API of conversations and of who is signed in.
Touches selectors and services.
"""

import json
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, TypeVar, cast

from django.db.models import QuerySet
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.translation import gettext
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors, services
from crm.errors import FieldError, InvalidInput, NotFound
from crm.json_types import QueryParameters
from crm.listing import Listing
from crm.models import Conversation, Creator, Fan, Membership, Message, Role, User
from crm.pagination import KeysetPagination
from crm.recent import Recent
from crm.rendering import JSONRenderer
from crm.strict_api import StrictAPIView

R = TypeVar("R")

CREATOR_PARAMETERS = [
    OpenApiParameter(
        "X-Creator",
        OpenApiTypes.INT,
        OpenApiParameter.HEADER,
        description="The creator to work for; not needed by a user of one creator.",
    ),
    OpenApiParameter("creator", OpenApiTypes.INT, OpenApiParameter.QUERY, description="The same as X-Creator."),
]

# Reads may rely on a role of some seconds ago; writes ask the database.
_memberships: Recent[tuple[int, int | None], Membership] = Recent()


def creator_id_of(request: Request) -> int | None:
    """The creator that the caller names, None when none is.

    Raises NotFound for what cannot be an id, InvalidInput where header and address name two.
    """
    # An empty parameter is a form's field that was left empty; an empty header is a mistake.
    named = set(request.query_params.getlist("creator")) - {""}
    if "X-Creator" in request.headers:
        named.add(request.headers["X-Creator"])
    if not named:
        return None
    if len(named) > 1:
        wrong = FieldError("creator", "ambiguous", gettext("This is another one than elsewhere in the request."))
        raise InvalidInput(gettext("Name one creator, in X-Creator or ?creator=."), errors=(wrong,))
    value = named.pop()
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise NotFound(gettext("There is no such creator."), code="creator_not_found")
    return int(value)


def times_shown(data: Any) -> Any:
    """The data with each time of it, which is in UTC, as DRF's DateTimeField shows one; so does orjson by itself."""
    if isinstance(data, datetime):
        return data.isoformat().removesuffix("+00:00") + "Z"
    if isinstance(data, dict):
        return {name: times_shown(value) for name, value in data.items()}
    return [times_shown(each) for each in data] if isinstance(data, list) else data


class CreatorAPIView(StrictAPIView):
    """A view of one creator: `self.membership` is the caller's, found before any method runs.

    `read_roles` and `write_roles` say who may; a caller without a membership gets 404 and learns nothing.
    """

    read_roles: ClassVar[frozenset[Role]] = frozenset(Role)
    write_roles: ClassVar[frozenset[Role]] = selectors.WRITERS
    # The quota that writes count against, where it is not everybody's (huntaze/throttling.py).
    write_scope: str = ""
    # Beside an empty one, or the same again; creator_id_of says so.
    repeatable = frozenset({"creator"})
    membership: Membership

    def admit(self, request: Request) -> None:
        assert isinstance(request.user, User)  # noqa: S101  IsAuthenticated has run before
        user, creator_id, reads = request.user, creator_id_of(request), request.method in SAFE_METHODS
        self.membership = _memberships.get(
            (user.pk, creator_id),
            lambda: selectors.membership_get(user=user, creator_id=creator_id),
            fresh=not reads,
        )
        self.membership.user = user  # or reading it would ask the database again
        roles = self.read_roles if reads else self.write_roles
        selectors.membership_require(self.membership, roles)

    @property
    def creator(self) -> Creator:
        return self.membership.creator

    @property
    def may_write(self) -> bool:
        return self.membership.role in self.write_roles

    @property
    def may_manage(self) -> bool:
        return self.membership.role in selectors.MANAGERS

    def asked(self, filters: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query parameters, checked. Raises DRF's ValidationError, naming them."""
        given = self.request.query_params
        names, unasked = _filters_unasked(filters)
        return _checked(filters, given) if names & given.keys() else {**unasked}

    def listed(
        self,
        rows: QuerySet[Any],
        serializer: type[serializers.BaseSerializer[Any]],
        pagination: type[KeysetPagination],
        shown_as: Callable[[list[Any]], list[Any]] | None = None,
        context: dict[str, Any] | None = None,
    ) -> Response:
        """One page of the rows; `shown_as` turns the page's rows, all at once, into what the serializer shows.

        context: what the serializer needs to know beside the rows.
        """
        paginator = pagination()
        page = paginator.paginate_queryset(rows, self.request, view=self)
        shown: Any = shown_as(page) if shown_as else page
        return paginator.get_paginated_response(serializer(shown, many=True, context=context or {}).data)

    def listed_fast(
        self, rows: Listing[R], shown: Callable[[R], dict[str, Any]], pagination: type[KeysetPagination]
    ) -> Response:
        """As `listed` where many ask: `shown` makes of a row what the list's serializer would."""
        paginator = pagination()
        page = paginator.paginate_queryset(rows, self.request, view=self)
        return paginator.get_paginated_response([shown(row) for row in page])


def _checked(filters: type[serializers.Serializer[Any]], given: Any) -> dict[str, Any]:
    asked = filters(data=given)
    asked.is_valid(raise_exception=True)
    values: dict[str, Any] = asked.validated_data
    return values


@cache
def _filters_unasked(filters: type[serializers.Serializer[Any]]) -> tuple[frozenset[str], dict[str, Any]]:
    """The names of the parameters, and what the filters are where none is given, as mostly none is."""
    return frozenset(filters().fields), _checked(filters, QueryDict())


class FragmentRenderer(BaseRenderer):
    """The same answer as a piece of HTML that a page swaps in: the view's `fragment_template`, or the problem in words.

    The template sees the answer's members, `data`, the `view`, the answer's `etag`, and `page_path`: where the reader
    is. A page that renders the view itself may name another template.
    """

    media_type = "text/html"
    format = "html"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> str:
        view, response = renderer_context["view"], renderer_context["response"]
        request = renderer_context["request"]._request  # noqa: SLF001  templates want Django's own request
        response["Content-Type"] = "text/html; charset=utf-8"  # a problem names another one
        if response.status_code == 204:
            return ""
        wanted = getattr(request, "fragment_template", "") or view.fragment_template
        template = "_problem.html" if response.status_code >= 400 else wanted
        data = times_shown(data)
        members = data if isinstance(data, dict) else {}
        page_path = getattr(request, "page_path", "") or request.htmx.current_url_abs_path or ""
        return render_to_string(
            template,
            {
                **members,
                "data": data,
                "view": view,
                "etag": response.get("ETag", ""),
                "page_path": page_path.partition("?")[0],
            },
            request,
        )


class CsvRenderer(BaseRenderer):
    """The text as it is; a problem document goes out as the JSON that its content type says."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        return (data if isinstance(data, str) else json.dumps(data)).encode()


class ConversationPagination(KeysetPagination):
    """Those in which a fan or a person wrote, by when they last did; then those that campaigns alone wrote in."""

    ordering = ("-personal", "-last_message_at", "-id")


class ConversationFanSerializer(serializers.ModelSerializer[Fan]):
    valueCents = serializers.IntegerField(source="value_cents")

    class Meta:
        model = Fan
        fields = ("id", "name", "handle", "avatar", "valueCents")


class LastMessageSerializer(serializers.ModelSerializer[Message]):
    """The last words of a conversation, cut to what a list shows. `campaignId` is null for what a person wrote."""

    text = serializers.SerializerMethodField()
    sentAt = serializers.DateTimeField(source="sent_at", allow_null=True)
    campaignId = serializers.IntegerField(source="campaign_id", allow_null=True)

    class Meta:
        model = Message
        fields = ("direction", "text", "status", "sentAt", "campaignId")

    def get_text(self, message: Message) -> str:
        return message.text[:140]


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    """`lastMessageAt` is when the fan or a person last wrote; where campaigns alone did, when one was last sent.

    `lastMessage` may be a campaign's that was sent since then: it moves the conversation nowhere.
    """

    fan = ConversationFanSerializer()
    platform = serializers.CharField(source="fan.platform")
    lastMessageAt = serializers.DateTimeField(source="last_message_at")
    lastMessage = LastMessageSerializer(source="last_message", allow_null=True)
    unreadCount = serializers.IntegerField(source="unread_count")
    inTrouble = serializers.BooleanField(source="in_trouble", help_text="Whether a message here failed or is in doubt.")

    class Meta:
        model = Conversation
        fields = ("id", "fan", "platform", "lastMessageAt", "lastMessage", "unreadCount", "inTrouble")


def conversation_shown(row: selectors.ConversationRow) -> dict[str, Any]:
    """What ConversationSerializer shows of the same conversation; its time is left to whatever renders it."""
    # Taken apart at once: by name, each field of each row of a page is looked for anew.
    (id, _, at, unread, fan_id, name, handle, avatar, value_cents, platform, trouble, *_) = row  # noqa: A001
    (direction, text, status, sent_at, campaign_id) = row[11:]
    return {
        "id": id,
        "fan": {"id": fan_id, "name": name, "handle": handle, "avatar": avatar, "valueCents": value_cents},
        "platform": platform,
        "lastMessageAt": at,
        "lastMessage": None
        if direction is None
        else {"direction": direction, "text": text, "status": status, "sentAt": sent_at, "campaignId": campaign_id},
        "unreadCount": unread,
        "inTrouble": trouble,
    }


class ConversationFilterSerializer(QueryParameters):
    """The query parameters of the list of conversations."""

    unread = serializers.BooleanField(
        required=False, default=False, help_text="Those alone in which the fan wrote something that is unread."
    )
    search = serializers.CharField(
        required=False,
        default="",
        max_length=100,
        allow_blank=True,
        help_text="Part of the fan's name or of their @handle.",
    )


class ConversationListView(CreatorAPIView):
    """The creator's conversations, the one in which a fan or a person wrote last first.

    A campaign moves none of them: those in which nothing but campaigns was written come after all the others.
    """

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_conversations.html"

    @property
    def messages_in_trouble(self) -> int:
        """Of all conversations; the sign in the page's header asks anew where it has changed."""
        return selectors.messages_in_trouble_count(creator=self.creator)

    @property
    def unread_messages(self) -> int:
        """Of all conversations, whatever was searched for; the page's title shows it."""
        return selectors.unread_messages_count(creator=self.creator)

    @extend_schema(
        operation_id="conversations_list",
        parameters=[*CREATOR_PARAMETERS, ConversationFilterSerializer],
        responses=ConversationSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        rows = selectors.conversation_list(creator=self.creator, **self.asked(ConversationFilterSerializer))
        return self.listed_fast(rows, conversation_shown, ConversationPagination)


class ConversationReadView(CreatorAPIView):
    """Mark everything that the fan wrote as read."""

    renderer_classes = (JSONRenderer, FragmentRenderer)

    @extend_schema(
        operation_id="conversations_read", parameters=CREATOR_PARAMETERS, request=None, responses={204: None}
    )
    def post(self, request: Request, conversation_id: int) -> Response:
        services.conversation_mark_read(
            conversation=selectors.conversation_get(creator=self.creator, conversation_id=conversation_id)
        )
        return Response(status=204)


class MeCreatorSerializer(serializers.Serializer[Membership]):
    id = serializers.IntegerField(source="creator_id")
    name = serializers.CharField(source="creator.name")
    role = serializers.ChoiceField(choices=Role.choices)


class MeSerializer(serializers.Serializer[User]):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    name = serializers.CharField()
    creators = serializers.SerializerMethodField()

    @extend_schema_field(MeCreatorSerializer(many=True))
    def get_creators(self, user: User) -> list[dict[str, Any]]:
        return [MeCreatorSerializer(membership).data for membership in selectors.membership_list(user=user)]


class MeView(StrictAPIView):
    """Who is signed in, and the creators they reach."""

    @extend_schema(operation_id="auth_me", responses=MeSerializer)
    def get(self, request: Request) -> Response:
        return Response(MeSerializer(cast(User, request.user)).data)
