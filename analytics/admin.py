"""Answers operators' questions about what creators earn, month by month. Only reads.

Days have a key of four columns, which the admin cannot show; a month's days come with its report.
"""

from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from analytics.csv_tables import decimal, revenue_table
from analytics.models import RevenueMonth
from analytics.periods import Interval
from analytics.selectors import revenue
from crm.admin import LargeAdmin


def _amount(name: str, description: str) -> Any:
    """A column of cents as a decimal."""
    return admin.display(description=description, ordering=name)(lambda row: decimal(getattr(row, name)))


@admin.register(RevenueMonth)
class RevenueMonthAdmin(LargeAdmin):
    """Money that is on its way counts, what was taken back does not; both stand beside it."""

    amounts = (
        *(_amount(f"{name}_cents", name) for name in ("gross", "fee", "net")),
        _amount("loading_net_cents", "of it on its way, net"),
        _amount("taken_back_net_cents", "taken back, net"),
    )
    list_display = ("creator", "month", "currency", "count", *amounts, "report")
    list_display_links = None
    list_filter = ("currency", "creator")
    list_select_related = ("creator",)
    ordering = ("-month", "creator_id", "currency")

    @admin.display(description="report")
    def report(self, row: RevenueMonth) -> str:
        address = reverse("admin:analytics_revenuemonth_report", args=[row.pk])
        return format_html('<a href="{}">Day by day, as CSV</a>', address)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(partial(self.report_file))
        mine = path("<str:row_id>/report.csv", view, name="analytics_revenuemonth_report")
        return [mine, *super().get_urls()]

    def report_file(self, request: HttpRequest, row_id: str) -> HttpResponse:
        """What `analytics_report --csv` prints of that month."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = RevenueMonth.objects.select_related("creator").filter(pk=row_id).first()
        if row is None:
            raise Http404("There is no such month.")
        end = Interval.MONTH.following(row.month) - timedelta(days=1)
        table = revenue_table(revenue(creator=row.creator, begin=row.month, end=end, currency=row.currency))
        return HttpResponse(
            "".join(table.lines()),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{row_id}-{table.filename}"'},
        )
