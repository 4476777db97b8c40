"""Answers the pages of imports: upload, result, history, undo. Touches import_soon and selectors."""

from datetime import timedelta
from itertools import islice

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from crm.errors import Conflict, HuntazeError, NotFound, TooLarge
from crm.fan_upsert import EDITED_HERE
from crm.pages import creator_for_request, fragment
from crm.selectors import MANAGERS
from onlyfans import import_services, payloads, selectors
from onlyfans.csv_import import rejected_csv
from onlyfans.import_jobs import import_soon
from onlyfans.models import ImportBatch, ImportKind

HISTORY_SIZE = 20
# How many problems and notices the page shows; the download has all rejected rows.
SHOWN_MAX = 200
# An import that nobody has begun by then waits for somebody to start a worker.
LATE = timedelta(minutes=1)
# What the form says about dates such as 3/4/2026; anything else leaves it to the file.
DAY_FIRST = {"true": True, "false": False}
LABELS = {name: gettext_lazy(label) for name, label in payloads.LABELS.items()}
EARNING_LABELS = {
    "transaction_id": gettext_lazy("Transaction ID"),
    "occurred_at": gettext_lazy("Date"),
    "time_of_day": gettext_lazy("Time of day"),
    "time_zone": gettext_lazy("Time zone"),
    "kind": gettext_lazy("Type"),
    "status": gettext_lazy("Status"),
    "gross_cents": gettext_lazy("Gross"),
    "fee_cents": gettext_lazy("Fee"),
    "net_cents": gettext_lazy("Net"),
    "vat_cents": gettext_lazy("VAT"),
    "currency": gettext_lazy("Currency"),
    "description": gettext_lazy("Description"),
    "fan_id": gettext_lazy("Fan ID"),
    "handle": gettext_lazy("Username"),
    "fan_name": gettext_lazy("Name"),
    "creator": gettext_lazy("Creator"),
}


def _import(request: HttpRequest, import_id: int) -> ImportBatch:
    try:
        return selectors.import_get(creator=creator_for_request(request, roles=MANAGERS).creator, import_id=import_id)
    except NotFound as error:
        raise Http404(error.detail) from error


@login_required
@require_http_methods(["GET", "POST"])
def import_page(request: HttpRequest) -> HttpResponse:
    """The form and the imports so far; a file that cannot be read is told in its place."""
    membership = creator_for_request(request, roles=MANAGERS)
    error, status = "", 200
    if request.method == "POST":
        upload = request.FILES.get("file")
        if upload is None:
            error, status = gettext("Choose a file first."), 400
        else:
            try:
                batch = import_soon(
                    creator=membership.creator,
                    user=membership.user,
                    filename=upload.name or "",
                    content=upload.open(),
                    kind=None,
                    # What was not ticked is not to be overwritten, whatever the last import did.
                    overwrite=[name for name in request.POST.getlist("overwrite") if name in EDITED_HERE],
                    remembered=True,
                    day_first=DAY_FIRST.get(request.POST.get("day_first", "")),
                    decimal_mark=mark if (mark := request.POST.get("decimal_mark")) in (".", ",") else None,
                    dry_run="dry_run" in request.POST,
                )
            except HuntazeError as caught:
                error, status = caught.detail, 413 if isinstance(caught, TooLarge) else 422
            else:
                # Back and reload must not upload the file a second time.
                return redirect("import-result", import_id=batch.pk)
    context = {
        "error": error,
        "dry_run": "dry_run" in request.POST,
        "day_first": request.POST.get("day_first", ""),
        "overwrite": request.POST.getlist("overwrite"),
        "overwritable": [(name, LABELS[name]) for name in EDITED_HERE],
        "labels_by_kind": {ImportKind.FANS.value: LABELS, ImportKind.EARNINGS.value: EARNING_LABELS},
        "limit_bytes": settings.IMPORT_MAX_BYTES,
        "limit_mb": settings.IMPORT_MAX_BYTES // 1_000_000,
        "history": fragment(request, "imports", membership=membership, query=f"dryRun=false&pageSize={HISTORY_SIZE}"),
    }
    return render(request, "onlyfans/import.html", context, status=status)


@login_required
@require_GET
def import_result(request: HttpRequest, import_id: int) -> HttpResponse:
    """What became of one file, or how far it is: then the page asks again by itself, and is loaded anew at the end."""
    batch = _import(request, import_id)
    if request.htmx.target == "waiting" and not batch.is_waiting:  # type: ignore[attr-defined]  # its middleware
        return HttpResponseClientRefresh()
    context = {
        "batch": batch,
        "late": timezone.now() - batch.created_at > LATE,
        "dry_run": batch.is_dry_run,
        "undoable": batch.is_undoable,
        "problems": list(islice(selectors.import_problems(batch), SHOWN_MAX)),
        "notices": list(islice(selectors.import_notices(batch), SHOWN_MAX)),
        "shown_max": SHOWN_MAX,
        "shows_dates": any(name in batch.mapping for name in ("occurred_at", "last_seen_at")),
        "shows_amounts": any(name.endswith("_cents") for name in batch.mapping),
        "columns": [
            {"label": label, "header": batch.mapping[field]}
            for field, label in (EARNING_LABELS if batch.kind == ImportKind.EARNINGS else LABELS).items()
            if field in batch.mapping
        ],
    }
    return render(request, "onlyfans/import_result.html", context)


@login_required
@require_GET
def import_errors(request: HttpRequest, import_id: int) -> HttpResponse:
    """The rejected rows, to mend and upload again."""
    batch = _import(request, import_id)
    return HttpResponse(
        "".join(rejected_csv(batch)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="import-{batch.pk}-errors.csv"'},
    )


@login_required
@require_POST
def import_undo(request: HttpRequest, import_id: int) -> HttpResponse:
    """Take one import back; why it cannot be is told in its place."""
    batch = _import(request, import_id)
    try:
        import_services.import_undo(batch=batch)
    except Conflict as error:
        messages.error(request, error.detail)
    return redirect("import-result", import_id=batch.pk)
