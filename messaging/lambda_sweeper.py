"""Answers AWS Lambda's clock with one sweep a minute: the other door to the sweeper. Touches what the sweeper does."""

from typing import Any

# First: it loads Django, which the others need.
from messaging import lambda_handler

from messaging import publishing, sweeper, vitals  # isort: skip
from messaging.gateways import gateway_load  # isort: skip


def handler(event: dict[str, Any], context: object) -> dict[str, int]:
    """One sweep; answers how many messages it moved. Raises what stopped it, so that Lambda counts an error."""
    lambda_handler.configuration_check()
    publishing.sending_check()
    try:
        try:
            report = sweeper.sweep(gateway=gateway_load())
        finally:
            # What stops one of the two does not stop the other.
            sweeper.purge()
        vitals.swept()
        return {"moved": report.total}
    finally:
        vitals.vitals_measure()
        lambda_handler.leave()
