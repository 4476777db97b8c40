"""Answers the analytics part of the HTTP API: totals and top fans. Touches selectors alone."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import selectors
from analytics.selectors import TOP_FANS
from crm.api import CREATOR_PARAMETERS, CreatorAPIView
from crm.selectors import FanTotals


class OverviewSerializer(serializers.Serializer[FanTotals]):
    """`activeFans` were seen within 30 days of `asOf`; `lifetimeValueCents` is the sum of all fans' values."""

    totalFans = serializers.IntegerField(source="total")
    activeFans = serializers.IntegerField(source="active")
    lifetimeValueCents = serializers.IntegerField(source="value_cents")
    asOf = serializers.DateTimeField(source="as_of")


class OverviewView(CreatorAPIView):
    """How many fans there are, how many of them are active, and what they have spent in all."""

    @extend_schema(operation_id="analytics_overview", parameters=CREATOR_PARAMETERS, responses=OverviewSerializer)
    def get(self, request: Request) -> Response:
        return Response(OverviewSerializer(selectors.overview(creator=self.creator)).data)


class TopFansFilterSerializer(serializers.Serializer[Any]):
    """The query parameters of the list of top fans."""

    limit = serializers.IntegerField(required=False, default=TOP_FANS, min_value=1, max_value=100)


class TopFanSerializer(serializers.Serializer[Any]):
    """Shown from a selectors.TopFan."""

    id = serializers.IntegerField(source="fan.id")
    name = serializers.CharField(source="fan.name")
    handle = serializers.CharField(source="fan.handle")
    avatar = serializers.CharField(source="fan.avatar")
    valueCents = serializers.IntegerField(source="fan.value_cents")
    lastSeenAt = serializers.DateTimeField(source="fan.last_seen_at", allow_null=True)


class TopFansSerializer(serializers.Serializer[Any]):
    results = TopFanSerializer(many=True)


class TopFansView(CreatorAPIView):
    """The fans of the highest value, the highest first; nobody who never spent anything."""

    @extend_schema(
        operation_id="analytics_top_fans",
        parameters=[*CREATOR_PARAMETERS, TopFansFilterSerializer],
        responses=TopFansSerializer,
    )
    def get(self, request: Request) -> Response:
        rows = selectors.top_fans(creator=self.creator, limit=self.asked(TopFansFilterSerializer)["limit"])
        return Response({"results": TopFanSerializer(rows, many=True).data})
