"""Answers HTTP under WSGI, and tests the way to SQS in the background at start. Touches the settings' name."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
application = get_wsgi_application()

# The apps must be loaded first. The addresses are loaded here and not by the first request, so that nothing is being
# imported while the threads below import too.
import huntaze.urls  # noqa: E402, F401
from huntaze.web_start import web_start  # noqa: E402

web_start()
