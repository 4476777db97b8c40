"""The API of how sending goes: the queue's numbers, the creator's own, CloudWatch's, and why any of them is missing.
Touches services, selectors and what CloudWatch last answered.
"""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_noop
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from crm.api import CREATOR_PARAMETERS, CreatorAPIView, FragmentRenderer
from crm.models import User
from crm.recent import Recent
from crm.rendering import JSONRenderer
from crm.selectors import reaches_every_creator
from crm.stored_words import in_words
from messaging import readiness, selectors, services
from messaging.api import BlockedSerializer, blocked_shown
from messaging.metric_history import FIGURES, WINDOWS, MetricHistory, metric_history_lately
from messaging.sending_needs import LIMITER_OFF

QUEUE_FIELDS = ["queueDepth", "messagesInFlight", "messagesDelayed"]
NOT_SET = gettext_noop("%(name)s is not set.")
OTHERS_TOO = gettext_noop("CloudWatch counts all creators of this installation, and some are not yours.")
_reaches_all: Recent[int, bool] = Recent()


class MissingSerializer(serializers.Serializer[Any]):
    """Members that are null, and why."""

    fields = serializers.ListField(child=serializers.CharField())  # type: ignore[assignment]
    code = serializers.ChoiceField(
        choices=["limiter_off", "not_configured", "no_answer", "not_allowed", "others_too", "none_yet"],
        help_text="`others_too`: the figures are of creators who are not the caller's as well.",
    )
    reason = serializers.CharField(help_text="In the caller's language; names the variable where one is not set.")


class StatusView(CreatorAPIView):
    """How deep the queue is, how the creator's day went, and what holds messages back.

    `queueDepth`, `messagesInFlight`, `messagesDelayed` and `dlqCount` are SQS's own numbers of the whole installation,
    approximate and up to five seconds old. Everything else but `cloudwatch` is of this creator alone: `own` counts the
    messages that have yet to go out or are in trouble by state, `waiting` are those that have yet to go out,
    `waitingUntil` is when the last has its turn (null where nothing can go: `blocked` says why), `late` are those that
    should have gone out ten minutes ago, `metrics` is the day since midnight in the creator's time zone. `cloudwatch`
    are the figures of the whole installation where CLOUDWATCH_NAMESPACE is set, up to a minute old. `missing` says of
    each number that is null why.
    """

    renderer_classes = (JSONRenderer, FragmentRenderer)
    fragment_template = "messaging/_sending.html"

    @extend_schema(
        operation_id="messages_status",
        parameters=CREATOR_PARAMETERS,
        responses=inline_serializer(
            "QueueStatus",
            {
                "queueDepth": serializers.IntegerField(allow_null=True),
                "messagesInFlight": serializers.IntegerField(allow_null=True),
                "messagesDelayed": serializers.IntegerField(allow_null=True),
                "dlqCount": serializers.IntegerField(allow_null=True),
                "lastProcessedAt": serializers.DateTimeField(allow_null=True),
                "paused": serializers.BooleanField(),
                "pausedReason": serializers.CharField(),
                "blocked": BlockedSerializer(allow_null=True),
                "waiting": serializers.IntegerField(),
                "waitingUntil": serializers.DateTimeField(allow_null=True),
                "late": serializers.IntegerField(),
                "inTrouble": serializers.IntegerField(),
                "own": inline_serializer(
                    "OwnMessages", {state.value: serializers.IntegerField() for state in selectors.COUNTED_STATES}
                ),
                "metrics": inline_serializer(
                    "QueueMetrics",
                    {
                        "messagesQueuedToday": serializers.IntegerField(),
                        "messagesProcessedToday": serializers.IntegerField(),
                        "failureRate": serializers.FloatField(),
                    },
                ),
                "cloudwatch": serializers.DictField(
                    child=serializers.DictField(child=serializers.FloatField(allow_null=True)),
                    allow_null=True,
                    help_text=f"By window ({', '.join(WINDOWS)}), then by figure: {', '.join(FIGURES)}. Depths and "
                    "ages are the highest, the two durations what 95 % stayed below; null is not measured.",
                ),
                "missing": MissingSerializer(many=True),
            },
        ),
    )
    def get(self, request: Request) -> Response:
        status = services.OnlyFansRateLimiterService(creator=self.creator).get_queue_status()
        profile = selectors.sending_profile(creator=self.creator)
        waiting = selectors.sending_waiting(creator=self.creator)
        blocked = readiness.sending_blocked_of(creator=self.creator, profile=profile, late_since=waiting.late_since)
        history = _history(self.membership.user)
        return Response(
            {
                "queueDepth": status.counts.waiting if status.counts else None,
                "messagesInFlight": status.counts.in_flight if status.counts else None,
                "messagesDelayed": status.counts.delayed if status.counts else None,
                "dlqCount": status.dlq_count,
                "lastProcessedAt": status.today.last_processed_at,
                "paused": bool(profile and profile.paused_at),
                "pausedReason": profile.paused_reason if profile else "",
                "blocked": blocked_shown(blocked),
                "waiting": waiting.messages,
                "waitingUntil": readiness.outlook(waiting.until, blocked=blocked).expected_at
                if waiting.until
                else None,
                "late": waiting.late,
                "inTrouble": waiting.in_trouble,
                "own": waiting.states,
                "metrics": {
                    "messagesQueuedToday": status.today.queued,
                    "messagesProcessedToday": status.today.processed,
                    "failureRate": status.today.failure_rate,
                },
                "cloudwatch": history.windows or None,
                "missing": list(_missing(status, history)),
            }
        )


def _history(user: User) -> MetricHistory:
    """What CloudWatch has, for operators and for those whose own all creators are: nobody else's numbers are told."""
    asked = bool(settings.CLOUDWATCH_NAMESPACE) and not user.is_staff
    if asked and not _reaches_all.get(user.pk, lambda: reaches_every_creator(user=user)):
        return MetricHistory({}, OTHERS_TOO, "others_too")
    return metric_history_lately()


def _missing(status: services.QueueStatus, history: MetricHistory) -> Iterator[dict[str, Any]]:
    unset = [name for name in ("AWS_REGION", "SQS_RATE_LIMITER_QUEUE_URL") if not getattr(settings, name)]
    if not settings.RATE_LIMITER_ENABLED:
        yield {"fields": [*QUEUE_FIELDS, "dlqCount"], "code": "limiter_off", "reason": in_words(LIMITER_OFF)}
    elif unset:
        reason = gettext(NOT_SET) % {"name": unset[0]}
        yield {"fields": [*QUEUE_FIELDS, "dlqCount"], "code": "not_configured", "reason": reason}
    elif status.counts is None:
        yield {"fields": [*QUEUE_FIELDS, "dlqCount"], "code": "no_answer", "reason": in_words(status.trouble)}
    elif not settings.SQS_RATE_LIMITER_DLQ_URL:
        reason = gettext(NOT_SET) % {"name": "SQS_RATE_LIMITER_DLQ_URL"}
        yield {"fields": ["dlqCount"], "code": "not_configured", "reason": reason}
    elif status.dlq_count is None:
        yield {"fields": ["dlqCount"], "code": "no_answer", "reason": in_words(status.trouble)}
    if status.today.last_processed_at is None:
        reason = gettext("No message of this creator has been sent yet.")
        yield {"fields": ["lastProcessedAt"], "code": "none_yet", "reason": reason}
    if not history.windows:
        yield {"fields": ["cloudwatch"], "code": history.code, "reason": in_words(history.trouble)}
