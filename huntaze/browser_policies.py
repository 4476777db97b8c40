"""Answers what the pages let a browser load and use; the admin is allowed a little more (huntaze/middleware.py).
Touches nothing.
"""

from csp.constants import NONE, SELF

CONTENT_SECURITY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "base-uri": [NONE],
        "connect-src": [SELF],
        "font-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        # Avatars and media come from the vendor's file servers.
        "img-src": [SELF, "data:", "https:"],
        "manifest-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        # What a browser held back; a line in the log says where (huntaze/browser_reports.py).
        "report-uri": ["/browser-reports"],
    },
}
# Nothing here uses a sensor, a camera or a payment, and no script that got in may.
PERMISSIONS: dict[str, list[str]] = {
    feature: []
    for feature in (
        "accelerometer",
        "autoplay",
        "camera",
        "display-capture",
        "encrypted-media",
        "geolocation",
        "gyroscope",
        "magnetometer",
        "microphone",
        "midi",
        "payment",
        "usb",
    )
}

# What a page of another origin may do with the API (CORS_ALLOWED_ORIGINS names those origins). It signs in by token:
# cookies are not allowed, so that no other page acts with the session of a person who is signed in here.
CORS_PATHS = r"^/api/"
CORS_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
CORS_REQUEST_HEADERS = (
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "x-creator",
    "x-request-id",
)
# Beside those that a browser shows anyway (Cache-Control, Content-Language, Content-Type …).
CORS_RESPONSE_HEADERS = (
    "Content-Disposition",
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
)
# How long a browser keeps the answer to its question; Chromium no longer than this.
CORS_KEPT_SECONDS = 7_200
