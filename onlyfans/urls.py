"""Answers which address under /api/onlyfans leads to which view. Touches nothing else."""

from django.urls import path

from onlyfans import api, connection_api, preview_api, webhooks

urlpatterns = [
    path("account", connection_api.AccountView.as_view(), name="account"),
    path("webhooks/<str:account_key>", webhooks.WebhookView.as_view(), name="webhooks"),
    path("import/csv", api.ImportCsvView.as_view(), name="import-csv"),
    path("import/preview", preview_api.ImportPreviewView.as_view(), name="import-preview"),
    path("imports", api.ImportListView.as_view(), name="imports"),
    path("imports/<int:import_id>", api.ImportView.as_view(), name="import-detail"),
    path("imports/<int:import_id>/undo", api.ImportUndoView.as_view(), name="import-undo"),
    path("imports/<int:import_id>/errors.csv", api.ImportErrorsView.as_view(), name="import-errors"),
]
