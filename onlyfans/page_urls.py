"""Answers which address leads to which page of the OnlyFans boundary. Touches nothing else."""

from django.urls import path

from onlyfans import connection_pages, pages

urlpatterns = [
    path("platforms/connect/onlyfans", connection_pages.connection_page, name="connect"),
    path("platforms/connect/onlyfans/check", connection_pages.connection_again, name="connect-check"),
    path("platforms/connect/onlyfans/disconnect", connection_pages.connection_end, name="disconnect"),
    path("platforms/onlyfans/import", pages.import_page, name="import"),
    path("platforms/onlyfans/import/<int:import_id>", pages.import_result, name="import-result"),
    path("platforms/onlyfans/import/<int:import_id>/undo", pages.import_undo, name="import-result-undo"),
    path("platforms/onlyfans/import/<int:import_id>/errors.csv", pages.import_errors, name="import-result-errors"),
]
