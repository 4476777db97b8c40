"""Answers how the peers of `bench.api` are configured: the product's database, without what the product adds.
Touches the environment by the product's settings: BENCH_PEER is "bare" or "defaults".
"""

from huntaze.settings import *  # noqa: F403
from huntaze.settings import INSTALLED_APPS, env

ROOT_URLCONF = "bench.api_peers"
# allauth refuses to start without its own middleware, which neither of them has; our signing in rests on it.
INSTALLED_APPS = [app for app in INSTALLED_APPS if app.partition(".")[0] not in {"allauth", "huntaze"}]
# What `django-admin startproject` writes, and nothing at all for the bare view.
MIDDLEWARE = (
    []
    if env.text("BENCH_PEER") == "bare"
    else [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
)
AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
