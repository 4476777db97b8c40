"""Answers the analytics page: totals, and the fans who are worth the most. Touches selectors alone."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from analytics import selectors
from crm.pages import creator_for_request
from crm.selectors import WRITERS


@login_required
@require_GET
def analytics(request: HttpRequest) -> HttpResponse:
    membership = creator_for_request(request)
    context = {
        "totals": selectors.overview(creator=membership.creator).fans,
        "top_fans": selectors.top_fans(creator=membership.creator),
        "may_write": membership.role in WRITERS,
    }
    return render(request, "analytics/analytics.html", context)
