"""Answers how the project is configured, from huntaze/env.py alone; huntaze/checks.py names what is unsafe."""

from datetime import timedelta
from typing import Any

import pghistory
from django.templatetags.static import static

from huntaze import api_description, browser_policies, env
from huntaze.logs import logging_config

env.env_files_load()

BASE_DIR = env.BASE_DIR
VERSION = "0.1.0"

# --- What this process is -------------------------------------------------------------------------------------------

DEBUG = env.boolean("DEBUG", default=False)
# Served on this machine to this machine: without TLS, files from where they are written, log lines for people.
LOCAL = env.boolean("LOCAL", default=DEBUG)
# Empty outside DEBUG is refused by Django itself, in words, as soon as the key is used.
SECRET_KEY = env.text("SECRET_KEY", default="only-for-a-debug-server" if DEBUG else "")
SECRET_KEY_FALLBACKS = env.items("SECRET_KEY_FALLBACKS")
# Salt of the keys that encrypt vendor credentials (derived from SECRET_KEY and its fallbacks).
SALT_KEY = env.text("FIELD_ENCRYPTION_SALT", default="huntaze-field-encryption")
ALLOWED_HOSTS = env.items("ALLOWED_HOSTS", default=("localhost", "127.0.0.1", "[::1]") if LOCAL else ())
CSRF_TRUSTED_ORIGINS = env.items("CSRF_TRUSTED_ORIGINS")
# Frontends elsewhere that a browser lets call the API (huntaze/browser_policies.py).
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
ROOT_URLCONF = "huntaze.urls"
WSGI_APPLICATION = "huntaze.wsgi.application"
ASGI_APPLICATION = "huntaze.asgi.application"

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.import_export",
    "huntaze",
    "analytics",
    "onlyfans",
    "messaging",
    "crm",
    "import_export",
    "rest_framework",
    "rest_framework_simplejwt.token_blacklist",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "pgtrigger",
    "pghistory",
    "procrastinate.contrib.django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "huntaze.middleware.RequestIdMiddleware",
    # Above all that answers for the API, so that a frontend elsewhere can read a refusal too.
    "huntaze.middleware.OtherOriginsMiddleware",
    "huntaze.middleware.HealthMiddleware",
    "huntaze.prometheus.RequestSecondsMiddleware",
    "huntaze.middleware.BodySizeMiddleware",
    "huntaze.middleware.PageCompressionMiddleware",
    "huntaze.middleware.ContentSecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "huntaze.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "huntaze.middleware.PageMessagesMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "huntaze.middleware.AdminContentSecurityMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "huntaze.middleware.ActingMiddleware",
    "axes.middleware.AxesMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "crm.pages.creators_context",
                "messaging.pages.sign_context",
            ],
        },
    },
]

# --- PostgreSQL -----------------------------------------------------------------------------------------------------

DATABASES: dict[str, dict[str, Any]] = {"default": env.database("DATABASE_URL")}
# Under ASGI each request may run on another thread, so connections are pooled instead of kept per thread.
DATABASES["default"]["OPTIONS"] = {
    **DATABASES["default"].get("OPTIONS", {}),
    "pool": {
        "min_size": 1,
        "max_size": env.integer("DATABASE_POOL_SIZE", default=16, minimum=1, maximum=500),
        "timeout": 10,
    },
    # Of the statements that run for every message (crm/statements.py): planned once, where the server keeps plans.
    "prepare_threshold": 5 if env.boolean("DATABASE_PREPARED_STATEMENTS", default=True) else None,
}
# Of one web process (huntaze/handler.py).
WEB_REQUESTS_AT_WORK = env.integer("WEB_REQUESTS_AT_WORK", default=2, minimum=1, maximum=500)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Redis ----------------------------------------------------------------------------------------------------------

REDIS_URL = env.redis_url("REDIS_ENDPOINT", auth="REDIS_AUTH_TOKEN", tls="REDIS_TLS")
CACHES: dict[str, dict[str, Any]] = {
    "default": (
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "cache",
            # Another one whenever what is kept is written in another way, so that nobody reads what was written before.
            "VERSION": 2,
            "OPTIONS": {
                "SERIALIZER": "huntaze.cache_serializer.DataSerializer",
                "SOCKET_CONNECT_TIMEOUT": 2,
                "SOCKET_TIMEOUT": 2,
                "IGNORE_EXCEPTIONS": True,
            },
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    ),
}

# --- AWS ------------------------------------------------------------------------------------------------------------

AWS_REGION = env.region("AWS_REGION")
# Another endpoint than AWS's own; the local stack sets it. boto3 reads the credentials by its usual chain.
AWS_ENDPOINT_URL = env.address("AWS_ENDPOINT_URL")
SQS_RATE_LIMITER_QUEUE_URL = env.queue_url("SQS_RATE_LIMITER_QUEUE_URL")
SQS_RATE_LIMITER_DLQ_URL = env.queue_url("SQS_RATE_LIMITER_DLQ_URL")
SQS_VISIBILITY_TIMEOUT_SECONDS = env.integer("SQS_VISIBILITY_TIMEOUT_SECONDS", default=180, minimum=1, maximum=43_200)
CLOUDWATCH_NAMESPACE = env.text("CLOUDWATCH_NAMESPACE")

# --- Sending --------------------------------------------------------------------------------------------------------

RATE_LIMITER_ENABLED = env.boolean("RATE_LIMITER_ENABLED", default=True)
# Defaults of each creator's own limits (messaging.SendingProfile). Source: OnlyFans allows 10 messages a minute and
# refuses requests closer than about 3 s.
RATE_LIMIT_MESSAGES = env.integer("RATE_LIMIT_MESSAGES", default=10, minimum=1, maximum=1_000)
RATE_LIMIT_WINDOW_SECONDS = env.seconds("RATE_LIMIT_WINDOW_SECONDS", default=60, minimum=0.1, maximum=86_400)
RATE_LIMIT_MIN_GAP_SECONDS = env.seconds("RATE_LIMIT_MIN_GAP_SECONDS", default=3, minimum=0, maximum=3_600)
# How long a claim to send lasts; above the vendor client's time-out, so that a live send keeps its claim.
SEND_LEASE_SECONDS = env.seconds("SEND_LEASE_SECONDS", default=30, minimum=1, maximum=600)
SEND_TIMEOUT_SECONDS = env.seconds("SEND_TIMEOUT_SECONDS", default=15, minimum=0.5, maximum=300)
SEND_MAX_ATTEMPTS = env.integer("SEND_MAX_ATTEMPTS", default=5, minimum=1, maximum=100)
# The wait after a send that failed doubles from the first to the longest; so does a creator's breaker, once it is open.
SEND_BACKOFF_SECONDS = env.seconds("SEND_BACKOFF_SECONDS", default=30, minimum=0.1, maximum=3_600)
SEND_BACKOFF_MAX_SECONDS = env.seconds("SEND_BACKOFF_MAX_SECONDS", default=600, minimum=0.1, maximum=86_400)
BREAKER_SECONDS = env.seconds("BREAKER_SECONDS", default=30, minimum=0.1, maximum=3_600)
BREAKER_MAX_SECONDS = env.seconds("BREAKER_MAX_SECONDS", default=600, minimum=0.1, maximum=86_400)
# Where a platform says "too fast" without saying for how long.
RATE_LIMITED_PAUSE_SECONDS = env.seconds("RATE_LIMITED_PAUSE_SECONDS", default=60, minimum=0, maximum=3_600)
WORKER_CONCURRENCY = env.integer("WORKER_CONCURRENCY", default=10, minimum=1, maximum=200)
# A long poll that began before the end, and handing back what it brought.
WORKER_STOP_SECONDS = env.seconds("WORKER_STOP_SECONDS", default=28, minimum=0, maximum=600)
# A file that the worker touches, so that a container can be judged without Redis (`manage.py check_worker`).
WORKER_HEARTBEAT_FILE = env.text("WORKER_HEARTBEAT_FILE")
SWEEP_EVERY_SECONDS = env.seconds("SWEEP_EVERY_SECONDS", default=30, minimum=0.5, maximum=3_600)
SWEEP_PENDING_AFTER_SECONDS = env.seconds("SWEEP_PENDING_AFTER_SECONDS", default=30, minimum=0, maximum=86_400)
SWEEP_OVERDUE_AFTER_SECONDS = env.seconds("SWEEP_OVERDUE_AFTER_SECONDS", default=600, minimum=0, maximum=86_400)
# Who configured neither a gateway nor the vendor's address has not asked for anything to reach a fan.
MESSAGING_GATEWAY = env.text(
    "MESSAGING_GATEWAY",
    default=(
        "onlyfans.gateway.OnlyFansGateway"
        if env.text("ONLYFANS_API_BASE_URL")
        else "messaging.dry_run_gateway.DryRunGateway"
    ),
)
# Who can tell analytics when the platform's money was last synced: a function of a creator's id.
ANALYTICS_LAST_SYNC = "onlyfans.selectors.money_synced_at"

# --- OnlyFans -------------------------------------------------------------------------------------------------------

ONLYFANS_API_BASE_URL = env.address("ONLYFANS_API_BASE_URL", default="https://app.onlyfansapi.com")
# Of the other vendor, which onlyfans.ofauth_gateway.OFAuthGateway sends through.
OFAUTH_API_BASE_URL = env.address("OFAUTH_API_BASE_URL", default="https://api.ofauth.com")
# How long events are kept once they are applied: they hold what fans wrote.
WEBHOOK_KEEP_DAYS = env.integer("WEBHOOK_KEEP_DAYS", default=30, minimum=1, maximum=3_650)
IMPORT_MAX_BYTES = env.integer("IMPORT_MAX_BYTES", default=10_000_000, minimum=1_000, maximum=1_000_000_000)
DATA_UPLOAD_MAX_MEMORY_SIZE = IMPORT_MAX_BYTES
# A larger one is left to a worker (`manage.py run_jobs`) and answered with where to see how far it is.
IMPORT_JOB_BYTES = env.integer("IMPORT_JOB_BYTES", default=2_000_000, minimum=0, maximum=1_000_000_000)

# Who keeps something of a fan beside the CRM, and so has a part in deleting, erasing and exporting one.
FAN_HOLDERS = ("messaging.fan_holder.MessagingHolder", "onlyfans.fan_holder.ImportsHolder")

# What the database writes down of changes (crm/audit.py): rows of these, for so long.
AUDIT_EVENTS = ("crm.FanEvent", "crm.MembershipEvent", "messaging.CampaignEvent", "onlyfans.AccountEvent")
AUDIT_KEEP_DAYS = env.integer("AUDIT_KEEP_DAYS", default=730, minimum=30, maximum=3_650)
# Nothing is asked for by whose row it is alone; the events have their own indexes.
PGHISTORY_FOREIGN_KEY_FIELD = pghistory.ForeignKey(db_index=False)
PGHISTORY_CONTEXT_FIELD = pghistory.ContextJSONField()

# --- Jobs -----------------------------------------------------------------------------------------------------------

# Each app's jobs and their times are in its jobs.py.
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"
JOBS_CONCURRENCY = env.integer("JOBS_CONCURRENCY", default=2, minimum=1, maximum=50)
# How long a worker that is told to end lets its jobs go on; what is cut off is begun again by another.
JOBS_STOP_SECONDS = env.seconds("JOBS_STOP_SECONDS", default=20, minimum=0, maximum=3_600)

# --- Signing in -----------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "crm.User"
# django-axes asks first, and locks out who failed too often, on the pages, in the admin and at the token's address.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
# By name and address together, so that nobody can lock somebody else out from afar.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_FAILURE_LIMIT = env.integer("SIGN_IN_FAILURES", default=5, minimum=1, maximum=1_000)
AXES_COOLOFF_TIME = timedelta(
    seconds=env.seconds("SIGN_IN_LOCK_SECONDS", default=900, minimum=1, maximum=7 * 86_400),
)
AXES_RESET_ON_SUCCESS = True
# Trying on while locked does not make it longer.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_USERNAME_CALLABLE = "huntaze.sign_in.sign_in_name"
AXES_CLIENT_IP_CALLABLE = "huntaze.client_address.client_address"
AXES_LOCKOUT_CALLABLE = "huntaze.sign_in.locked_response"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False  # it would log addresses
# The second step is allauth's; its own sign-up, addresses and password pages are not connected to any address.
ACCOUNT_ADAPTER = "huntaze.second_step.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
# Beside the lock by name and address: wrong codes of one user, from wherever they come.
ACCOUNT_RATE_LIMITS = {"login_failed": "10/15m/key", "reauthenticate": "20/m/user"}
# How long who proved again who they are may change what protects the account.
ACCOUNT_REAUTHENTICATION_TIMEOUT = 600
MFA_ADAPTER = "huntaze.second_step.MFAAdapter"
MFA_FORMS = {
    "authenticate": "huntaze.second_step.CodeForm",
    "reauthenticate": "huntaze.second_step.CodeAgainForm",
    "activate_totp": "huntaze.second_step.ActivateForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
# Passkeys are of a domain; only a server on this machine may be asked without TLS.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = LOCAL
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_TOTP_ISSUER = "Huntaze"
# A phone's clock may be a step of half a minute off.
MFA_TOTP_TOLERANCE = 1
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "sign-in"
PASSWORD_HASHERS = [
    "huntaze.password_hashers.BoundedArgon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "huntaze.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["crm.rendering.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["crm.rendering.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "crm.rendering.Negotiation",
    "DEFAULT_SCHEMA_CLASS": "huntaze.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": ["huntaze.throttling.Throttle"],
    "EXCEPTION_HANDLER": "huntaze.api.problem_handler",
    # A rendering is chosen by Accept alone; ?format= is DRF's other way.
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
# Requests that one caller may make in a minute, by scope (huntaze/throttling.py).
THROTTLE_PER_MINUTE = {
    scope: env.integer(f"THROTTLE_{scope.upper()}_PER_MINUTE", default=default, minimum=1, maximum=1_000_000)
    for scope, default in {
        # A frontend that uses the API asks as often as a page of ours does.
        "general": 600,
        "pages": 600,
        "sends": 60,
        "imports": 10,
        "previews": 60,
        "anonymous": 30,
    }.items()
}
# How many proxies stand in front, each of which adds to X-Forwarded-For.
PROXY_COUNT = env.integer("PROXY_COUNT", default=0, minimum=0, maximum=10)
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ROTATE_REFRESH_TOKENS": True,
    "BLACKLIST_AFTER_ROTATION": True,
    # Each token carries a hash of the password's hash, so that a new password ends what the old one opened.
    "CHECK_REVOKE_TOKEN": True,
    "TOKEN_OBTAIN_SERIALIZER": "huntaze.tokens.ObtainSerializer",
    "TOKEN_REFRESH_SERIALIZER": "huntaze.tokens.RefreshSerializer",
    "TOKEN_VERIFY_SERIALIZER": "huntaze.tokens.VerifySerializer",
    "TOKEN_BLACKLIST_SERIALIZER": "huntaze.tokens.SignOutSerializer",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Huntaze API",
    "DESCRIPTION": api_description.DESCRIPTION,
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "DEFAULT_GENERATOR_CLASS": "huntaze.schema.EnglishSchemaGenerator",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "huntaze.schema.document_complete",
    ],
    "ENUM_NAME_OVERRIDES": {
        "MessageStatusEnum": "crm.models.MessageStatus.choices",
        "HealthEnum": ["ok", "degraded", "down"],
        "CampaignStatusEnum": "messaging.models.CampaignStatus.choices",
        "ImportStatusEnum": "onlyfans.models.ImportStatus.choices",
        "ImportKindEnum": "onlyfans.models.ImportKind.choices",
        "TransactionKindEnum": "crm.models.TransactionKind.choices",
        "DecisionEnum": "messaging.models.Decision.choices",
    },
}

# --- Language, time, files ------------------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
# Each in its own words: whoever looks for theirs does not read the others.
LANGUAGES = [("en", "English"), ("fr", "Français")]
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_SECURE = not LOCAL
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if LOCAL
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        ),
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = LOCAL

# --- What a browser may do ------------------------------------------------------------------------------------------

CORS_URLS_REGEX = browser_policies.CORS_PATHS
CORS_ALLOW_METHODS = browser_policies.CORS_METHODS
CORS_ALLOW_HEADERS = browser_policies.CORS_REQUEST_HEADERS
CORS_EXPOSE_HEADERS = browser_policies.CORS_RESPONSE_HEADERS
CORS_ALLOW_CREDENTIALS = False
CORS_PREFLIGHT_MAX_AGE = browser_policies.CORS_KEPT_SECONDS
CONTENT_SECURITY_POLICY = browser_policies.CONTENT_SECURITY
PERMISSIONS_POLICY = browser_policies.PERMISSIONS
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.boolean("SECURE_SSL_REDIRECT", default=not LOCAL)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if env.boolean("BEHIND_TLS_PROXY", default=False) else None
)
SECURE_HSTS_SECONDS = 0 if LOCAL else 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOCAL
SECURE_HSTS_PRELOAD = not LOCAL
# The load balancer and Prometheus ask by address, without TLS.
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SESSION_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_SECURE = not LOCAL

# --- The admin and the logs -----------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Huntaze",
    "SITE_HEADER": "Huntaze",
    "SITE_SUBHEADER": "Operators",
    "DASHBOARD_CALLBACK": "huntaze.dashboard.dashboard_callback",
    "SITE_ICON": lambda request: static("logo.svg"),
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("logo.svg")}],
}
IMPORT_EXPORT_ESCAPE_FORMULAE_ON_EXPORT = True
# Without it nobody reads /metrics.
METRICS_TOKEN = env.text("METRICS_TOKEN")
# prometheus_client reads the same variable when it is imported.
PROMETHEUS_MULTIPROC_DIR = env.text("PROMETHEUS_MULTIPROC_DIR")
LOGGING_CONFIG = None
logging_config(json=not LOCAL, level=env.text("LOG_LEVEL", default="INFO").upper())
