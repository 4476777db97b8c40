"""Answers which address leads to the analytics page. Touches nothing else."""

from django.urls import path

from analytics import pages

urlpatterns = [path("platforms/onlyfans/analytics", pages.analytics, name="analytics")]
