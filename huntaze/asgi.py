"""Answers HTTP under ASGI, and tests the way to SQS in the background at start. Touches the settings' name."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")
django.setup(set_prefix=False)

# The apps must be loaded first. The addresses are loaded here and not by the first request, so that nothing is being
# imported while the threads below import too.
import huntaze.urls  # noqa: E402, F401
from huntaze.handler import Handler  # noqa: E402
from huntaze.web_start import web_start  # noqa: E402

application = Handler()
# What is loaded by now stays until the end: neither the collector nor the end itself need look through it.
gc.freeze()
web_start()
