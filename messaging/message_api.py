"""The part of the HTTP API about messages one by one: look one up, list them, cancel one, settle one. Touches
message_steps and message_selectors."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.json_types import JsonTypes, MomentField, QueryParameters
from crm.models import OUTBOUND_STATUSES
from crm.pagination import KeysetPagination
from crm.rendering import JSONParser, JSONRenderer
from messaging import message_selectors, message_steps, readiness
from messaging.api import AttachmentSerializer, BlockedSerializer, Standing, blocked_shown
from messaging.message_parts import (
    DecisionSerializer,
    PersonSerializer,
    ReadBackSerializer,
    decision_shown,
    read_back_shown,
    settleable_as,
)
from messaging.message_selectors import MessageFilter, MessageRow
from messaging.models import RETRYABLE_STATES, UNSENT_STATES, CampaignStatus, Decision, Kind, Stage
from messaging.readiness import Outlook

STATUSES = [(status.value, status.label) for status in OUTBOUND_STATUSES]
SETTLED = [Decision.ARRIVED, Decision.DISMISSED]


class MessageFanSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    platformId = serializers.CharField()
    name = serializers.CharField()
    handle = serializers.CharField()


class MessageCampaignSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class MessageSerializer(serializers.Serializer[Any]):
    """A message that was written here, and how it is getting on.

    `expectedAt` is when it is to go out while it waits, null with the reason in `blocked` where it cannot go.
    `queuedAt` is since when it is on the queue (null before),
    `finishedAt` when it ended. `sender` is null where the user was deleted. Of a deleted fan the words are not shown.
    `cancellable`, `retryable` and `settleableAs` say what can be done about it now.
    """

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    reason = serializers.CharField(help_text="Why it stands so, in words; empty where nothing went wrong.")
    reasonCode = serializers.CharField(help_text="The same for programs.")
    stage = serializers.ChoiceField(
        choices=[("", ""), *Stage.choices], help_text="How far it had come when it went wrong."
    )
    attempts = serializers.IntegerField(help_text="Sends that were begun and got no certain answer.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    priority = serializers.IntegerField()
    conversationId = serializers.IntegerField()
    fan = MessageFanSerializer()
    campaign = MessageCampaignSerializer(allow_null=True)
    sender = PersonSerializer(allow_null=True)
    text = serializers.CharField()
    priceCents = serializers.IntegerField()
    attachments = AttachmentSerializer(many=True)
    createdAt = serializers.DateTimeField()
    scheduledAt = serializers.DateTimeField(allow_null=True)
    expectedAt = serializers.DateTimeField(allow_null=True)
    blocked = BlockedSerializer(allow_null=True)
    queuedAt = serializers.DateTimeField(allow_null=True)
    sentAt = serializers.DateTimeField(allow_null=True)
    finishedAt = serializers.DateTimeField(allow_null=True)
    decision = DecisionSerializer(allow_null=True)
    readBack = ReadBackSerializer(allow_null=True)
    cancellable = serializers.BooleanField()
    retryable = serializers.BooleanField()
    settleableAs = serializers.ListField(child=serializers.ChoiceField(choices=Decision.choices))


def message_shown(row: MessageRow, standing: Standing) -> dict[str, Any]:
    """As MessageSerializer describes it; its times are left to whatever renders it."""
    waits, found = row.status in UNSENT_STATES, Outlook(None, None)
    if waits:
        paused = row.campaign_status == CampaignStatus.PAUSED
        found = readiness.outlook(row.due_at, blocked=standing.blocked, campaign_paused=paused)
    return {
        "id": str(row.id),
        "status": row.status,
        "reason": row.reason,
        "reasonCode": row.reason_code,
        "stage": row.stage,
        "attempts": row.attempts,
        "kind": row.kind,
        "priority": row.priority,
        "conversationId": row.conversation_id,
        "fan": {
            "id": row.fan_id,
            "platformId": row.fan_platform_id,
            "name": row.fan_name,
            "handle": row.fan_handle,
        },
        "campaign": None if row.campaign_id is None else {"id": row.campaign_id, "name": row.campaign_name},
        "sender": None if row.sender_id is None else {"id": row.sender_id, "name": row.sender_name},
        "text": "" if row.fan_deleted else row.text,
        "priceCents": row.price_cents,
        "attachments": [] if row.fan_deleted else row.attachments,
        "createdAt": row.created_at,
        "scheduledAt": row.scheduled_at,
        "expectedAt": found.expected_at,
        "blocked": blocked_shown(found.blocked),
        "queuedAt": row.queued_at,
        "sentAt": row.sent_at,
        "finishedAt": row.finished_at,
        "decision": decision_shown(row.decision, row.decided_by_id, row.decided_by_name, row.decided_at),
        "readBack": read_back_shown(row.read_back_found, row.read_back_at, row.read_back_count),
        "cancellable": waits,
        "retryable": row.status in RETRYABLE_STATES and not row.fan_deleted,
        "settleableAs": settleable_as(row.status, in_doubt=row.key_in_doubt),
    }


class MessageFilterSerializer(QueryParameters):
    """The query parameters of the list of messages."""

    status = serializers.ListField(
        child=serializers.ChoiceField(choices=STATUSES, allow_blank=True),
        required=False,
        default=list,
        source="states",
        help_text="Those in this state; given several times, those in any of them.",
    )
    kind = serializers.ChoiceField(
        choices=Kind.choices, required=False, default="", allow_blank=True, help_text="Replies or campaign messages."
    )
    conversation = serializers.IntegerField(
        source="conversation_id",
        required=False,
        allow_null=True,
        default=None,
        help_text="Those of this conversation.",
    )
    fan = serializers.IntegerField(
        source="fan_id", required=False, allow_null=True, default=None, help_text="Those to this fan."
    )
    campaign = serializers.IntegerField(
        source="campaign_id", required=False, allow_null=True, default=None, help_text="Those of this campaign."
    )
    sender = serializers.IntegerField(
        source="sender_id", required=False, allow_null=True, default=None, help_text="Those that this user wrote."
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `from` is no name in Python.
        since = MomentField(
            source="since",
            required=False,
            allow_null=True,
            default=None,
            help_text="Those written at this time or later.",
        )
        until = MomentField(
            source="until", required=False, allow_null=True, default=None, help_text="Those written before this time."
        )
        return {**super().get_fields(), "from": since, "to": until}

    def validate_status(self, given: list[str]) -> list[str]:
        """A form sends its empty fields too."""
        return [each for each in dict.fromkeys(given) if each]


class MessagesPagination(KeysetPagination):
    page_size = 100
    ordering = ("-id",)


class MessageListView(CreatorAPIView):
    """The messages that were written here, replies and those of campaigns, the newest first."""

    @extend_schema(
        operation_id="messages_list",
        parameters=[*CREATOR_PARAMETERS, MessageFilterSerializer],
        responses=MessageSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        asked = MessageFilter(**self.asked(MessageFilterSerializer))
        rows = message_selectors.message_rows(creator=self.creator, asked=asked)
        standing = Standing(self.creator)
        return self.listed_fast(rows, lambda row: message_shown(row, standing), MessagesPagination)


class MessageAPIView(CreatorAPIView):
    """A view that shows one message, as data or as its bubble in the thread."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_retried.html"

    def shown(self, message_id: UUID) -> Response:
        row = message_selectors.message_get(creator=self.creator, message_id=message_id)
        return Response(message_shown(row, Standing(self.creator)))


class MessageView(MessageAPIView):
    """One message: how it stands and why, its times, its conversation, campaign and sender."""

    @extend_schema(operation_id="messages_retrieve", parameters=CREATOR_PARAMETERS, responses=MessageSerializer)
    def get(self, request: Request, message_id: UUID) -> Response:
        return self.shown(message_id)


class MessageCancelView(MessageAPIView):
    """Cancel a message that has not begun to go out: pending, queued, or waiting for its time.

    One that is cancelled already stays so and is answered the same. A message that had been sent before without a
    certain answer, and was to be sent again, is `unknown` afterwards: its fan may have it.
    """

    @extend_schema(
        operation_id="messages_cancel",
        parameters=CREATOR_PARAMETERS,
        request=None,
        responses={
            200: MessageSerializer,
            409: OpenApiResponse(description="It has begun or ended; `messageStatus` says how it stands."),
        },
    )
    def post(self, request: Request, message_id: UUID) -> Response:
        message_steps.message_cancel(creator=self.creator, user=self.membership.user, message_id=message_id)
        return self.shown(message_id)


class SettleSerializer(JsonTypes):
    """`arrived`: you saw it in the fan's chat. `dismissed`: leave it at that."""

    outcome = serializers.ChoiceField(choices=[(each.value, each.label) for each in SETTLED])


class MessageSettleView(MessageAPIView):
    """Settle a message in trouble: one in doubt arrived, or one that failed or is in doubt is dismissed.

    It counts as trouble no more. `arrived` makes it `sent`, at the time of the attempt that got no answer; `dismissed`
    is a state of its own and can still be sent again, or, where it was in doubt, be settled as arrived. To send it
    again is `retry`. Said twice it is answered the same.
    """

    # A button of a page sends a form.
    parser_classes = (JSONParser, FormParser)

    @extend_schema(
        operation_id="messages_settle",
        parameters=CREATOR_PARAMETERS,
        request=SettleSerializer,
        responses={
            200: MessageSerializer,
            409: OpenApiResponse(description="Its state allows no such word; `messageStatus` says how it stands."),
        },
    )
    def post(self, request: Request, message_id: UUID) -> Response:
        given = self.read(SettleSerializer)
        message_steps.message_settle(
            creator=self.creator,
            user=self.membership.user,
            message_id=message_id,
            decision=Decision(given["outcome"]),
        )
        return self.shown(message_id)
