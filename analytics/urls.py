"""Answers which address of the API leads to which analytics view. Touches nothing else."""

from django.urls import path

from analytics import api, report_api

urlpatterns = [
    path("overview", api.OverviewView.as_view(), name="analytics-overview"),
    path("top-fans", api.TopFansView.as_view(), name="analytics-top-fans"),
    path("revenue", api.RevenueView.as_view(), name="analytics-revenue"),
    path("tiers", report_api.TiersView.as_view(), name="analytics-tiers"),
    path("cohorts", report_api.CohortsView.as_view(), name="analytics-cohorts"),
    path("churn", report_api.ChurnView.as_view(), name="analytics-churn"),
    path("hours", report_api.HoursView.as_view(), name="analytics-hours"),
    path("campaign-revenue", report_api.CampaignsSalesView.as_view(), name="analytics-campaign-revenue"),
    path("chatters", report_api.ChattersView.as_view(), name="analytics-chatters"),
]
