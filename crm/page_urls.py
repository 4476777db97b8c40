"""Answers which address leads to which CRM page. Touches nothing else."""

from django.urls import path

from crm import audit_pages, live_pages, pages, sign_in_pages

urlpatterns = [
    path("sign-ins", sign_in_pages.sign_ins, name="sign-ins"),
    path("sign-ins/end", sign_in_pages.sign_in_end, name="sign-in-end"),
    path("platforms/onlyfans/fans", pages.fans, name="fans-page"),
    path("platforms/onlyfans/fans/<int:fan_id>", pages.fan_page, name="fan-page"),
    path("settings", pages.settings_page, name="settings"),
    path("settings/changes", audit_pages.audit, name="audit"),
    path("settings/changes.csv", audit_pages.audit_csv, name="audit-csv"),
    path("platforms/onlyfans/fans/<int:fan_id>/write", pages.fan_write, name="fan-write"),
    path("live/<int:creator_id>", live_pages.live, name="live"),
]
