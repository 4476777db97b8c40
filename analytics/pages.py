"""Answers the analytics pages: what was earned, what fans are worth over time, what sells. Touches selectors.

Each table can be taken along as a file, which the API makes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.dates import WEEKDAYS
from django.utils.safestring import mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET
from markdown_it import MarkdownIt

from analytics import fan_selectors, sales_selectors, selectors
from analytics.basis import today_of
from analytics.forms import (
    FIGURES,
    INTERVAL_CHOICES,
    MONTHS_CHOICES,
    WITHIN_CHOICES,
    FansForm,
    FigureForm,
    RevenueForm,
    SalesForm,
)
from analytics.periods import quick_ranges
from analytics.sales_selectors import Hours
from analytics.selectors import Revenue
from crm.errors import InvalidInput
from crm.models import Membership
from crm.pages import api_answer, creator_for_request
from crm.selectors import EXPORTERS, WRITERS

# The chart's drawing area: a bar and the gap beside it, and the height of the highest bar.
BAR, STEP, HEIGHT = 8, 10, 100
DEFINITIONS = {"en": "analytics.md", "fr": "analytics.fr.md"}


@dataclass(frozen=True, slots=True)
class Bar:
    """Something as a bar; places and lengths in the units of the drawing."""

    shown: Any
    cents: int
    x: int
    y: float
    height: float


@login_required
@require_GET
def analytics(request: HttpRequest) -> HttpResponse:
    membership = creator_for_request(request)
    form = RevenueForm(request.GET)
    found: Revenue | None = None
    problem = form.problem()
    if not problem:
        asked = {name: form.cleaned_data[name] for name in ("interval", "begin", "end")}
        try:
            found = selectors.revenue(creator=membership.creator, **asked)
        except InvalidInput as error:
            problem = error.detail
    context = _context(request, membership, form, problem) | {
        "overview": selectors.overview(creator=membership.creator),
        "top_fans": selectors.top_fans(creator=membership.creator),
        "revenue": found,
        "intervals": INTERVAL_CHOICES,
        "ranges": quick_ranges(today_of(membership.creator)),
        "may_write": membership.role in WRITERS,
    }
    if found is not None:
        amounts = [_amount(period.total, context["figure"]) for period in found.periods]
        bars = _bars(amounts, found.periods)
        context |= {"bars": bars, "newest_first": bars[::-1], **_drawing(bars)}
    return render(request, "analytics/analytics.html", context)


@login_required
@require_GET
def analytics_fans(request: HttpRequest) -> HttpResponse:
    """Spend tiers, cohorts, churn and renewals."""
    membership = creator_for_request(request)
    creator = membership.creator
    form = FansForm(request.GET)
    problem = form.problem()
    context = _context(request, membership, form, problem) | {"month_choices": MONTHS_CHOICES, "months": "12"}
    if not problem:
        months = form.cleaned_data["months"]
        context |= {
            "months": str(months),
            "tiers": fan_selectors.tiers(creator=creator),
            "cohorts": fan_selectors.cohorts(creator=creator, months=months),
            "churn": fan_selectors.churn(creator=creator, months=months),
        }
        begun = [each for each in context["cohorts"].results if each.fans]
        # The oldest has the most months; the others' rows are filled up with empty cells.
        width = len(begun[0].months) if begun else 0
        context["later"] = range(1, width)
        context["cohort_rows"] = [(each, [*each.months[1:], *[None] * (width - len(each.months))]) for each in begun]
        context["churn_known"] = [each for each in context["churn"].results[::-1] if each.subscribers or each.lapsed]
        amounts = [_amount(each, context["figure"]) for each in context["churn"].results]
        bars = _bars(amounts, context["churn"].results)
        context |= {"bars": bars, **_drawing(bars)}
    return render(request, "analytics/fans.html", context)


@login_required
@require_GET
def analytics_sales(request: HttpRequest) -> HttpResponse:
    """Best hours, campaigns, chatters."""
    membership = creator_for_request(request)
    creator = membership.creator
    form = SalesForm(request.GET)
    problem = form.problem()
    context: dict[str, Any] = {}
    if not problem:
        days = {name: form.cleaned_data[name] for name in ("begin", "end")}
        within = form.cleaned_data["within_days"]
        try:
            context = {
                "hours": sales_selectors.hours(creator=creator, **days),
                "campaigns": sales_selectors.campaigns(creator=creator, within_days=within, **days),
                "chatters": sales_selectors.chatters(creator=creator, **days),
                "within_days": str(within),
            }
        except InvalidInput as error:
            problem = error.detail
    ranges = quick_ranges(today_of(creator))
    shared = _context(request, membership, form, problem)
    context = shared | {"within_choices": WITHIN_CHOICES, "ranges": ranges} | context
    if "hours" in context:
        context |= _week(context["hours"], context["figure"])
    return render(request, "analytics/sales.html", context)


@login_required
@require_GET
def analytics_definitions(request: HttpRequest) -> HttpResponse:
    """What every figure means, from the project's own document."""
    creator_for_request(request)
    # A file of ours; HTML in it would be shown as text.
    written = get_language() if get_language() in DEFINITIONS else "en"
    text = (Path(settings.BASE_DIR) / "docs" / DEFINITIONS[written]).read_text(encoding="utf-8")
    html = mark_safe(MarkdownIt("js-default").render(text))  # noqa: S308
    return render(request, "analytics/definitions.html", {"definitions": html, "written": written})


@login_required
@require_GET
def analytics_csv(request: HttpRequest, report: str) -> HttpResponse:
    """A table as a file: what the API answers to who asks for CSV."""
    membership = creator_for_request(request)
    answer: HttpResponse = api_answer(
        request, f"analytics-{report}", accept="text/csv", membership=membership, query=request.GET.urlencode()
    )
    return answer


def _context(request: HttpRequest, membership: Membership, form: FigureForm, problem: str) -> dict[str, Any]:
    """What the pages share. A figure that nobody knows is the usual one, beside the problem that says so."""
    figure = form.cleaned_data.get("figure", FIGURES[0][0])
    return {
        "figures": FIGURES,
        "figure": figure,
        "problem": problem,
        "query": request.GET.urlencode(),
        "may_export": membership.role in EXPORTERS,
    }


def _amount(figures: Any, figure: str) -> int:
    amount: int = getattr(figures, f"{figure}_cents")
    return amount


def _bars(amounts: Sequence[int], shown: Sequence[Any]) -> list[Bar]:
    highest = max(amounts) or 1
    lengths = [round(HEIGHT * cents / highest, 2) for cents in amounts]
    return [
        Bar(shown=each, cents=cents, x=place * STEP + 1, y=round(HEIGHT - length, 2), height=length)
        for place, (cents, length, each) in enumerate(zip(amounts, lengths, shown, strict=True))
    ]


def _drawing(bars: Sequence[Bar]) -> dict[str, int]:
    """What a chart is drawn with, and the amount that its scale ends at."""
    return {"width": STEP * len(bars), "bar": BAR, "height": HEIGHT, "highest_cents": max(bar.cents for bar in bars)}


def _week(hours: Hours, figure: str) -> dict[str, Any]:
    """The hours of a day and the days of a week, each as bars over the whole range."""
    by_hour, by_weekday = [0] * 24, [0] * 7
    for each in hours.results:
        by_hour[each.hour] += _amount(each, figure)
        by_weekday[each.weekday - 1] += _amount(each, figure)
    best = max(hours.results, key=lambda each: _amount(each, figure))
    hour_bars = _bars(by_hour, [f"{hour}:00" for hour in range(24)])
    day_bars = _bars(by_weekday, [WEEKDAYS[day] for day in range(7)])
    return {
        "charts": [
            {"id": "by-hour", "name": _("By the hour of the day"), "bars": hour_bars, **_drawing(hour_bars)},
            {"id": "by-weekday", "name": _("By the day of the week"), "bars": day_bars, **_drawing(day_bars)},
        ],
        "best_day": WEEKDAYS[best.weekday - 1],
        "best_from": f"{best.hour}:00",
        "best_until": f"{(best.hour + 1) % 24}:00",
        "best_cents": _amount(best, figure),
    }
