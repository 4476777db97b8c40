"""Answers HTTP under ASGI, and tests the way to SQS in the background at start. Touches the settings' name."""

import os
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "huntaze.settings")


class Handler(ASGIHandler):
    """Runs a request's middleware, view and rendering in its thread in one go, since all of ours are synchronous.

    Django's own goes back to the event loop between them, several times a request, and changes threads each time.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: HttpRequest) -> Any:
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


django.setup(set_prefix=False)
application = Handler()

# The apps must be loaded first. The addresses are loaded here and not by the first request, so that nothing is being
# imported while the threads below import too.
import huntaze.urls  # noqa: E402, F401
from messaging import connectivity, metrics  # noqa: E402

connectivity.connectivity_start()
metrics.start()
