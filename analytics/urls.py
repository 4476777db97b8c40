"""Answers which address of the API leads to which analytics view. Touches nothing else."""

from django.urls import path

from analytics import api

urlpatterns = [
    path("overview", api.OverviewView.as_view(), name="analytics-overview"),
    path("top-fans", api.TopFansView.as_view(), name="analytics-top-fans"),
    path("revenue", api.RevenueView.as_view(), name="analytics-revenue"),
]
