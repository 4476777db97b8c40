"""Answers the part of the HTTP API that says what became of each recipient of a campaign. Touches selectors."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, CsvRenderer, FragmentRenderer
from crm.json_types import QueryParameters
from crm.models import Fan, MessageStatus
from crm.pagination import KeysetPagination
from crm.rendering import JSONRenderer
from crm.selectors import EXPORTERS
from messaging import selectors
from messaging.api import BlockedSerializer, Standing, outlook_of
from messaging.ledger_csv import ledger_csv
from messaging.message_parts import SETTLEABLE_AS, ReadBackSerializer, read_back_of, settleable_as
from messaging.models import Delivery

LEDGER_CHUNK = 2_000


class LedgerFanSerializer(serializers.ModelSerializer[Fan]):
    class Meta:
        model = Fan
        fields = ("id", "name", "handle")


class RecipientSerializer(serializers.ModelSerializer[Delivery]):
    """One recipient of a campaign: how the message stands, why, and since when."""

    recipientId = serializers.CharField(source="fan.platform_id")
    fan = LedgerFanSerializer()
    messageId = serializers.UUIDField(source="pk")
    status = serializers.ChoiceField(source="state", choices=MessageStatus.choices)
    reasonCode = serializers.CharField(source="reason_code")
    createdAt = serializers.DateTimeField(source="created_at")
    queuedAt = serializers.DateTimeField(source="queued_at", allow_null=True)
    sentAt = serializers.DateTimeField(source="message.sent_at", allow_null=True)
    finishedAt = serializers.DateTimeField(source="finished_at", allow_null=True)
    expectedAt = serializers.SerializerMethodField()
    readBack = serializers.SerializerMethodField()
    settleableAs = serializers.SerializerMethodField()
    blocked = serializers.SerializerMethodField()

    class Meta:
        model = Delivery
        fields = (
            "recipientId",
            "fan",
            "messageId",
            "status",
            "reason",
            "reasonCode",
            "attempts",
            "createdAt",
            "queuedAt",
            "expectedAt",
            "blocked",
            "sentAt",
            "finishedAt",
            "readBack",
            "settleableAs",
        )

    @extend_schema_field(ReadBackSerializer(allow_null=True))
    def get_readBack(self, delivery: Delivery) -> dict[str, Any] | None:
        return read_back_of(delivery)

    @extend_schema_field(SETTLEABLE_AS)
    def get_settleableAs(self, delivery: Delivery) -> list[str]:
        return settleable_as(delivery.state, in_doubt=delivery.key_in_doubt)

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_expectedAt(self, delivery: Delivery) -> str | None:
        found = outlook_of(self, delivery, self.context["campaign"]).expected_at
        return serializers.DateTimeField().to_representation(found) if found else None

    @extend_schema_field(BlockedSerializer(allow_null=True))
    def get_blocked(self, delivery: Delivery) -> Any:
        found = outlook_of(self, delivery, self.context["campaign"]).blocked
        return BlockedSerializer(found).data if found else None


class RecipientFilterSerializer(QueryParameters):
    """The query parameters of a campaign's ledger."""

    status = serializers.ChoiceField(
        choices=MessageStatus.choices, required=False, default="", allow_blank=True, help_text="Only these."
    )


class RecipientPagination(KeysetPagination):
    page_size = 100
    ordering = ("message_id",)


class CampaignRecipientsView(CreatorAPIView):
    """The recipients of a campaign, a row each, in the order of their turns."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_recipients.html"

    @extend_schema(
        operation_id="campaigns_recipients",
        parameters=[*CREATOR_PARAMETERS, RecipientFilterSerializer],
        responses=RecipientSerializer(many=True),
    )
    def get(self, request: Request, campaign_id: int) -> Response:
        state = self.asked(RecipientFilterSerializer)["status"]
        campaign = selectors.campaign_get(creator=self.creator, campaign_id=campaign_id)
        ledger = selectors.campaign_ledger(campaign=campaign, state=state)
        context = {"standing": Standing(self.creator), "campaign": campaign}
        return self.listed(ledger, RecipientSerializer, RecipientPagination, context=context)


class CampaignLedgerView(CreatorAPIView):
    """The whole ledger as a CSV file, or the part of it in one state; for all but chatters."""

    read_roles = EXPORTERS
    renderer_classes = (CsvRenderer,)

    @extend_schema(
        operation_id="campaigns_ledger",
        parameters=[*CREATOR_PARAMETERS, RecipientFilterSerializer],
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def get(self, request: Request, campaign_id: int) -> Response:
        state = self.asked(RecipientFilterSerializer)["status"]
        campaign = selectors.campaign_get(creator=self.creator, campaign_id=campaign_id)
        rows = selectors.campaign_ledger(campaign=campaign, state=state).order_by("pk")
        return Response(
            "".join(ledger_csv(rows.iterator(chunk_size=LEDGER_CHUNK))),
            headers={"Content-Disposition": f'attachment; filename="campaign-{campaign.pk}.csv"'},
        )
