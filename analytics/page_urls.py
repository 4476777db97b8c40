"""Answers which address leads to the analytics page and its file. Touches nothing else."""

from django.urls import path

from analytics import pages

urlpatterns = [
    path("platforms/onlyfans/analytics", pages.analytics, name="analytics"),
    path("platforms/onlyfans/analytics/revenue.csv", pages.analytics_csv, name="analytics-csv"),
]
