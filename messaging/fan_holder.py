"""Answers what sending keeps of one fan, for the CRM's port FanHolder. Touches deliveries and campaigns."""

from collections.abc import Iterator, Mapping
from typing import Any

from crm.fan_holders import Section
from crm.models import Fan
from messaging import selectors, set_transitions

CHUNK = 1_000


class MessagingHolder:
    """Deliveries, and the campaigns that name the fan. Copies on SQS go by themselves once they are handled or old."""

    def withdraw(self, fan: Fan) -> None:
        set_transitions.fan_withdrawn(fan)

    def erase(self, fan: Fan) -> None:
        set_transitions.fan_erased(fan)

    def export(self, fan: Fan) -> Mapping[str, Section]:
        return {"deliveries": self._deliveries(fan)}

    def _deliveries(self, fan: Fan) -> Iterator[Mapping[str, Any]]:
        for delivery in selectors.fan_delivery_list(fan=fan).iterator(chunk_size=CHUNK):
            yield {
                "messageId": delivery.pk,
                "campaign": delivery.campaign.name if delivery.campaign else None,
                "kind": delivery.kind,
                "status": delivery.state,
                "reason": delivery.reason,
                "attempts": delivery.attempts,
                "createdAt": delivery.created_at,
                "dueAt": delivery.due_at,
                "queuedAt": delivery.queued_at,
                "finishedAt": delivery.finished_at,
                "decision": delivery.decision,
                "decidedAt": delivery.decided_at,
            }
