"""Answers which address leads to the analytics pages and their files. Touches nothing else."""

from django.urls import path

from analytics import pages

PAGE = "platforms/onlyfans/analytics"
# Each is made by the API's view of that name.
FILES = ("overview", "revenue", "top-fans", "tiers", "cohorts", "churn", "hours", "campaign-revenue", "chatters")

urlpatterns = [
    path(PAGE, pages.analytics, name="analytics"),
    path(f"{PAGE}/fans", pages.analytics_fans, name="analytics-fans-page"),
    path(f"{PAGE}/sales", pages.analytics_sales, name="analytics-sales-page"),
    path(f"{PAGE}/definitions", pages.analytics_definitions, name="analytics-definitions"),
    *(
        path(f"{PAGE}/{file}.csv", pages.analytics_csv, {"report": file}, name=f"analytics-{file}-csv")
        for file in FILES
    ),
]
