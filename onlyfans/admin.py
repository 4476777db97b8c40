"""Answers operators: vendor accounts, the history of imports, import and export of fans. Touches services alone."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from import_export.admin import ImportExportModelAdmin
from import_export.forms import ConfirmImportForm
from unfold.admin import ModelAdmin
from unfold.contrib.import_export.forms import ExportForm, ImportForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from crm.admin import AcrossTables, LargeAdmin, ReadOnlyAdmin, SavedByServices, UncountedAdmin
from crm.errors import Conflict
from crm.models import Creator, Fan
from onlyfans import selectors
from onlyfans.csv_encodings import ENCODINGS
from onlyfans.csv_layout import Layout
from onlyfans.import_services import import_undo, undo_sentence
from onlyfans.models import Account, ImportBatch, ImportJob, ImportRow, SyncState, WebhookEvent
from onlyfans.resources import FanCsv, FanResource, FanResult, UploadStorage
from onlyfans.services import (
    ACCOUNT_ID,
    API_KEY,
    account_connect,
    account_disconnect,
)

SHOWN_MAX = 200


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """The key goes in and never comes out: the field is always empty, and left empty it changes nothing."""

    new_key = forms.RegexField(
        rf"^{API_KEY.pattern}$",
        label="API key",
        strip=True,
        required=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="The key that the vendor gave out for this account. It is stored encrypted and not shown again.",
        error_messages={"invalid": "A key is 1 to 500 printable ASCII characters without blanks."},
    )

    class Meta:
        model = Account
        fields = ("creator", "account_id")

    def clean_account_id(self) -> str:
        account_id: str = self.cleaned_data["account_id"].strip()
        if not ACCOUNT_ID.fullmatch(account_id):
            raise forms.ValidationError("The vendor's account ids look like acct_1a2b3c (or conn_1a2b3c).")
        return account_id

    def clean_new_key(self) -> str:
        key: str = self.cleaned_data["new_key"]
        if not key and self.instance.pk is None:
            raise forms.ValidationError("An account needs its key.")
        return key


@admin.register(Account)
class AccountAdmin(AcrossTables, SavedByServices, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    form = AccountForm
    list_display = ("creator", "account_id", "state", "created_at")
    list_filter = ("state",)
    list_select_related = ("creator",)
    search_fields = ("account_id__ilike", "creator__name__ilike")
    fields = ("creator", "account_id", "new_key", "state", "created_at")
    readonly_fields = ("state", "created_at")
    actions = ("disconnect",)

    def get_readonly_fields(self, request: HttpRequest, obj: Account | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "creator") if obj else self.readonly_fields

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: AccountForm, change: bool) -> None:
        if not form.changed_data:
            return  # an account that somebody disconnected stays so
        account = account_connect(
            creator=obj.creator, account_id=obj.account_id, api_key=form.cleaned_data["new_key"] or obj.api_key
        )
        obj.pk = account.pk

    @admin.action(description="Disconnect: send nothing more for them", permissions=["change"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        for account in queryset.select_related("creator"):
            account_disconnect(creator=account.creator)


@admin.register(WebhookEvent)
class WebhookEventAdmin(LargeAdmin):
    list_display = ("event_id", "kind", "account", "received_at", "applied_at", "attempts", "error")
    list_filter = ("kind", "account")
    list_select_related = ("account",)
    search_exact = {"event_id": "account"}
    ordering = ("-id",)
    # The body stays out: it holds what fans wrote.
    fields = (*list_display, "line", "retry_at")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        return cast("QuerySet[WebhookEvent]", super().get_queryset(request)).defer("body")


@admin.register(ImportBatch)
class ImportBatchAdmin(UncountedAdmin):
    list_display = (
        "filename",
        "creator",
        "status",
        "total_rows",
        "inserted",
        "updated",
        "unchanged",
        "skipped",
        "rejected_rows",
        "created_by",
        "created_at",
    )
    list_filter = ("status", "creator")
    list_select_related = ("creator", "created_by")
    search_fields = ("filename__ilike",)
    ordering = ("-pk",)
    fields = (*list_display, "kind", "error", "mapping", "overwrite", "undone_at", "told", "problems")
    actions = ("undo",)

    @admin.action(description="Undo: delete what it made, put back what it changed", permissions=["operate"])
    def undo(self, request: HttpRequest, queryset: QuerySet[ImportBatch]) -> None:
        for batch in queryset.order_by("-created_at", "-pk"):  # the newest first: the older may lie beneath it
            try:
                messages.success(request, f"{batch.filename}: {undo_sentence(import_undo(batch=batch))}")
            except Conflict as error:
                messages.error(request, f"{batch.filename}: {error.detail}")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportBatch]:
        return cast("QuerySet[ImportBatch]", super().get_queryset(request)).defer("notices", "header")

    @admin.display(description="What was wrong")
    def problems(self, batch: ImportBatch) -> str:
        lines = [
            f"{_row(problem)}: {problem['column']} {problem['error']}"
            for problem in islice(selectors.import_problems(batch), SHOWN_MAX + 1)
        ]
        return _first(lines)

    @admin.display(description="Good to know")
    def told(self, batch: ImportBatch) -> str:
        return _first(
            [
                f"{_row(notice)}: {notice['text']}" if notice["row"] else str(notice["text"])
                for notice in islice(selectors.import_notices(batch), SHOWN_MAX + 1)
            ]
        )


def _row(told: Mapping[str, object]) -> str:
    return f"Row {told['row']}{' of ' + str(told['sheet']) if told['sheet'] else ''}"


def _first(lines: list[str]) -> str:
    """As many as a page shows, and whether there are more."""
    more = ["… and more; the API has more of them"] if len(lines) > SHOWN_MAX else []
    return "\n".join(lines[:SHOWN_MAX] + more)


@admin.register(ImportRow)
class ImportRowAdmin(LargeAdmin):
    """Rows that were not stored, without their cells, which hold people's data."""

    list_display = ("line", "batch", "overtaken_by", "fan_deleted")
    fields = list_display
    list_select_related = ("batch",)
    ordering = ("-id",)
    search_exact = {"batch": ""}


@admin.register(ImportJob)
class ImportJobAdmin(LargeAdmin):
    """How far the imports are that were left to a worker."""

    list_display = ("batch", "rows_done", "rows_total", "fans_done", "fans_total", "attempts", "dry_run")
    fields = list_display
    list_select_related = ("batch",)
    ordering = ("-batch",)
    search_like = ("batch__filename",)


@admin.register(SyncState)
class SyncStateAdmin(ReadOnlyAdmin):
    list_display = ("account", "resource", "begun_at", "finished_at", "since")
    list_filter = ("resource",)
    list_select_related = ("account",)
    search_fields = ("account__account_id__ilike",)


DAY_FIRST = {"true": True, "false": False}
DECIMAL_MARK_CHOICES = (("", "as the file shows"), (".", "a point: 1,234.50"), (",", "a comma: 1.234,50"))
# What of a file's layout the form asks for.
READ_AS = ("decimal_mark", "sheet", "header_row", "encoding")
DAY_FIRST_CHOICES = (("", "as the file shows"), ("true", "day first: 3 April"), ("false", "month first: March 4"))


class FanImportForm(ImportForm):  # type: ignore[misc]
    """The file and the creator whose fans it has."""

    creator = forms.ModelChoiceField(Creator.objects.order_by("name"), widget=UnfoldAdminSelectWidget)
    day_first = forms.TypedChoiceField(
        label="Dates such as 3/4/2026",
        choices=DAY_FIRST_CHOICES,
        coerce=DAY_FIRST.get,
        empty_value=None,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    decimal_mark = forms.ChoiceField(
        label="Amounts such as 1,234 and 1.234",
        choices=DECIMAL_MARK_CHOICES,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    sheet = forms.CharField(
        required=False, max_length=100, widget=UnfoldAdminTextInputWidget, help_text="Of a workbook; * for all alike."
    )
    header_row = forms.IntegerField(
        required=False, min_value=0, widget=UnfoldAdminIntegerFieldWidget, help_text="0 for a file without a header."
    )
    encoding = forms.ChoiceField(
        choices=(("", "as the file shows"), *((name, name) for name in ENCODINGS)),
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("resource", "creator", "import_file", "format", "day_first", *READ_AS)


class FanConfirmImportForm(ConfirmImportForm):  # type: ignore[misc]
    creator = forms.ModelChoiceField(Creator.objects.all(), widget=forms.HiddenInput)
    day_first = forms.TypedChoiceField(
        choices=DAY_FIRST_CHOICES, coerce=DAY_FIRST.get, empty_value=None, required=False, widget=forms.HiddenInput
    )
    decimal_mark = forms.ChoiceField(choices=DECIMAL_MARK_CHOICES, required=False, widget=forms.HiddenInput)
    sheet = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)
    header_row = forms.IntegerField(required=False, min_value=0, widget=forms.HiddenInput)
    encoding = forms.CharField(required=False, max_length=30, widget=forms.HiddenInput)


@admin.register(Fan)
class FanAdmin(LargeAdmin, ImportExportModelAdmin):  # type: ignore[misc]
    """Import with a preview first, and export; both by import-export, around the services that the other doors use."""

    list_display = ("__str__", "creator", "platform_id", "handle", "value_cents", "last_seen_at")
    list_filter = ("creator",)
    list_select_related = ("creator",)
    search_like = ("name", "handle")
    ordering = ("-id",)
    resource_classes = (FanResource,)
    formats = (FanCsv,)
    import_formats = (FanCsv,)
    export_formats = (FanCsv,)
    import_form_class = FanImportForm
    confirm_form_class = FanConfirmImportForm
    export_form_class = ExportForm
    tmp_storage_class = UploadStorage
    # The import is its own log: one ImportBatch, not an entry per fan.
    skip_admin_log = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Fan]:
        # A deleted fan is no operator's to look at or to export either.
        fans: QuerySet[Fan] = super().get_queryset(request).filter(deleted_at=None)
        return fans

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_import_permission(request)

    def get_confirm_form_initial(self, request: HttpRequest, import_form: Any) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_confirm_form_initial(request, import_form)
        if import_form:
            initial["creator"] = import_form.cleaned_data["creator"].pk
            for name in ("day_first", *READ_AS):
                initial[name] = import_form.data.get(name, "")
        return initial

    def get_import_data_kwargs(self, **kwargs: Any) -> dict[str, Any]:
        cleaned = kwargs["form"].cleaned_data
        return {
            "creator": cleaned["creator"],
            "day_first": cleaned["day_first"],
            "decimal_mark": cleaned["decimal_mark"] or None,
            "layout": Layout(
                sheet=cleaned["sheet"] or None, header_row=cleaned["header_row"], encoding=cleaned["encoding"] or None
            ),
            "max_bytes": settings.IMPORT_MAX_BYTES,
        }

    def process_result(self, result: FanResult, request: HttpRequest) -> HttpResponse:
        if result.batch is None:  # for instance when the upload waited for too long
            for error in result.base_errors:
                messages.error(request, str(error.error))
            return HttpResponseRedirect(reverse("admin:crm_fan_import"))
        batch = result.batch
        messages.success(
            request,
            f"{batch.filename}: {batch.inserted} new, {batch.updated} updated, {batch.unchanged} unchanged, "
            f"{batch.skipped} skipped, {batch.rejected_rows} rejected.",
        )
        return HttpResponseRedirect(reverse("admin:onlyfans_importbatch_change", args=[batch.pk]))
