"""Answers the part of the HTTP API that sends: messages, their state, what failed. Touches services and selectors."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors as crm_selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.idempotent_api import ONCE_PARAMETERS, OnceAPIView, once
from crm.json_types import JsonTypes, MomentField
from crm.models import Conversation, Creator, Direction, Message, MessageStatus
from crm.pagination import KeysetPagination
from crm.payloads import MESSAGE_MAX_CHARACTERS, PRICE_MAX_CENTS, media_urls
from crm.rendering import JSONParser, JSONRenderer
from messaging import readiness, selectors, services
from messaging.errors import QueueRefused
from messaging.message_parts import (
    SETTLEABLE_AS,
    DecisionSerializer,
    ReadBackSerializer,
    decision_of,
    decision_shown,
    read_back_of,
    read_back_shown,
    settleable_as,
)
from messaging.models import RETRYABLE_STATES, UNSENT_STATES, Campaign, CampaignStatus, Delivery
from messaging.readiness import Outlook
from messaging.reasons import BlockCode, Blocked
from messaging.services import MessageRequest, SendReceipt

# Its length is judged once it is filled in, and so by the domain.
TEXT_HELP = (
    "`{name}`, `{firstName}` and `{handle}` become the fan's own, `{{` and `}}` a brace; any other word in braces is "
    f"an error that names it. At most {MESSAGE_MAX_CHARACTERS:,} characters once it is filled in."
)


def trace_id_of(request: HttpRequest | Request) -> str:
    """The request's id, as RequestIdMiddleware answers with it; follows the message to the queue."""
    value: str = getattr(request, "request_id", "")
    return value


class MessagePagination(KeysetPagination):
    page_size = 100
    ordering = ("-created_at", "-id")


class ContentSerializer(JsonTypes):
    """What is checked here is the shape; the domain checks the rest, once for every door."""

    content = serializers.CharField(allow_blank=True, trim_whitespace=False, help_text=TEXT_HELP)
    mediaUrls = serializers.ListField(
        source="media_urls", child=serializers.CharField(max_length=2_000), required=False, default=list
    )
    priceCents = serializers.IntegerField(
        source="price_cents", required=False, default=0, min_value=0, max_value=PRICE_MAX_CENTS
    )


class ScheduleSerializer(JsonTypes):
    """When a message goes out."""

    priority = serializers.IntegerField(required=False, default=5, min_value=1, max_value=10)
    scheduledAt = MomentField(
        source="scheduled_at",
        required=False,
        allow_null=True,
        default=None,
        help_text="A time to come, with its offset; without it the message goes out as soon as it can.",
    )


class SendSerializer(ContentSerializer, ScheduleSerializer):
    """One message to one fan."""

    recipientId = serializers.CharField(source="recipient_id", max_length=64)


class BlockedSerializer(serializers.Serializer[Blocked]):
    """Why nothing of it can go out now: a code, a sentence in the caller's language, and since when if known."""

    code = serializers.ChoiceField(choices=BlockCode.choices)
    reason = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)


def blocked_shown(blocked: Blocked | None) -> dict[str, Any] | None:
    """What BlockedSerializer shows; its time is left to whatever renders it."""
    return None if blocked is None else {"code": blocked.code.value, "reason": blocked.reason, "since": blocked.since}


class ReceiptSerializer(serializers.Serializer[SendReceipt]):
    """`estimatedSendTime` is null where the message has had its turn or cannot go out now: `blocked` says why not."""

    messageId = serializers.UUIDField(source="message_id")
    status = serializers.ChoiceField(choices=MessageStatus.choices)
    queuedAt = serializers.DateTimeField(
        source="queued_at",
        allow_null=True,
        help_text="When it was put on the queue; null where it is not there: parked, pending, bypassed, failed.",
    )
    estimatedSendTime = serializers.DateTimeField(source="estimated_send_at", allow_null=True)
    blocked = BlockedSerializer(allow_null=True)


class SendingAPIView(OnceAPIView):
    """A view that puts messages on the queue: where SQS took none, the answer names the address to retry at."""

    write_scope = "sends"

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, QueueRefused):
            message_id, campaign_id = exc.extra.get("messageId"), exc.extra.get("campaignId")
            address = (
                reverse("messages-retry", args=[message_id])
                if message_id
                else reverse("campaign-retry", args=[campaign_id])
            )
            exc.extra["retryUrl"] = self.request.build_absolute_uri(address)
        return super().handle_exception(exc)


class SendView(SendingAPIView):
    """Send one message to a fan. It is stored first and goes out once, as soon as the platform's limit allows.

    After a 503 with a `messageId` the message is stored and not queued. The same request again, with the same
    `Idempotency-Key` or without one, goes on with that message and stores no second one; so does a POST to `retryUrl`.
    Without the key that holds for 15 minutes after the last 503, for the same user, fan, words, media, price, priority
    and time.
    """

    @extend_schema(
        operation_id="messages_send",
        parameters=ONCE_PARAMETERS,
        request=SendSerializer,
        responses={202: ReceiptSerializer},
    )
    @once
    def post(self, request: Request) -> Response:
        receipt = services.message_send(
            creator=self.creator,
            user=self.membership.user,
            request=MessageRequest(**self.read(SendSerializer)),
            trace_id=trace_id_of(request),
            on_stored=self.stored,
        )
        return Response(ReceiptSerializer(receipt).data, status=202)

    def answer_again(self, subject: str) -> Response:
        receipt = services.message_take_up(
            creator=self.creator, message_id=UUID(subject), trace_id=trace_id_of(self.request)
        )
        return Response(ReceiptSerializer(receipt).data, status=202)


class TroubleSerializer(serializers.ModelSerializer[Delivery]):
    """One failed or unknown message and why."""

    messageId = serializers.UUIDField(source="pk")
    fan = serializers.SerializerMethodField()
    status = serializers.ChoiceField(source="state", choices=MessageStatus.choices)
    reasonCode = serializers.CharField(source="reason_code")
    failedAt = serializers.DateTimeField(source="finished_at", allow_null=True)
    createdAt = serializers.DateTimeField(source="created_at")
    readBack = serializers.SerializerMethodField()
    settleableAs = serializers.SerializerMethodField()

    @extend_schema_field(ReadBackSerializer(allow_null=True))
    def get_readBack(self, delivery: Delivery) -> dict[str, Any] | None:
        return read_back_of(delivery)

    @extend_schema_field(SETTLEABLE_AS)
    def get_settleableAs(self, delivery: Delivery) -> list[str]:
        return settleable_as(delivery.state, in_doubt=delivery.key_in_doubt)

    class Meta:
        model = Delivery
        fields = (
            "messageId",
            "fan",
            "status",
            "stage",
            "reason",
            "reasonCode",
            "attempts",
            "createdAt",
            "failedAt",
            "readBack",
            "settleableAs",
        )

    @extend_schema_field(
        inline_serializer(
            "TroubleFan",
            {"id": serializers.IntegerField(), "name": serializers.CharField(), "handle": serializers.CharField()},
        )
    )
    def get_fan(self, delivery: Delivery) -> dict[str, Any]:
        return {"id": delivery.fan_id, "name": delivery.fan.name, "handle": delivery.fan.handle}


class TroublePagination(KeysetPagination):
    ordering = ("-created_at", "-message_id")


class FailedView(CreatorAPIView):
    """Messages that did not go out, or of which nobody knows, the newest first."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_troubles.html"

    @extend_schema(
        operation_id="messages_failed", parameters=CREATOR_PARAMETERS, responses=TroubleSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        return self.listed(
            selectors.delivery_in_trouble_list(creator=self.creator), TroubleSerializer, TroublePagination
        )


class RetryView(SendingAPIView):
    """Send a failed, unknown or dismissed message once more.

    The fan gets it once, whatever became of the first attempt.
    """

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_retried.html"

    @extend_schema(
        operation_id="messages_retry",
        parameters=ONCE_PARAMETERS,
        request=None,
        responses={
            202: ReceiptSerializer,
            409: OpenApiResponse(description="It is neither failed nor unknown nor dismissed."),
        },
    )
    @once
    def post(self, request: Request, message_id: UUID) -> Response:
        receipt = services.message_retry(
            creator=self.creator,
            message_id=message_id,
            user=self.membership.user,
            trace_id=trace_id_of(request),
            on_stored=self.stored,
        )
        return Response(ReceiptSerializer(receipt).data, status=202)

    def answer_again(self, subject: str) -> Response:
        receipt = services.message_take_up(
            creator=self.creator, message_id=UUID(subject), doubted=True, trace_id=trace_id_of(self.request)
        )
        return Response(ReceiptSerializer(receipt).data, status=202)


class AttachmentSerializer(JsonTypes):
    stands_for = "url"

    type = serializers.CharField(max_length=20)
    url = serializers.CharField(max_length=2_000)


class ThreadMessageSerializer(serializers.ModelSerializer[Message]):
    """A message of a conversation. `expectedAt` and `reason` say how an outbound one is getting on.

    `cancellable`, `retryable` and `settleableAs` say what can be done about it now, `decision` what a person last did.
    All of that, but for its words and times, is left out of one that was sent: GET `onlyfans/messages/{id}` has it.

    `blocked` says why one that waits cannot go out now; then no time is expected.
    `campaignId` and `campaignName` are the campaign's that it is part of; null and empty for what a person wrote.
    """

    priceCents = serializers.IntegerField(source="price_cents")
    attachments = AttachmentSerializer(many=True)
    createdAt = serializers.DateTimeField(source="created_at")
    sentAt = serializers.DateTimeField(source="sent_at", allow_null=True)
    deletedAt = serializers.DateTimeField(source="deleted_at", allow_null=True)
    expectedAt = serializers.SerializerMethodField()
    blocked = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    scheduledAt = serializers.SerializerMethodField()
    decision = serializers.SerializerMethodField()
    readBack = serializers.SerializerMethodField()
    cancellable = serializers.SerializerMethodField()
    retryable = serializers.SerializerMethodField()
    campaignId = serializers.IntegerField(source="campaign_id", allow_null=True)
    campaignName = serializers.SerializerMethodField()
    settleableAs = serializers.SerializerMethodField()

    class Meta:
        model = Message
        fields = (
            "id",
            "direction",
            "text",
            "priceCents",
            "read",
            "attachments",
            "status",
            "createdAt",
            "sentAt",
            "deletedAt",
            "expectedAt",
            "blocked",
            "reason",
            "scheduledAt",
            "decision",
            "readBack",
            "cancellable",
            "retryable",
            "campaignId",
            "campaignName",
            "settleableAs",
        )

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_expectedAt(self, message: Message) -> str | None:
        delivery = _delivery(message)
        found = outlook_of(self, delivery, delivery.campaign).expected_at if delivery else None
        return serializers.DateTimeField().to_representation(found) if found else None

    @extend_schema_field(BlockedSerializer(allow_null=True))
    def get_blocked(self, message: Message) -> Any:
        delivery = _delivery(message)
        found = outlook_of(self, delivery, delivery.campaign).blocked if delivery else None
        return BlockedSerializer(found).data if found else None

    def get_reason(self, message: Message) -> str:
        delivery = _delivery(message)
        return delivery.reason if delivery else ""

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_scheduledAt(self, message: Message) -> str | None:
        delivery = _delivery(message)
        found = delivery.scheduled_at if delivery else None
        return serializers.DateTimeField().to_representation(found) if found else None

    @extend_schema_field(DecisionSerializer(allow_null=True))
    def get_decision(self, message: Message) -> dict[str, Any] | None:
        delivery = _delivery(message)
        return decision_of(delivery) if delivery else None

    @extend_schema_field(ReadBackSerializer(allow_null=True))
    def get_readBack(self, message: Message) -> dict[str, Any] | None:
        delivery = _delivery(message)
        return read_back_of(delivery) if delivery else None

    def get_cancellable(self, message: Message) -> bool:
        return message.status in UNSENT_STATES and _delivery(message) is not None

    def get_retryable(self, message: Message) -> bool:
        return message.status in RETRYABLE_STATES and _delivery(message) is not None

    @extend_schema_field(SETTLEABLE_AS)
    def get_settleableAs(self, message: Message) -> list[str]:
        delivery = _delivery(message)
        return settleable_as(message.status, in_doubt=delivery.key_in_doubt) if delivery else []

    def get_campaignName(self, message: Message) -> str:
        delivery = _delivery(message)
        return delivery.campaign.name if delivery and delivery.campaign else ""


class Standing:
    """What holds back a creator's messages, asked for once, by the first message of a page that still waits."""

    def __init__(self, creator: Creator) -> None:
        self._creator = creator

    @cached_property
    def blocked(self) -> Blocked | None:
        return readiness.sending_blocked(creator=self._creator)


def outlook_of(serializer: serializers.BaseSerializer[Any], delivery: Delivery, campaign: Campaign | None) -> Outlook:
    """When the message is expected; a view puts its creator's Standing into the serializer's context."""
    if delivery.state not in UNSENT_STATES:
        return Outlook(None, None)
    paused = campaign is not None and campaign.status == CampaignStatus.PAUSED
    standing: Standing = serializer.context["standing"]
    return readiness.outlook(delivery.due_at, blocked=standing.blocked, campaign_paused=paused)


def message_shown(row: selectors.ThreadRow, standing: Standing) -> dict[str, Any]:
    """What ThreadMessageSerializer shows of the same message; its times are left to whatever renders it."""
    out = row.direction == Direction.OUT
    expected, blocked = None, None
    if out and row.due_at is not None and row.status in UNSENT_STATES:
        paused = row.campaign_status == CampaignStatus.PAUSED
        found = readiness.outlook(row.due_at, blocked=standing.blocked, campaign_paused=paused)
        expected, blocked = found.expected_at, blocked_shown(found.blocked)
    return {
        "id": row.id,
        "direction": row.direction,
        "text": row.text,
        "priceCents": row.price_cents,
        "read": row.read,
        "attachments": _attachments_shown(row.attachments) if row.attachments else [],
        "status": row.status,
        "createdAt": row.created_at,
        "sentAt": row.sent_at,
        "deletedAt": row.deleted_at,
        "expectedAt": expected,
        "blocked": blocked,
        "reason": (row.reason or "") if out else "",
        "campaignId": row.campaign_id,
        "campaignName": row.campaign_name or "",
        "scheduledAt": row.scheduled_at,
        "decision": decision_shown(row.decision or "", row.decided_by_id, row.decided_by_name, row.decided_at),
        "readBack": read_back_shown(row.read_back_found or "", row.read_back_at, row.read_back_count),
        "cancellable": out and row.status in UNSENT_STATES and row.due_at is not None,
        "retryable": out and row.status in RETRYABLE_STATES and row.due_at is not None,
        "settleableAs": settleable_as(row.status, in_doubt=bool(row.in_doubt)) if row.due_at is not None else [],
    }


def _attachments_shown(attachments: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"type": each["type"], "url": each["url"]} for each in attachments]


def _delivery(message: Message) -> Delivery | None:
    """A message that the fan wrote, or that was sent from elsewhere, has no delivery."""
    if message.direction == Direction.IN:
        return None
    found: Delivery | None = getattr(message, "delivery", None)
    return found


class ThreadSendSerializer(JsonTypes):
    text = serializers.CharField(source="content", allow_blank=True, trim_whitespace=False, help_text=TEXT_HELP)
    priceCents = serializers.IntegerField(
        source="price_cents", required=False, default=0, min_value=0, max_value=PRICE_MAX_CENTS
    )
    attachments = AttachmentSerializer(source="media_urls", many=True, required=False)

    def validate_attachments(self, attachments: list[dict[str, str]]) -> list[str]:
        return list(media_urls(attachments))


class ConversationMessagesView(SendingAPIView):
    """The messages of one conversation, the newest first; a new one is sent at the pace that the platform allows."""

    parser_classes = (JSONParser, FormParser)
    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_messages.html"

    @extend_schema(
        operation_id="conversation_messages_list",
        parameters=CREATOR_PARAMETERS,
        responses=ThreadMessageSerializer(many=True),
    )
    def get(self, request: Request, conversation_id: int) -> Response:
        """The messages of one conversation, the newest first."""
        rows = selectors.thread_rows(creator=self.creator, conversation_id=conversation_id)
        standing = Standing(self.creator)
        response = self.listed_fast(rows, lambda row: message_shown(row, standing), MessagePagination)
        if not response.data["results"]:
            crm_selectors.conversation_require(creator=self.creator, conversation_id=conversation_id)
        return response

    @extend_schema(
        operation_id="conversation_messages_send",
        parameters=ONCE_PARAMETERS,
        # A form is taken as well: the composer works without a script, and knows no attachments.
        request={"application/json": ThreadSendSerializer},
        responses={202: ThreadMessageSerializer},
    )
    @once
    def post(self, request: Request, conversation_id: int) -> Response:
        """Send a message to the fan of the conversation. It goes out once, at the pace that the platform allows.

        What holds after a 503 is as in `messages/send`.
        """
        conversation = crm_selectors.conversation_get(creator=self.creator, conversation_id=conversation_id)
        wish = MessageRequest(recipient_id=f"fan_{conversation.fan_id}", **self.read(ThreadSendSerializer))
        receipt = services.message_send(
            creator=self.creator,
            user=self.membership.user,
            request=wish,
            trace_id=trace_id_of(request),
            on_stored=self.stored,
        )
        return self._sent(conversation, receipt)

    def answer_again(self, subject: str) -> Response:
        conversation = crm_selectors.conversation_get(
            creator=self.creator, conversation_id=self.kwargs["conversation_id"]
        )
        receipt = services.message_take_up(
            creator=self.creator, message_id=UUID(subject), trace_id=trace_id_of(self.request)
        )
        return self._sent(conversation, receipt)

    def _sent(self, conversation: Conversation, receipt: SendReceipt) -> Response:
        message = selectors.thread_list(conversation=conversation).get(pk=receipt.message_id)
        context = {"standing": Standing(self.creator)}
        return Response(ThreadMessageSerializer(message, context=context).data, status=202)
