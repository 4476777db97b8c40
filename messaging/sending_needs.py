"""Configuration that sending needs: which variables are missing, said by name when a process starts.

Values that are set and malformed never get here: huntaze/env.py refuses them, by name, before anything starts.
"""

import structlog
from django.conf import settings
from django.utils.translation import gettext_noop

logger = structlog.get_logger(__name__)
# What each variable is to hold, for the person who sets it.
NEEDED_TO_SEND = {
    "AWS_REGION": "the AWS region of the queue, for instance eu-west-3",
    "SQS_RATE_LIMITER_QUEUE_URL": "the queue's URL, as `manage.py provision_queues` prints it",
    "REDIS_ENDPOINT": "host:port, redis://… or rediss://…",
}
QUEUE_VARIABLES = ("AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL")
LIMITER_OFF = gettext_noop("RATE_LIMITER_ENABLED is false: SQS is not asked.")


def sending_lacks() -> list[str]:
    """The variables that sending needs and that are not set."""
    found = {
        "AWS_REGION": settings.AWS_REGION,
        "SQS_RATE_LIMITER_QUEUE_URL": settings.SQS_RATE_LIMITER_QUEUE_URL,
        "REDIS_ENDPOINT": settings.REDIS_URL,
    }
    return [name for name, value in found.items() if not value]


def queue_untouched() -> str:
    """Why SQS is not to be asked for anything: the limiter is off, or variables are missing; empty where it may be."""
    if not settings.RATE_LIMITER_ENABLED:
        return LIMITER_OFF
    missing = [name for name in sending_lacks() if name in QUEUE_VARIABLES]
    return f"{not_set(missing)}: sending is disabled." if missing else ""


def not_set(names: list[str]) -> str:
    """`AWS_REGION is not set`, `AWS_REGION and REDIS_ENDPOINT are not set`."""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not set"


def needs_log() -> None:
    """Log a warning for each missing variable, or that sending is switched off. For the start of a process.

    System checks say the same, but uvicorn and Lambda run none.
    """
    if not settings.RATE_LIMITER_ENABLED:
        logger.warning("RATE_LIMITER_ENABLED is false: messages are logged, marked bypassed and never sent")
        return
    for name in sending_lacks():
        problem = f"{not_set([name])}: sending is disabled"
        logger.warning(problem, variable=name, expected=NEEDED_TO_SEND[name])
