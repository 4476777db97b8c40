"""Answers the pages of campaigns: write one, all of them, one. Touches nothing: what they show comes from the API."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from crm.models import OUTBOUND_STATUSES
from crm.pages import VALUES, Choices, activities, creator_for_request, fragment, with_current
from crm.payloads import MEDIA_MAX, MESSAGE_MAX_CHARACTERS, PRICE_MAX_CENTS, PRICE_MIN_CENTS
from crm.placeholders import PLACEHOLDERS
from crm.selectors import EXPORTERS, MANAGERS
from messaging.campaigns import NAME_MAX_CHARACTERS

# For how many days nothing was written to a fan; the page offers these.
QUIET_DAYS = (1, 3, 7, 14, 30)


@login_required
@require_GET
def campaign_new(request: HttpRequest) -> HttpResponse:
    """The form; the address may name a tag, a value and an activity, as that of the list of fans does."""
    creator_for_request(request, roles=MANAGERS)
    asked = request.GET
    quiet: Choices = [("", _("Any time"))]
    quiet += [
        (str(days), ngettext("Not in the last day", "Not in the last %(days)d days", days) % {"days": days})
        for days in QUIET_DAYS
    ]
    context = {
        "tag": asked.get("tag", ""),
        "values": with_current(VALUES, asked.get("minValueCents", ""), _("Another amount")),
        "min_value": asked.get("minValueCents", ""),
        "activities": with_current(activities(), asked.get("activeSince", ""), _("Another time")),
        "active_since": asked.get("activeSince", ""),
        "quiet": quiet,
        "placeholders": PLACEHOLDERS,
        "name_max": NAME_MAX_CHARACTERS,
        "characters_max": MESSAGE_MAX_CHARACTERS,
        "media_max": MEDIA_MAX,
        "price_min": PRICE_MIN_CENTS // 100,
        "price_max": PRICE_MAX_CENTS // 100,
    }
    return render(request, "messaging/campaign_new.html", context)


@login_required
@require_GET
def campaign_list(request: HttpRequest) -> HttpResponse:
    """The creator's campaigns, the newest first."""
    membership = creator_for_request(request)
    context = {
        "rows": fragment(request, "campaigns", membership=membership, query=request.GET.urlencode()),
        "may_manage": membership.role in MANAGERS,
    }
    return render(request, "messaging/campaigns.html", context)


@login_required
@require_GET
def campaign_page(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """One campaign: how it is getting on, and what became of each recipient."""
    membership = creator_for_request(request)
    asked = {name: value for name in ("status", "cursor") if (value := request.GET.get(name))}
    context = {
        "campaign_id": campaign_id,
        "campaign": fragment(request, "campaign", membership=membership, campaign_id=campaign_id),
        "recipients": fragment(
            request, "campaign-recipients", membership=membership, query=urlencode(asked), campaign_id=campaign_id
        ),
        "status": asked.get("status", ""),
        "statuses": [(status.value, status.label) for status in OUTBOUND_STATUSES],
        "creator_id": membership.creator_id,
        "may_export": membership.role in EXPORTERS,
    }
    return render(request, "messaging/campaign.html", context)
