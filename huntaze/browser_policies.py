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
