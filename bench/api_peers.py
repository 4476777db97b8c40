"""Answers the hot lists twice as others would write them: by a bare view, and by DRF's defaults. Touches tables.

Both know less than the product does: no roles, no throttling, no problem documents, no request ids, no HTML. They
have its way from the server to the views (huntaze/handler.py): under Django's own each request costs them 0.7 ms more.
"""

from typing import Any

import django
import jwt
import orjson
from django.conf import settings
from django.db import connection
from django.db.models import Count, Max, Q
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool

django.setup(set_prefix=False)

# What looks for models can be imported once Django is set up.
from rest_framework import generics, pagination, views  # noqa: E402
from rest_framework.response import Response  # noqa: E402

from crm.api import ConversationSerializer  # noqa: E402
from crm.fan_api import FanSerializer  # noqa: E402
from crm.models import Conversation, Fan, Message  # noqa: E402
from crm.selectors import conversation_in_trouble  # noqa: E402
from huntaze.handler import Handler  # noqa: E402
from messaging.api import ThreadMessageSerializer  # noqa: E402
from messaging.models import TROUBLE_STATES, UNSETTLED_STATES, Delivery  # noqa: E402

application = Handler()

CONVERSATIONS = """
SELECT c.id, f.id, f.name, f.handle, f.avatar, f.value_cents, f.platform, c.last_message_at, m.direction,
    left(m.text, 140), m.status, c.unread_count
FROM crm_conversation c JOIN crm_fan f ON f.id = c.fan_id LEFT JOIN crm_message m ON m.id = c.last_message_id
WHERE c.creator_id = %s AND NOT c.archived AND f.deleted_at IS NULL
ORDER BY c.personal DESC, c.last_message_at DESC, c.id DESC LIMIT 51
"""
MESSAGES = """
SELECT m.id, m.direction, m.text, m.price_cents AS "priceCents", m.read, m.attachments, m.status,
    m.created_at AS "createdAt", m.sent_at AS "sentAt", m.deleted_at AS "deletedAt", d.due_at AS "expectedAt",
    d.reason, m.status IN ('failed', 'unknown') AS retryable
FROM crm_message m LEFT JOIN messaging_delivery d ON d.message_id = m.id
WHERE m.creator_id = %s AND m.conversation_id = %s
    AND (m.created_at, m.id) < (%s::timestamptz, %s::uuid)
ORDER BY m.created_at DESC, m.id DESC LIMIT 101
"""
FANS = """
SELECT id, platform, platform_id AS "platformId", handle, name, email, avatar, tags, notes, value_cents AS "valueCents",
    last_seen_at AS "lastSeenAt", created_at AS "createdAt", updated_at AS "updatedAt", deleted_at AS "deletedAt"
FROM crm_fan WHERE creator_id = %s AND deleted_at IS NULL ORDER BY value_cents DESC, id DESC LIMIT 51
"""
FAN = FANS.replace("ORDER BY value_cents DESC, id DESC LIMIT 51", "AND id = %s")

# Where the first page begins. Bound, because the planner sees through a literal and then takes another index and sorts.
NEWEST = ("infinity", "ffffffff-ffff-ffff-ffff-ffffffffffff")

_pools: list[ConnectionPool[Any]] = []


def _pool() -> ConnectionPool[Any]:
    if not _pools:
        database = connection.settings_dict
        address = (
            f"host={database['HOST']} port={database['PORT']} dbname={database['NAME']} user={database['USER']} "
            f"password={database['PASSWORD']}"
        )
        options = {"autocommit": True, "prepare_threshold": 0}
        _pools.append(
            ConnectionPool(
                address,
                min_size=4,
                max_size=16,
                kwargs=options,
                open=True,
                configure=lambda made: set_json_loads(orjson.loads, made),
            )
        )
    return _pools[0]


def _nested(cursor: Any) -> Any:
    """A row of CONVERSATIONS, made here: PostgreSQL's own JSON takes three times as long on its way through both."""

    def make(row: Any) -> dict[str, Any]:
        (id, fan, name, handle, avatar, value, platform, at, direction, text, status, unread) = row  # noqa: A001
        return {
            "id": id,
            "fan": {"id": fan, "name": name, "handle": handle, "avatar": avatar, "valueCents": value},
            "platform": platform,
            "lastMessageAt": at,
            "lastMessage": direction and {"direction": direction, "text": text, "status": status},
            "unreadCount": unread,
        }

    return make


def _creator(request: HttpRequest) -> int:
    """Whom the request is for; raises where its token is not well signed."""
    token = request.headers["Authorization"].removeprefix("Bearer ")
    jwt.decode(token, settings.SECRET_KEY, algorithms=["HS256"])
    return int(request.headers["X-Creator"])


def _answer(body: Any) -> HttpResponse:
    content = orjson.dumps(body, option=orjson.OPT_UTC_Z)
    return HttpResponse(content, content_type="application/json", headers={"Content-Length": len(content)})


def _bare(sql: str, limit: int, *more: str, row_factory: Any = dict_row) -> Any:
    def view(request: HttpRequest, **named: int) -> HttpResponse:
        creator = _creator(request)
        with _pool().connection() as found, found.cursor(row_factory=row_factory, binary=True) as cursor:
            rows = cursor.execute(sql, [creator, *named.values(), *more]).fetchall()
        return _answer({"next": len(rows) > limit, "results": rows[:limit]})

    return view


# How sending goes, by less than the product asks: nothing of SQS, of paused campaigns and of what is late.
TODAY = """
SELECT count(*) FILTER (WHERE queued_at >= current_date) AS queued, count(*) FILTER (WHERE state = 'sent') AS processed,
    count(*) FILTER (WHERE state IN ('failed', 'unknown')) AS failed,
    max(finished_at) FILTER (WHERE state = 'sent') AS last
FROM messaging_delivery WHERE creator_id = %s AND finished_at >= current_date
"""
WAITING = """
SELECT count(*) AS messages, max(due_at) AS until FROM messaging_delivery
WHERE creator_id = %s AND state IN ('pending', 'queued', 'parked', 'sending', 'failed', 'unknown')
"""


def _bare_status(request: HttpRequest) -> HttpResponse:
    creator = _creator(request)
    with _pool().connection() as found, found.cursor(row_factory=dict_row, binary=True) as cursor:
        return _answer([cursor.execute(sql, [creator]).fetchone() for sql in (TODAY, WAITING)])


class _ByLastMessage(pagination.CursorPagination):
    """DRF's cursors are the faster of its ways to page, of which none is its default."""

    page_size = 50
    ordering = ("-personal", "-last_message_at", "-id")


class _ByTime(pagination.CursorPagination):
    page_size = 100
    ordering = ("-created_at", "-id")


class _ByValue(pagination.CursorPagination):
    page_size = 50
    ordering = ("-value_cents", "-id")


class _Fifty(pagination.PageNumberPagination):
    """What most tutorials show: all rows are counted for each page."""

    page_size = 50


class _Hundred(pagination.PageNumberPagination):
    page_size = 100


class _List(generics.ListAPIView[Any]):
    """The product's serializers, beside which their queries would be n + 1 without the product's own select_related."""

    @property
    def creator(self) -> int:
        return int(self.request.headers["X-Creator"])


class Conversations(_List):
    serializer_class = ConversationSerializer
    pagination_class = _ByLastMessage

    def get_queryset(self) -> Any:
        mine = Conversation.objects.filter(creator__memberships__user=self.request.user, creator=self.creator)
        return (
            mine.filter(archived=False, fan__deleted_at=None)
            .select_related("fan", "last_message")
            .annotate(in_trouble=conversation_in_trouble())
        )


class NumberedConversations(Conversations):
    pagination_class = _Fifty

    def get_queryset(self) -> Any:
        return super().get_queryset().order_by(*_ByLastMessage.ordering)


class Messages(_List):
    serializer_class = ThreadMessageSerializer
    pagination_class = _ByTime

    def get_queryset(self) -> Any:
        mine = Message.objects.filter(creator__memberships__user=self.request.user, creator=self.creator)
        return mine.filter(conversation=self.kwargs["conversation_id"]).select_related("delivery")


class NumberedMessages(Messages):
    pagination_class = _Hundred

    def get_queryset(self) -> Any:
        return super().get_queryset().order_by(*_ByTime.ordering)


class Fans(_List):
    serializer_class = FanSerializer
    pagination_class = _ByValue

    def get_queryset(self) -> Any:
        mine = Fan.objects.filter(creator__memberships__user=self.request.user, creator=self.creator)
        return mine.filter(deleted_at=None)


class FanOne(generics.RetrieveAPIView[Any]):
    serializer_class = FanSerializer
    lookup_url_kwarg = "fan_id"

    def get_queryset(self) -> Any:
        return Fan.objects.filter(creator__memberships__user=self.request.user, deleted_at=None)


class Status(views.APIView):
    def get(self, request: Any) -> Response:
        mine = Delivery.objects.filter(creator=int(request.headers["X-Creator"]))
        mine = mine.filter(creator__memberships__user=request.user)
        midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
        today = mine.filter(finished_at__gte=midnight).aggregate(
            queued=Count("pk", filter=Q(queued_at__gte=midnight)),
            processed=Count("pk", filter=Q(state="sent")),
            failed=Count("pk", filter=Q(state__in=TROUBLE_STATES)),
            last=Max("finished_at", filter=Q(state="sent")),
        )
        unsettled = mine.filter(state__in=UNSETTLED_STATES)
        return Response({**today, **unsettled.aggregate(messages=Count("pk"), until=Max("due_at"))})


urlpatterns = [
    path("bare/status", _bare_status),
    path("defaults/status", Status.as_view()),
    path("bare/conversations", _bare(CONVERSATIONS, 50, row_factory=_nested)),
    path("bare/conversations/<int:conversation_id>/messages", _bare(MESSAGES, 100, *NEWEST)),
    path("bare/fans", _bare(FANS, 50)),
    path("bare/fans/<int:fan_id>", _bare(FAN, 1)),
    path("defaults/conversations", Conversations.as_view()),
    path("defaults/conversations/<int:conversation_id>/messages", Messages.as_view()),
    path("numbered/conversations", NumberedConversations.as_view()),
    path("numbered/conversations/<int:conversation_id>/messages", NumberedMessages.as_view()),
    path("defaults/fans", Fans.as_view()),
    path("defaults/fans/<int:fan_id>", FanOne.as_view()),
]
