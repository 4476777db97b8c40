"""Answers the API of what one fan paid. Touches selectors."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm import selectors
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.models import Transaction
from crm.pagination import KeysetPagination
from crm.rendering import JSONRenderer


class PurchaseSerializer(serializers.ModelSerializer[Transaction]):
    """What a fan paid once, in cents: `grossCents` is the price, of which `netCents` are the creator's."""

    grossCents = serializers.IntegerField(source="gross_cents")
    netCents = serializers.IntegerField(source="net_cents")
    messageId = serializers.UUIDField(source="message_id", allow_null=True)
    occurredAt = serializers.DateTimeField(source="occurred_at")

    class Meta:
        model = Transaction
        fields = ("id", "kind", "status", "grossCents", "netCents", "currency", "messageId", "occurredAt")


class PurchasePagination(KeysetPagination):
    ordering = ("-occurred_at", "-id")


class FanPurchasesView(CreatorAPIView):
    """What the fan paid, the newest first."""

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "crm/_purchases.html"

    @extend_schema(
        operation_id="fans_purchases", parameters=CREATOR_PARAMETERS, responses=PurchaseSerializer(many=True)
    )
    def get(self, request: Request, fan_id: int) -> Response:
        fan = selectors.fan_get(creator=self.creator, fan_id=fan_id)
        return self.listed(selectors.fan_transactions(fan=fan), PurchaseSerializer, PurchasePagination)
