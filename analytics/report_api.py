"""Answers the reports of the analytics API: tiers, cohorts, churn, hours, campaigns, chatters.
Touches selectors alone."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from analytics import csv_tables, fan_selectors, sales_selectors
from analytics.api import BasisSerializer, DaysFilterSerializer, TableView, as_json_or_csv
from analytics.basis import CURRENCY
from analytics.fan_selectors import MONTHS, MONTHS_MAX
from analytics.sales_selectors import WITHIN_DAYS, WITHIN_DAYS_MAX
from crm.api import CREATOR_PARAMETERS
from crm.json_types import QueryParameters


class MonthsFilterSerializer(QueryParameters):
    """Query parameters of what goes by months of the creator's own calendar, the one that goes on the last."""

    months = serializers.IntegerField(required=False, default=MONTHS, min_value=1, max_value=MONTHS_MAX)
    currency = serializers.RegexField("^[A-Z]{3}$", default=CURRENCY)


class CampaignsFilterSerializer(DaysFilterSerializer):
    """A purchase counts for a campaign up to so many days after its message."""

    withinDays = serializers.IntegerField(
        source="within_days", required=False, default=WITHIN_DAYS, min_value=1, max_value=WITHIN_DAYS_MAX
    )


class MoneySerializer(serializers.Serializer[Any]):
    """`grossCents` is what fans paid, without tax; `netCents` is the creator's part of it."""

    grossCents = serializers.IntegerField(source="gross_cents")
    netCents = serializers.IntegerField(source="net_cents")


class DaysSerializer(BasisSerializer):
    """`from` and `to` are both counted."""

    def get_fields(self) -> dict[str, Any]:
        days = {"from": serializers.DateField(source="days.begin"), "to": serializers.DateField(source="days.end")}
        return {**days, **super().get_fields()}


class TierSerializer(serializers.Serializer[fan_selectors.Tier]):
    """The fans of the highest value: `percent` of all who paid, at least one; each spent `fromCents` or more."""

    percent = serializers.IntegerField()
    fans = serializers.IntegerField()
    fromCents = serializers.IntegerField(source="from_cents")
    valueCents = serializers.IntegerField(source="value_cents")
    sharePercent = serializers.FloatField(source="share_percent")


class TiersSerializer(BasisSerializer):
    """Amounts are lifetime values, gross. `results` has the top 1, 5 and 20 percent, or nobody where nobody paid."""

    payingFans = serializers.IntegerField(source="paying_fans")
    valueCents = serializers.IntegerField(source="value_cents")
    results = TierSerializer(many=True)


class TiersView(TableView):
    """Which part of all that was spent comes from the top 1, 5 and 20 percent of the fans who paid."""

    @extend_schema(
        operation_id="analytics_tiers", parameters=CREATOR_PARAMETERS, responses=as_json_or_csv(TiersSerializer)
    )
    def get(self, request: Request) -> Response:
        found = fan_selectors.tiers(creator=self.creator)
        return self.answer(request, found, TiersSerializer, csv_tables.tiers_table)


class CohortMonthSerializer(MoneySerializer):
    """`month` months after the first (0) `fans` of the cohort paid, `percent` of it."""

    month = serializers.IntegerField()
    fans = serializers.IntegerField()
    percent = serializers.FloatField()


class CohortSerializer(MoneySerializer):
    """The fans whose first payment was in the month that begins at `firstMonth`; the amounts are of all since."""

    firstMonth = serializers.DateField(source="begin")
    fans = serializers.IntegerField()
    months = CohortMonthSerializer(many=True)


class CohortsSerializer(BasisSerializer):
    results = CohortSerializer(many=True)


class CohortsView(TableView):
    """Fans by the month of their first payment, and how many of them paid in each month since, net and gross."""

    @extend_schema(
        operation_id="analytics_cohorts",
        parameters=[*CREATOR_PARAMETERS, MonthsFilterSerializer],
        responses=as_json_or_csv(CohortsSerializer),
    )
    def get(self, request: Request) -> Response:
        found = fan_selectors.cohorts(creator=self.creator, **self.asked(MonthsFilterSerializer))
        return self.answer(request, found, CohortsSerializer, csv_tables.cohorts_table)


class ChurnMonthSerializer(MoneySerializer):
    """`subscribers` paid for a subscription in the month: `kept` had in the month before, too, `joined` had not.

    `lapsed` of those of the month before did not; null while the month goes on. `renewals` counts payments.
    """

    month = serializers.DateField(source="begin")
    subscribers = serializers.IntegerField()
    joined = serializers.IntegerField()
    kept = serializers.IntegerField()
    lapsed = serializers.IntegerField(allow_null=True)
    churnPercent = serializers.FloatField(source="churn_percent", allow_null=True)
    renewals = serializers.IntegerField()


class ChurnSerializer(BasisSerializer):
    results = ChurnMonthSerializer(many=True)


class ChurnView(TableView):
    """Subscriptions by month: who paid, stayed, joined and left, and what renewals and new ones brought."""

    @extend_schema(
        operation_id="analytics_churn",
        parameters=[*CREATOR_PARAMETERS, MonthsFilterSerializer],
        responses=as_json_or_csv(ChurnSerializer),
    )
    def get(self, request: Request) -> Response:
        found = fan_selectors.churn(creator=self.creator, **self.asked(MonthsFilterSerializer))
        return self.answer(request, found, ChurnSerializer, csv_tables.churn_table)


class HourSerializer(MoneySerializer):
    """`weekday` is 1 on Monday and 7 on Sunday; `hour` is 0 to 23 of the creator's own clock."""

    weekday = serializers.IntegerField(min_value=1, max_value=7)
    hour = serializers.IntegerField(min_value=0, max_value=23)
    count = serializers.IntegerField()


class HoursSerializer(DaysSerializer):
    """`results` has all 168 hours of a week; `best` is that of the highest net, null where nothing was paid."""

    best = HourSerializer(allow_null=True)
    results = HourSerializer(many=True)


class HoursView(TableView):
    """When fans pay, by hour and day of the week; `from` is 90 days before `to` unless given."""

    @extend_schema(
        operation_id="analytics_hours",
        parameters=[*CREATOR_PARAMETERS, DaysFilterSerializer],
        responses=as_json_or_csv(HoursSerializer),
    )
    def get(self, request: Request) -> Response:
        found = sales_selectors.hours(creator=self.creator, **self.asked(DaysFilterSerializer))
        return self.answer(request, found, HoursSerializer, csv_tables.hours_table)


class CampaignSalesSerializer(MoneySerializer):
    """Purchases after the campaign's messages, subscriptions left out; `buyersPercent` is of the messages `sent`."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    createdAt = serializers.DateTimeField(source="created_at")
    priceCents = serializers.IntegerField(source="price_cents")
    sent = serializers.IntegerField()
    buyers = serializers.IntegerField()
    buyersPercent = serializers.FloatField(source="buyers_percent")
    purchases = serializers.IntegerField()


class CampaignsSalesSerializer(DaysSerializer):
    """The campaigns that were begun on these days, the newest first, at most a hundred."""

    withinDays = serializers.IntegerField(source="within_days")
    results = CampaignSalesSerializer(many=True)


class CampaignsSalesView(TableView):
    """What fans bought within some days of a campaign's message; each purchase is one campaign's."""

    @extend_schema(
        operation_id="analytics_campaign_revenue",
        parameters=[*CREATOR_PARAMETERS, CampaignsFilterSerializer],
        responses=as_json_or_csv(CampaignsSalesSerializer),
    )
    def get(self, request: Request) -> Response:
        found = sales_selectors.campaigns(creator=self.creator, **self.asked(CampaignsFilterSerializer))
        return self.answer(request, found, CampaignsSalesSerializer, csv_tables.campaigns_table)


class ChatterSerializer(MoneySerializer):
    """`replies` are messages to a fan who waited for one, `medianSeconds` for so long; `sales` are paid messages.

    `id` is null for what was written at the platform itself, or by somebody whose account is gone.
    """

    id = serializers.IntegerField(allow_null=True)
    name = serializers.CharField(allow_blank=True)
    messages = serializers.IntegerField()
    replies = serializers.IntegerField()
    medianSeconds = serializers.IntegerField(source="median_seconds", allow_null=True)
    sales = serializers.IntegerField()


class ChattersSerializer(DaysSerializer):
    results = ChatterSerializer(many=True)


class ChattersView(TableView):
    """Who of the team writes, how fast they answer and what their messages sell; campaigns are not in it."""

    @extend_schema(
        operation_id="analytics_chatters",
        parameters=[*CREATOR_PARAMETERS, DaysFilterSerializer],
        responses=as_json_or_csv(ChattersSerializer),
    )
    def get(self, request: Request) -> Response:
        found = sales_selectors.chatters(creator=self.creator, **self.asked(DaysFilterSerializer))
        return self.answer(request, found, ChattersSerializer, csv_tables.chatters_table)
