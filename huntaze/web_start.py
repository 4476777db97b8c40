"""The start of a web process, under ASGI and WSGI alike: logs what its configuration lacks, tests the way to SQS in the
background, puts metrics from then on. Touches SQS, the cache and the log."""

import structlog

from huntaze import checks
from messaging import connectivity, metrics
from messaging.sending_needs import needs_log

logger = structlog.get_logger(__name__)


def web_start() -> None:
    """To be called once, with the apps and the addresses loaded."""
    needs_log()
    # Django runs system checks for its commands alone, and this one is of the web.
    for wrong in checks.allowed_origins_are_origins():
        logger.error(wrong.msg, check=wrong.id, expected=wrong.hint)
    connectivity.connectivity_start()
    metrics.start()
