"""Answers operators how everything is, on the admin's first page, and redrives dead letters. Reads, and one service."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from crm.errors import HuntazeError
from crm.models import MessageStatus
from messaging import dead_letters, heartbeat, vitals
from messaging.dead_letters import Fate
from messaging.errors import QueueError
from messaging.metric_history import figure_text, metric_history
from messaging.queue_overview import PausedCreator, QueueOverview, ended_lately, queue_overview, unsettled
from onlyfans.models import ImportBatch

ROWS = 8
REDRIVE = "messaging.change_delivery"
Figure = dict[str, str]


def dashboard_callback(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The first page's context; a user sees of it what their rights reach."""
    tables: list[dict[str, Any]] = []
    board: dict[str, Any] = {"figures": [], "tables": tables, "trouble": ""}
    user: Any = request.user
    if user.has_perm("messaging.view_delivery"):
        overview = queue_overview()
        board["trouble"] = overview.trouble
        board["figures"] = _figures(overview)
        board["may_redrive"] = bool(overview.dlq and overview.dlq.waiting and user.has_perm(REDRIVE))
        tables.append(_failing())
        tables.append(_paused(overview.paused))
        tables.append(_history())
    if user.has_perm("onlyfans.view_importbatch"):
        tables.append(_imports())
    return {**context, "board": board}


def _figures(overview: QueueOverview) -> list[Figure]:
    deliveries = reverse("admin:messaging_delivery_changelist")
    unknown = _("not known")
    ended = ended_lately()
    failure_rate = ended.failure_rate
    beat = heartbeat.heartbeat_age_seconds()
    counts, dlq = overview.counts, overview.dlq
    rate = "–" if failure_rate is None else f"{100 * failure_rate:.1f} %"
    return [
        {
            "label": _("Due on the queue"),
            "value": str(counts.waiting) if counts else unknown,
            "note": _("%(flight)s in flight, %(delayed)s delayed")
            % {"flight": counts.in_flight, "delayed": counts.delayed}
            if counts
            else "",
            "href": f"{deliveries}?state__exact={MessageStatus.QUEUED}",
        },
        {
            "label": _("Dead letters"),
            "value": str(dlq.waiting + dlq.in_flight) if dlq else unknown,
            "note": _("failed for good"),
            "href": f"{deliveries}?state__exact={MessageStatus.FAILED}",
        },
        {
            "label": _("Sent in the last hour"),
            "value": str(ended.sent),
            "note": _("%(rate)s failed") % {"rate": rate},
            "href": f"{deliveries}?state__exact={MessageStatus.SENT}",
        },
        {
            "label": _("Worker"),
            "value": _("not seen") if beat is None else _("%(age)s s ago") % {"age": round(beat)},
            "note": _("oldest in the outbox: %(age)s s") % {"age": round(vitals.outbox_age_seconds(overview))},
            "href": f"{deliveries}?state__exact={MessageStatus.PENDING}",
        },
    ]


def _failing() -> dict[str, Any]:
    rows = (
        unsettled()
        .filter(state__in=(MessageStatus.FAILED, MessageStatus.UNKNOWN))
        .values("creator_id", "creator__name", "reason")
        .annotate(number=Count("*"))
        .order_by("-number")[:ROWS]
    )
    url = reverse("admin:messaging_delivery_changelist")
    return _table(
        _("Failing creators"),
        [_("Creator"), _("Messages"), _("Reason")],
        [
            [
                format_html('<a href="{}?creator__id__exact={}">{}</a>', url, row["creator_id"], row["creator__name"]),
                row["number"],
                row["reason"],
            ]
            for row in rows
        ],
        _("No message has failed."),
    )


def _paused(paused: Sequence[PausedCreator]) -> dict[str, Any]:
    return _table(
        _("Paused creators"),
        [_("Creator"), _("Since"), _("Reason")],
        [
            [
                format_html(
                    '<a href="{}">{}</a>',
                    reverse("admin:messaging_sendingprofile_change", args=[who.creator_id]),
                    who.name,
                ),
                timesince(who.paused_at),
                who.reason,
            ]
            for who in paused[:ROWS]
        ],
        _("Nobody is paused."),
    )


def _imports() -> dict[str, Any]:
    batches = ImportBatch.objects.select_related("creator").defer("notices", "header").order_by("-pk")[:ROWS]
    return _table(
        _("Recent imports"),
        [_("File"), _("Creator"), _("Rows"), _("Rejected"), _("Status")],
        [
            [
                format_html(
                    '<a href="{}">{}</a>', reverse("admin:onlyfans_importbatch_change", args=[each.pk]), each.filename
                ),
                str(each.creator),
                each.total_rows,
                each.rejected_rows,
                each.get_status_display(),
            ]
            for each in batches
        ],
        _("Nothing has been imported yet."),
    )


def _history() -> dict[str, Any]:
    """As CloudWatch has it, or the sentence that says why it has nothing; `numbers` fit a phone side by side."""
    found = metric_history()
    labels = {
        "queued": _("Queued"),
        "sent": _("Sent"),
        "failed": _("Failed"),
        "unknown": _("Unknown"),
        "deferred": _("Deferred"),
        "queueDepth": _("Due on the queue, at most"),
        "dlqDepth": _("Dead letters, at most"),
        "processingSeconds": _("Seconds of sending, 95 % within"),
        "dispatchLagSeconds": _("Seconds after their turn, 95 % within"),
        "outboxOldestSeconds": _("Seconds in the outbox, at most"),
    }
    windows = found.windows.values()
    rows = [[label, *(figure_text(figures[key]) for figures in windows)] for key, label in labels.items()]
    headers = [_("Figure"), _("5 minutes"), _("1 hour"), _("24 hours")]
    return {**_table(_("From CloudWatch"), headers, rows if windows else [], found.trouble), "numbers": True}


def _table(title: str, headers: list[str], rows: list[list[Any]], empty: str) -> dict[str, Any]:
    return {"title": title, "headers": headers, "rows": rows, "empty": empty}


@require_POST
def redrive(request: HttpRequest) -> HttpResponse:
    """Send what failed among the dead letters again; what may have reached a fan stays for a person to look at."""
    if not request.user.has_perm(REDRIVE):
        raise PermissionDenied
    if request.POST.get("sure") != "yes":
        messages.warning(request, _("Tick the box to say that you mean it."))
        return redirect("admin:index")
    try:
        report = dead_letters.dead_letter_redrive(ids=None)
    except (HuntazeError, QueueError) as error:
        messages.error(request, getattr(error, "detail", "") or str(error))
    else:
        told = {"again": report.count(Fate.SENT_AGAIN), "left": report.count(Fate.KEPT)}
        messages.success(request, _("%(again)s sent again, %(left)s kept for you to look at.") % told)
    return redirect("admin:index")
