"""Answers the API of a creator's sending limit: what it is, how full it is now, a lower one. Touches limits."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes
from crm.rendering import JSONParser, JSONRenderer
from crm.selectors import MANAGERS
from messaging.limits import SendingLimit, sending_limit, sending_limit_set


class LimitSerializer(serializers.Serializer[SendingLimit]):
    """`messages` in any `windowSeconds` and `minGapSeconds` between two, of which campaigns take `campaignMessages`.

    The platform's own are `messagesMost` and `minGapSecondsLeast`; `sentInWindow` went out in the window ending now.
    """

    messages = serializers.IntegerField()
    windowSeconds = serializers.FloatField(source="window_seconds")
    minGapSeconds = serializers.FloatField(source="gap_seconds")
    campaignMessages = serializers.IntegerField(source="campaigns")
    messagesMost = serializers.IntegerField(source="messages_most")
    minGapSecondsLeast = serializers.FloatField(source="gap_seconds_least")
    sentInWindow = serializers.IntegerField(source="sent")


class LimitChangeSerializer(JsonTypes):
    """How fast messages may go out at most."""

    messages = serializers.IntegerField(help_text="In any window; at most `messagesMost`.")
    minGapSeconds = serializers.DecimalField(
        source="gap_seconds",
        max_digits=8,
        decimal_places=3,
        min_value=0,
        max_value=86_400,
        coerce_to_string=False,
        help_text="Between two messages; at least `minGapSecondsLeast`.",
    )


class LimitView(CreatorAPIView):
    """How fast this creator's messages go out. Everybody sees it; owners and managers lower it."""

    write_roles = MANAGERS
    parser_classes = (JSONParser, FormParser)
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_limit.html"
    # For the page, which says so where it was changed just now.
    changed = False

    @extend_schema(operation_id="messages_limit", parameters=CREATOR_PARAMETERS, responses=LimitSerializer)
    def get(self, request: Request) -> Response:
        return Response(LimitSerializer(sending_limit(creator=self.creator)).data)

    @extend_schema(
        operation_id="messages_limit_change",
        parameters=CREATOR_PARAMETERS,
        request=LimitChangeSerializer,
        responses=LimitSerializer,
    )
    def put(self, request: Request) -> Response:
        """Send no faster than this, from the next message on; never faster than the platform allows."""
        values = self.read(LimitChangeSerializer)
        self.changed = True
        return Response(LimitSerializer(sending_limit_set(creator=self.creator, **values)).data)
