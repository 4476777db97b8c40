"""Answers the analytics page: totals, revenue as bars and a table, the fans who are worth the most. Touches selectors.

The same revenue can be taken along as a file.
"""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics import selectors
from analytics.forms import FIGURES, RevenueForm
from analytics.periods import Interval
from analytics.revenue_csv import revenue_csv, revenue_filename
from analytics.selectors import Period, Revenue
from crm.errors import InvalidInput
from crm.models import Creator
from crm.pages import creator_for_request
from crm.selectors import WRITERS

# The chart's drawing area: a bar and the gap beside it, and the height of the highest bar.
BAR, STEP, HEIGHT = 8, 10, 100


@dataclass(frozen=True, slots=True)
class Bar:
    """A period as a bar; places and lengths in the units of the drawing."""

    period: Period
    cents: int
    x: int
    y: float
    height: float


@login_required
@require_GET
def analytics(request: HttpRequest) -> HttpResponse:
    membership = creator_for_request(request)
    form = RevenueForm(request.GET)
    found, problem = _revenue(membership.creator, form)
    figure = form.cleaned_data.get("figure", "net")
    context: dict[str, Any] = {
        "overview": selectors.overview(creator=membership.creator),
        "top_fans": selectors.top_fans(creator=membership.creator),
        "revenue": found,
        "problem": problem,
        "intervals": [(each.value, f"By {each.value}") for each in Interval],
        "figures": FIGURES,
        "figure": figure,
        "may_write": membership.role in WRITERS,
    }
    if found is not None:
        bars = _bars(found, figure)
        context |= {"bars": bars, "newest_first": bars[::-1], "width": STEP * len(bars), "bar": BAR, "height": HEIGHT}
    return render(request, "analytics/analytics.html", context)


@login_required
@require_GET
def analytics_csv(request: HttpRequest) -> HttpResponse:
    """What the page shows, as a file."""
    membership = creator_for_request(request)
    found, problem = _revenue(membership.creator, RevenueForm(request.GET))
    if found is None:
        return HttpResponse(problem, status=400, content_type="text/plain; charset=utf-8")
    name = revenue_filename(found)
    return HttpResponse(
        "".join(revenue_csv(found)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _revenue(creator: Creator, form: RevenueForm) -> tuple[Revenue | None, str]:
    """What was asked for, or why it is not shown."""
    if not form.is_valid():
        return None, " ".join(f"{form.add_prefix(name)}: {errors[0]}" for name, errors in form.errors.items())
    asked = {name: form.cleaned_data[name] for name in ("interval", "begin", "end")}
    try:
        return selectors.revenue(creator=creator, **asked), ""
    except InvalidInput as error:
        return None, error.detail


def _bars(revenue: Revenue, figure: str) -> list[Bar]:
    amounts = [getattr(period.total, f"{figure}_cents") for period in revenue.periods]
    highest = max(amounts) or 1
    lengths = [round(HEIGHT * cents / highest, 2) for cents in amounts]
    return [
        Bar(period=period, cents=cents, x=place * STEP + 1, y=round(HEIGHT - length, 2), height=length)
        for place, (period, cents, length) in enumerate(zip(revenue.periods, amounts, lengths, strict=True))
    ]
