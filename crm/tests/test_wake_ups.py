"""Answers whether pages are woken after the commit, once, and never at the cost of what changed. Touches Redis."""

import socket
import time

import pytest
import redis
from django.db import transaction

from crm import outbound_services, services, wake_ups
from crm.models import Conversation, MessageStatus
from crm.tests.factories import ConversationFactory, FanFactory
from crm.wake_ups import ANYTHING, PUBLISH_SECONDS, TOPICS_MAX, wake

pytestmark = pytest.mark.django_db(transaction=True)


class Heard:
    """What was published since this was made."""

    def __init__(self, server: "redis.Redis") -> None:
        self._pubsub = server.pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(wake_ups._channel(server))
        self._pubsub.get_message(timeout=1)

    def lines(self) -> list[str]:
        found = []
        while (message := self._pubsub.get_message(timeout=0.05)) is not None:
            found.append(message["data"].decode())
        return found

    def close(self) -> None:
        self._pubsub.close()


@pytest.fixture
def heard(redis_server, redis_clean):
    listener = Heard(redis_server)
    yield listener
    listener.close()


def test_it_wakes_after_the_commit_and_says_the_same_once(heard):
    with transaction.atomic():
        wake(7, creator_id=1)
        wake(7, creator_id=1)
        wake(8, creator_id=1)
        assert heard.lines() == []
    assert heard.lines() == ["1 7", "1 8"]


def test_what_is_rolled_back_wakes_nobody(heard):
    with transaction.atomic():
        wake(7, creator_id=1)
        transaction.set_rollback(True)
    assert heard.lines() == []


def test_many_conversations_are_anything(heard):
    wake(*range(TOPICS_MAX + 1), creator_id=1)
    assert heard.lines() == [f"1 {ANYTHING}"]


def test_what_the_inbox_shows_wakes_it(heard):
    conversation = ConversationFactory()
    creator_id, fan = conversation.creator_id, conversation.fan
    expected = [f"{creator_id} {conversation.pk}"]
    services.message_receive(fan=fan, text="hi", received_at=conversation.created_at, platform_message_id="1")
    assert heard.lines() == expected
    message = services.message_record_sent(fan=fan, text="hi", sent_at=conversation.created_at, platform_message_id="2")
    assert heard.lines() == expected
    services.conversation_mark_read(conversation=conversation)
    assert heard.lines() == expected
    services.message_mark_deleted(
        creator=conversation.creator, platform_message_id="1", deleted_at=conversation.created_at
    )
    assert heard.lines() == expected
    outbound_services.message_status_set(message_ids=[message.pk], status=MessageStatus.SENT)
    assert heard.lines() == expected


def test_what_is_read_already_wakes_nobody(heard):
    conversation = ConversationFactory()
    services.conversation_mark_read(conversation=conversation)
    assert heard.lines() == []


def test_a_fan_who_was_merely_seen_wakes_nobody(heard):
    fan = FanFactory(handle="lea")
    news = services.FanNews(platform_id=fan.platform_id, handle="lea", seen_at=fan.created_at)
    services.fan_meet(creator=fan.creator, news=news)
    assert heard.lines() == []
    services.fan_meet(creator=fan.creator, news=services.FanNews(platform_id=fan.platform_id, handle="lea2"))
    assert heard.lines() == [f"{fan.creator_id} {ANYTHING}"]


def test_while_redis_hangs_what_changed_stays_changed_and_nobody_waits(settings):
    conversation = ConversationFactory()
    # Taken into the queue of connections, and never answered.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.REDIS_URL = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        begun = time.monotonic()
        for n in range(20):
            services.message_receive(
                fan=conversation.fan, text="hi", received_at=conversation.created_at, platform_message_id=str(n)
            )
        assert time.monotonic() - begun < 10 * PUBLISH_SECONDS
    assert Conversation.objects.get(pk=conversation.pk).unread_count == 20


def test_without_a_configured_redis_nothing_is_published(settings):
    settings.REDIS_URL = ""
    wake(1, creator_id=1)
