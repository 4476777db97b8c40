"""Answers which address leads to which door. Touches nothing else."""

from allauth.account.views import reauthenticate
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.cache import cache_control
from django.views.generic import RedirectView
from django.views.i18n import JavaScriptCatalog
from drf_spectacular.views import SpectacularSwaggerSplitView

from crm.pages import creator_choose, language_choose
from huntaze import api, browser_reports, dashboard, monitoring, prometheus
from huntaze.package_views import SchemaView
from huntaze.sign_in import SignInView

# It differs by language, and changes with a release.
WORDS = cache_control(private=True, max_age=3600)

urlpatterns: list[URLPattern | URLResolver] = [
    # First, because most requests go there and addresses are tried one after the other.
    path("api/auth/", include("huntaze.auth_urls")),
    path("api/crm/", include("crm.urls")),
    path("api/", include("messaging.urls")),
    path("api/onlyfans/", include("onlyfans.urls")),
    path("api/analytics/", include("analytics.urls")),
    path("api/monitoring/onlyfans", monitoring.MonitoringView.as_view(), name="monitoring"),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api(?:/|$)", api.not_found),
    path("", RedirectView.as_view(pattern_name="inbox"), name="home"),
    path("sign-in", SignInView.as_view(), name="sign-in"),
    # As allauth calls what it sends people to.
    path("sign-in", SignInView.as_view(), name="account_login"),
    path("security/password/", reauthenticate, name="account_reauthenticate"),
    path("security/webauthn/", RedirectView.as_view(pattern_name="mfa_index"), name="mfa_list_webauthn"),
    path("security/", include("allauth.mfa.urls")),
    path("sign-out", LogoutView.as_view(), name="sign-out"),
    path("creator", creator_choose, name="creator-choose"),
    path("language", language_choose, name="language-choose"),
    # Only what static/*.js says; the catalogues of other packages are long and no page of ours asks for them.
    path("words.js", WORDS(JavaScriptCatalog.as_view(packages=["crm"])), name="words"),
    path("", include("crm.page_urls")),
    path("", include("messaging.page_urls")),
    path("", include("onlyfans.page_urls")),
    path("", include("analytics.page_urls")),
    path("livez", monitoring.livez, name="livez"),
    path("readyz", monitoring.readyz, name="readyz"),
    path("metrics", prometheus.metrics, name="metrics"),
    path("browser-reports", browser_reports.receive, name="browser-reports"),
    path("admin/redrive", admin.site.admin_view(dashboard.redrive), name="admin-redrive"),
    path("admin/", admin.site.urls),
]

handler500 = "huntaze.api.server_error"
