"""Answers the analytics part of the HTTP API: totals, top fans, revenue. Touches selectors alone."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import csv_tables, figures, selectors
from analytics.basis import CURRENCY, Basis
from analytics.csv_tables import CsvTable
from analytics.periods import Interval
from analytics.selectors import TOP_FANS
from crm.api import CREATOR_PARAMETERS, CreatorAPIView, CsvRenderer
from crm.json_types import QueryParameters
from crm.models import TransactionKind
from crm.rendering import JSONRenderer
from crm.selectors import EXPORTERS, membership_require

F = TypeVar("F")


class TableView(CreatorAPIView):
    """A view of one table of figures: JSON, and with `Accept: text/csv` a file, which no chatter takes along."""

    renderer_classes = (JSONRenderer, CsvRenderer)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if request.accepted_renderer.format == CsvRenderer.format:
            membership_require(self.membership, EXPORTERS)

    def answer(
        self, request: Request, found: F, serializer: type[serializers.Serializer[Any]], table: Callable[[F], CsvTable]
    ) -> Response:
        if request.accepted_renderer.format != CsvRenderer.format:
            return Response(serializer(found).data)
        made = table(found)
        disposition = f'attachment; filename="{made.filename}"'
        return Response("".join(made.lines()), headers={"Content-Disposition": disposition})


def as_json_or_csv(serializer: type[serializers.Serializer[Any]]) -> dict[tuple[int, str], Any]:
    """What a TableView answers, for the API's description."""
    return {(200, "application/json"): serializer, (200, "text/csv"): OpenApiTypes.STR}


class BasisSerializer(serializers.Serializer[Basis]):
    """Days, months and hours are the creator's own, of `timeZone`; money is in cents of `currency`, as of `asOf`."""

    timeZone = serializers.CharField(source="basis.time_zone")
    currency = serializers.CharField(source="basis.currency")
    asOf = serializers.DateTimeField(source="basis.as_of")


class FiguresSerializer(serializers.Serializer[figures.Figures]):
    """Money in cents of transactions that are done or still on their way to the creator.

    `grossCents` is what fans paid, without tax; the platform keeps `feeCents`, and `netCents` is the creator's.
    `loading…` is the part of them that is on its way. What was taken back or is being returned is in none of these,
    but in `takenBack…` alone.
    """

    count = serializers.IntegerField()
    grossCents = serializers.IntegerField(source="gross_cents")
    feeCents = serializers.IntegerField(source="fee_cents")
    netCents = serializers.IntegerField(source="net_cents")
    loadingCount = serializers.IntegerField(source="loading_count")
    loadingGrossCents = serializers.IntegerField(source="loading_gross_cents")
    loadingNetCents = serializers.IntegerField(source="loading_net_cents")
    takenBackCount = serializers.IntegerField(source="taken_back_count")
    takenBackGrossCents = serializers.IntegerField(source="taken_back_gross_cents")
    takenBackNetCents = serializers.IntegerField(source="taken_back_net_cents")


# A year of days has thousands of figures, which take 150 ms one serializer's field after the other, and 5 ms so. The
# serializers are what the API's description is made from.
_SHOWN = {
    name: field.source or name
    for name, field in FiguresSerializer._declared_fields.items()  # noqa: SLF001  DRF's place for them
}
_VALUES = attrgetter(*_SHOWN.values())


def _figures_shown(shown: figures.Figures) -> dict[str, int]:
    return dict(zip(_SHOWN, _VALUES(shown), strict=True))


class KindSerializer(FiguresSerializer):
    """The same figures of one kind of transaction."""

    kind = serializers.ChoiceField(choices=TransactionKind.choices)


class PeriodSerializer(serializers.Serializer[figures.Period]):
    """`from` and `to` are days of the creator's own calendar, both of them counted."""

    total = FiguresSerializer()
    kinds = KindSerializer(many=True, read_only=True)

    def get_fields(self) -> dict[str, Any]:
        # `from` is no name that a class body could give.
        days = {"from": serializers.DateField(source="days.begin"), "to": serializers.DateField(source="days.end")}
        return {**days, **super().get_fields()}

    def to_representation(self, period: figures.Period) -> dict[str, Any]:
        return {
            "from": period.days.begin.isoformat(),
            "to": period.days.end.isoformat(),
            "total": _figures_shown(period.total),
            "kinds": [{"kind": kind.value, **_figures_shown(each)} for kind, each in period.kinds.items()],
        }


class ChangeSerializer(serializers.Serializer[selectors.Change]):
    """Percent with one decimal by which a figure differs from the days before; null where there was nothing before."""

    grossPercent = serializers.FloatField(source="gross_percent", allow_null=True)
    netPercent = serializers.FloatField(source="net_percent", allow_null=True)


class RecentRevenueSerializer(serializers.Serializer[selectors.RecentRevenue]):
    """The last 30 days of the creator's calendar, today with them, beside the 30 days before."""

    timeZone = serializers.CharField(source="time_zone")
    currency = serializers.CharField()
    period = PeriodSerializer(source="whole")
    change = ChangeSerializer()


class OverviewSerializer(serializers.Serializer[selectors.Overview]):
    """`activeFans` were seen within 30 days of `asOf`; `lifetimeValueCents`, gross, is the sum of all fans' values."""

    totalFans = serializers.IntegerField(source="fans.total")
    activeFans = serializers.IntegerField(source="fans.active")
    lifetimeValueCents = serializers.IntegerField(source="fans.value_cents")
    revenue = RecentRevenueSerializer()
    asOf = serializers.DateTimeField(source="fans.as_of")


class OverviewView(TableView):
    """How many fans there are, how many of them are active, what they have spent in all and over the last 30 days."""

    @extend_schema(
        operation_id="analytics_overview", parameters=CREATOR_PARAMETERS, responses=as_json_or_csv(OverviewSerializer)
    )
    def get(self, request: Request) -> Response:
        found = selectors.overview(creator=self.creator)
        return self.answer(request, found, OverviewSerializer, csv_tables.overview_table)


class TopFansFilterSerializer(QueryParameters):
    """The query parameters of the list of top fans."""

    limit = serializers.IntegerField(
        required=False, default=TOP_FANS, min_value=1, max_value=100, help_text="How many fans."
    )


class TopFanSerializer(serializers.Serializer[Any]):
    """Shown from a selectors.TopFan."""

    id = serializers.IntegerField(source="fan.id")
    name = serializers.CharField(source="fan.name")
    handle = serializers.CharField(source="fan.handle")
    avatar = serializers.CharField(source="fan.avatar")
    valueCents = serializers.IntegerField(source="fan.value_cents")
    lastSeenAt = serializers.DateTimeField(source="fan.last_seen_at", allow_null=True)


class TopFansSerializer(BasisSerializer):
    """`valueCents` is gross: all that the fan ever paid, the platform's fee included."""

    results = TopFanSerializer(many=True)


class TopFansView(TableView):
    """The fans of the highest value, the highest first; nobody who never spent anything."""

    @extend_schema(
        operation_id="analytics_top_fans",
        parameters=[*CREATOR_PARAMETERS, TopFansFilterSerializer],
        responses=as_json_or_csv(TopFansSerializer),
    )
    def get(self, request: Request) -> Response:
        found = selectors.top_fans(creator=self.creator, **self.asked(TopFansFilterSerializer))
        return self.answer(request, found, TopFansSerializer, csv_tables.top_fans_table)


class DaysFilterSerializer(QueryParameters):
    """Query parameters that name days of the creator's own calendar; `to` is today unless given."""

    currency = serializers.RegexField(
        "^[A-Z]{3}$", default=CURRENCY, help_text="Three letters, as ISO 4217 has them; sums are of one alone."
    )

    def get_fields(self) -> dict[str, Any]:
        days = {
            "from": serializers.DateField(source="begin", required=False, help_text="The first day; counted."),
            "to": serializers.DateField(source="end", required=False, help_text="The last day; counted."),
        }
        return {**super().get_fields(), **days}


class RevenueFilterSerializer(DaysFilterSerializer):
    """The query parameters of revenue; `from` is 30 days, 12 weeks or 12 months before `to` unless given."""

    interval = serializers.ChoiceField(choices=[each.value for each in Interval], default=Interval.DAY.value)


class RevenueSerializer(serializers.Serializer[selectors.Revenue]):
    """`results` has each day, week (from Monday) or month in its order, those without money too.

    The first and the last are cut where the range is. `previous` is of as many days, right before. `otherCurrencies`
    has money in the range, too; nothing is converted. `asOf`: the sums are of this moment; `lastSyncAt`: what happened
    on the platform before is in them for sure, null where it was never synced.
    """

    interval = serializers.ChoiceField(choices=[each.value for each in Interval])
    timeZone = serializers.CharField(source="time_zone")
    currency = serializers.CharField()
    otherCurrencies = serializers.ListField(source="other_currencies", child=serializers.CharField())
    period = PeriodSerializer(source="whole")
    previous = PeriodSerializer(source="before")
    change = ChangeSerializer()
    results = PeriodSerializer(source="periods", many=True)
    asOf = serializers.DateTimeField(source="as_of")
    lastSyncAt = serializers.DateTimeField(source="last_sync_at", allow_null=True)


class RevenueView(TableView):
    """Revenue by day, week or month of the creator's own calendar, net and gross, by kind, and beside the days before.

    With `Accept: text/csv` a file with a line per period, in whole units of the currency.
    """

    @extend_schema(
        operation_id="analytics_revenue",
        parameters=[*CREATOR_PARAMETERS, RevenueFilterSerializer],
        responses=as_json_or_csv(RevenueSerializer),
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(RevenueFilterSerializer)
        found = selectors.revenue(creator=self.creator, **asked | {"interval": Interval(asked["interval"])})
        return self.answer(request, found, RevenueSerializer, csv_tables.revenue_table)
