"""Answers how log lines look: JSON in production, readable on a desk. Touches the process's logging configuration."""

import logging.config
from typing import Any

import structlog
from structlog.types import EventDict, Processor

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def request_id_add(logger: Any, name: str, event: EventDict) -> EventDict:
    """The id of the request that a line of Django's is about: it writes some when the request is over already."""
    request = getattr(event.get("_record"), "request", None)
    if request_id := getattr(request, "request_id", ""):
        event.setdefault("request_id", request_id)
    return event


def logging_config(*, json: bool, level: str) -> None:
    """Route the standard library's and structlog's lines through one formatter to standard error."""
    renderer: tuple[Processor, ...] = (
        (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
        if json
        else (
            # Without the locals that the default prints: a message's text may be among them.
            structlog.dev.ConsoleRenderer(
                colors=False, pad_event_to=40, exception_formatter=structlog.dev.plain_traceback
            ),
        )
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "line": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": (*SHARED, request_id_add),
                    "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
                },
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {
                # The vendor SDK's client logs every request at INFO, address and fan included.
                "httpx": {"level": "WARNING"},
                "onlyfansapi": {"level": "WARNING"},
                "botocore": {"level": "WARNING"},
                "urllib3": {"level": "WARNING"},
                # Every process that loads Django registers the jobs, and would say so.
                "procrastinate.blueprints": {"level": "WARNING"},
                "procrastinate.periodic": {"level": "WARNING"},
            },
        },
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
