"""Answers the API of quick replies: list, create, change, delete. Touches selectors and quick_replies."""

from django.utils.translation import gettext_lazy
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes
from crm.models import QuickReply
from crm.payloads import MESSAGE_MAX_CHARACTERS
from crm.quick_replies import quick_reply_create, quick_reply_delete, quick_reply_update
from crm.rendering import JSONParser, JSONRenderer

TAKEN = OpenApiResponse(description="The shortcut is taken, or there are too many.")


class QuickReplySerializer(JsonTypes, serializers.ModelSerializer[QuickReply]):
    """`{name}`, `{firstName}` and `{handle}` in the text are the fan's when it is put into a message.

    `{{` and `}}` are a brace; any other word in braces is an error that names it.
    """

    shortcut = serializers.RegexField(
        r"^[a-z0-9-]{1,30}$",
        error_messages={"invalid": gettext_lazy("A shortcut is 1 to 30 small letters, digits and hyphens.")},
        help_text="What is typed after a slash.",
    )
    text = serializers.CharField(max_length=MESSAGE_MAX_CHARACTERS, trim_whitespace=False)

    class Meta:
        model = QuickReply
        fields = ("id", "shortcut", "text")


class QuickReplyAPIView(CreatorAPIView):
    """Everybody reads them; owners and managers say what they are."""

    write_roles = selectors.MANAGERS
    parser_classes = (JSONParser, FormParser)
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_quick_replies.html"
    # They come all at once.
    paged = False

    def shown(self, quick_reply: QuickReply, *, status: int = 200) -> Response:
        return Response(QuickReplySerializer(quick_reply).data, status=status)


class QuickReplyListView(QuickReplyAPIView):
    """All of the creator's quick replies by shortcut; they are few."""

    @extend_schema(
        operation_id="quick_replies_list", parameters=CREATOR_PARAMETERS, responses=QuickReplySerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        if request._request.htmx.target == "quick-menu":  # type: ignore[attr-defined]  # noqa: SLF001
            self.fragment_template = "crm/_quick_menu.html"
        return Response(QuickReplySerializer(selectors.quick_reply_list(creator=self.creator), many=True).data)

    @extend_schema(
        operation_id="quick_replies_create",
        parameters=CREATOR_PARAMETERS,
        request=QuickReplySerializer,
        responses={201: QuickReplySerializer, 409: TAKEN},
    )
    def post(self, request: Request) -> Response:
        """Keep a new one."""
        self.fragment_template = "crm/_quick_reply.html"
        return self.shown(quick_reply_create(creator=self.creator, **self.read(QuickReplySerializer)), status=201)


class QuickReplyView(QuickReplyAPIView):
    """One quick reply."""

    fragment_template = "crm/_quick_reply.html"

    @extend_schema(
        operation_id="quick_replies_replace",
        parameters=CREATOR_PARAMETERS,
        request=QuickReplySerializer,
        responses={200: QuickReplySerializer, 409: TAKEN},
    )
    def put(self, request: Request, quick_reply_id: int) -> Response:
        """Write it anew."""
        found = selectors.quick_reply_get(creator=self.creator, quick_reply_id=quick_reply_id)
        return self.shown(quick_reply_update(quick_reply=found, **self.read(QuickReplySerializer)))

    @extend_schema(operation_id="quick_replies_delete", parameters=CREATOR_PARAMETERS, responses={204: None})
    def delete(self, request: Request, quick_reply_id: int) -> Response:
        """Forget it; messages written with it stay."""
        quick_reply_delete(quick_reply=selectors.quick_reply_get(creator=self.creator, quick_reply_id=quick_reply_id))
        return Response(status=204)
