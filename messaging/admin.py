"""Answers operators' questions about what is on its way, and lets them retry, pause and resume. Touches services."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from crm.admin import LargeAdmin, SavedByServices, UncountedAdmin
from crm.errors import HuntazeError
from crm.models import User
from messaging import campaign_reports, campaign_steps, limits, message_steps, services
from messaging.models import STORED_CAMPAIGN_STATUSES, Campaign, Decision, Delivery, SendingProfile


def _each(
    request: HttpRequest,
    rows: QuerySet[Delivery] | QuerySet[SendingProfile] | QuerySet[Campaign],
    done: str,
    step: Callable[..., object],
) -> None:
    """Do the step on each row, and say how many it was and what went wrong with the others."""
    count = 0
    for row in rows.select_related("creator"):
        try:
            step(row)
        except HuntazeError as error:
            messages.error(request, f"{row}: {error.detail}")
        else:
            count += 1
    if count:
        messages.success(request, f"{count} {done}.")


def operator(request: HttpRequest) -> User:
    """Who is signed in to the admin."""
    return cast(User, request.user)


@admin.register(Delivery)
class DeliveryAdmin(LargeAdmin):
    list_display = ("pk", "creator", "fan", "state", "kind", "due_at", "attempts", "hops", "reason")
    list_filter = ("state", "kind", "stage", "creator")
    list_select_related = ("creator", "fan")
    ordering = ("-pk",)
    # Of a campaign, a fan and a message there may be millions: no field may draw them up as a list.
    exclude = ("key_in_doubt", "repeatable")
    search_exact = {"message": ""}
    actions = ("retry", "cancel", "arrived", "dismiss")

    @admin.action(description="Send failed and unknown messages again", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        _each(
            request,
            queryset,
            "queued again",
            lambda row: services.message_retry(creator=row.creator, message_id=row.pk, user=operator(request)),
        )

    @admin.action(description="Cancel what has not begun to go out", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        _each(
            request,
            queryset,
            "cancelled",
            lambda row: message_steps.message_cancel(creator=row.creator, user=operator(request), message_id=row.pk),
        )

    @admin.action(description="It arrived: settle messages in doubt as sent", permissions=["operate"])
    def arrived(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._settle(request, queryset, Decision.ARRIVED)

    @admin.action(description="Dismiss failed and unknown messages", permissions=["operate"])
    def dismiss(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        self._settle(request, queryset, Decision.DISMISSED)

    def _settle(self, request: HttpRequest, queryset: QuerySet[Delivery], decision: Decision) -> None:
        _each(
            request,
            queryset,
            "settled",
            lambda row: message_steps.message_settle(
                creator=row.creator, user=operator(request), message_id=row.pk, decision=decision
            ),
        )


@admin.register(SendingProfile)
class SendingProfileAdmin(SavedByServices, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """The limits are the platform's; an operator lowers them for a creator whose account is new, say."""

    list_display = ("creator", "limit_messages", "window_ms", "min_gap_ms", "paused_at", "paused_reason")
    list_select_related = ("creator",)
    search_fields = ("creator__name__ilike",)
    list_filter = (("paused_at", admin.EmptyFieldListFilter),)
    fields = ("creator", "limit_messages", "window_ms", "min_gap_ms", "paused_at", "paused_reason", "last_claimed_at")
    readonly_fields = ("creator", "window_ms", "paused_at", "paused_reason", "last_claimed_at")
    actions = ("pause", "resume")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: SendingProfile, form: Any, change: bool) -> None:
        # Not the row as it was when the form was drawn: slots are booked in it meanwhile.
        gap = Decimal(obj.min_gap_ms) / 1_000
        limits.sending_limit_set(creator=obj.creator, messages=obj.limit_messages, gap_seconds=gap)

    @admin.action(description="Pause sending", permissions=["change"])
    def pause(self, request: HttpRequest, queryset: QuerySet[SendingProfile]) -> None:
        _each(
            request,
            queryset,
            "paused",
            lambda profile: services.sending_pause(creator=profile.creator, reason="Paused by an operator."),
        )

    @admin.action(description="Resume sending", permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[SendingProfile]) -> None:
        _each(request, queryset, "resumed", lambda profile: services.sending_resume(creator=profile.creator))


class DecidedFilter(admin.SimpleListFilter):
    """By what somebody decided; scheduled and finished follow from time and rows, and no column holds them."""

    title = "decision"
    parameter_name = "decision"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(status.value, str(status.label)) for status in STORED_CAMPAIGN_STATUSES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> QuerySet[Campaign]:
        return queryset.filter(status=self.value()) if self.value() else queryset


@admin.register(Campaign)
class CampaignAdmin(UncountedAdmin):
    list_display = ("name", "creator", "getting_on", "scheduled_at", "created_at")
    list_filter = (DecidedFilter, "creator")
    list_select_related = ("creator",)
    search_fields = ("name__ilike",)
    # The text is the creator's; an operator needs the state, not the words.
    exclude = ("status", "content", "attachments")
    readonly_fields = ("getting_on",)
    ordering = ("-pk",)
    actions = ("pause", "cancel")

    @admin.action(description="Pause: nothing more of it goes out until it is resumed", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        _each(
            request,
            queryset,
            "paused",
            lambda row: campaign_steps.campaign_pause(creator=row.creator, campaign_id=row.pk),
        )

    @admin.action(description="Cancel: nothing more of it goes out, for good", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Campaign]) -> None:
        _each(
            request,
            queryset,
            "cancelled",
            lambda row: campaign_steps.campaign_cancel(creator=row.creator, campaign_id=row.pk),
        )

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """With a report for each row of the page, in one query."""
        changes = super().get_changelist_instance(request)
        changes.result_list = list(changes.result_list)
        for report in campaign_reports.campaign_report_list(changes.result_list, outlooks=False):
            # For the rows of this page alone.
            report.campaign.report = report  # type: ignore[attr-defined]
        return changes

    @admin.display(description="status")
    def getting_on(self, campaign: Campaign) -> str:
        report = getattr(campaign, "report", None) or campaign_reports.campaign_report(campaign)
        return str(report.status.label)
