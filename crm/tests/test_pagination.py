"""Answers whether a page far down a long list costs what the first one does, and misses and doubles nothing."""

import base64
from itertools import chain
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from crm.fan_list_api import FanPagination
from crm.models import Conversation, Creator, Fan, Role
from crm.statements import statement_run
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MembershipFactory
from crm.tests.plans import plan_nodes, rows_touched

pytestmark = pytest.mark.django_db
FANS = "/api/crm/fans"
CONVERSATIONS = "/api/crm/conversations"

# Every tenth second of a long time, so that many rows share a value and none is alone.
FANS_SQL = """
INSERT INTO crm_fan (creator_id, platform, platform_id, handle, name, email, avatar, tags, notes, value_cents,
    last_seen_at, created_at)
SELECT %s, 'onlyfans', 'p' || n, 'h' || n, CASE WHEN n %% 3 = 0 THEN '' ELSE 'Name ' || n %% 500 END, '', '', '{}', '',
    n / 100, CASE WHEN n %% 2 = 0 THEN NULL ELSE now() - (n / 10) * interval '1 second' END,
    now() - (n / 10) * interval '1 second'
FROM generate_series(1, %s) AS n
"""
CONVERSATIONS_SQL = """
INSERT INTO crm_conversation (creator_id, fan_id, last_message_at, unread_count, archived, created_at)
SELECT creator_id, id, created_at, CASE WHEN id %% 10 = 0 THEN 1 ELSE 0 END, false, created_at
FROM crm_fan WHERE creator_id = %s
"""
MESSAGES_SQL = """
INSERT INTO crm_message (id, creator_id, conversation_id, direction, text, price_cents, attachments, status, read,
    created_at)
SELECT gen_random_uuid(), %(creator)s, %(conversation)s, 'in', 'm' || n, 0, '[]', 'received', true,
    now() - (n / 10) * interval '1 second'
FROM generate_series(1, %(count)s) AS n
"""
# Indexes that say nothing which a longer one does not say as well.
SHORT_SQL = """
SELECT DISTINCT short.indexrelid::regclass::text FROM pg_index short JOIN pg_index long USING (indrelid)
WHERE short.indrelid IN ('crm_fan'::regclass, 'crm_conversation'::regclass, 'crm_message'::regclass)
    AND NOT short.indisunique AND short.indpred IS NULL AND short.indexprs IS NULL
    AND long.indkey::text LIKE short.indkey::text || ' %'
"""


def run(sql: str, params: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)


@pytest.fixture
def creator() -> Creator:
    return CreatorFactory()


@pytest.fixture
def client(creator: Creator) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory(creator=creator, role=Role.OWNER).user)
    return client


@pytest.fixture
def many(creator: Creator) -> Creator:
    """10,000 fans with a conversation each, beside as many of somebody else."""
    for owner in (creator, CreatorFactory()):
        run(FANS_SQL, [owner.pk, 10_000])
        run(CONVERSATIONS_SQL, [owner.pk])
    run("ANALYZE crm_fan, crm_conversation", None)
    return creator


def plan_of(client: APIClient, url: str) -> tuple[int, set[str], str]:
    """For the list's own query: rows that PostgreSQL looked at, the indexes it used, and whether it sorted."""
    with (
        CaptureQueriesContext(connection) as queries,
        patch("crm.listing.statement_run", wraps=statement_run) as prepared,
    ):
        assert client.get(url).status_code == 200
    # What is prepared is captured without its values.
    asked = [call.args for call in prepared.call_args_list] or [(query["sql"], []) for query in queries]
    [(sql, values)] = [each for each in asked if "LIMIT 51" in each[0] or "LIMIT 101" in each[0]]
    each = plan_nodes(sql, values)
    sorts = " ".join(node["Node Type"] for node in each if "Sort" in node["Node Type"])
    return rows_touched(each), {node["Index Name"] for node in each if "Index Name" in node}, sorts


def kept_plans_used() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(generic_plans), 0) FROM pg_prepared_statements WHERE statement LIKE '%LIMIT 51'"
        )
        return int(cursor.fetchone()[0])


def page_after(client: APIClient, url: str, pages: int) -> str:
    for _ in range(pages):
        url = client.get(url).json()["next"]
    return url.removeprefix("http://testserver")


def test_each_order_of_fans_is_read_off_an_index_on_every_page(many: Creator, client: APIClient) -> None:
    indexes = {
        "valueCents": "fan_present_by_value",
        "lastSeenAt": "fan_by_seen_order",
        "name": "fan_by_name_order",
        "createdAt": "fan_by_created",
    }
    for ordering in FanPagination.ORDERINGS:
        first = f"{FANS}?ordering={ordering}"
        far = page_after(client, f"{first}&pageSize=200", 10).replace("pageSize=200", "pageSize=50")
        for url in (first, far):
            assert plan_of(client, url) == (51, {indexes[ordering.removeprefix("-")]}, ""), url


def test_ten_thousand_conversations_are_read_off_an_index_page_by_page(many: Creator, client: APIClient) -> None:
    for query, index in (("", "conversation_in_order"), ("unread=true", "conversation_unread_in_order")):
        first = f"{CONVERSATIONS}?{query}"
        for url in (first, page_after(client, first, 1)):
            touched, used, sorts = plan_of(client, url)
            # Each with its fan; there is no last message here.
            assert (touched <= 2 * 51, index in used, sorts) == (True, True, ""), (url, touched, used)


@pytest.mark.parametrize("path", [CONVERSATIONS, f"{CONVERSATIONS}?unread=true", FANS])
def test_a_list_that_is_asked_for_often_is_planned_once(many: Creator, client: APIClient, path: str) -> None:
    before = kept_plans_used()
    for _ in range(20):
        client.get(path)
    # The first ten, to be generous, may be planned each.
    assert kept_plans_used() - before >= 10


def test_a_hundred_thousand_messages_are_read_off_an_index_page_by_page(creator: Creator, client: APIClient) -> None:
    conversation = ConversationFactory(fan__creator=creator)
    run(MESSAGES_SQL, {"creator": creator.pk, "conversation": conversation.pk, "count": 100_000})
    run("ANALYZE crm_message", None)
    first = f"{CONVERSATIONS}/{conversation.pk}/messages"
    for url in (first, page_after(client, first, 5)):
        touched, used, _ = plan_of(client, url)
        # The conversation and its fan, who say whose it is, and the page with one more.
        assert (touched, "message_by_time" in used) == (2 + 101, True)
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN SELECT FROM crm_message WHERE conversation_id = %s AND direction = 'in' AND NOT read",
            [conversation.pk],
        )
        assert "message_unread" in str(cursor.fetchall())


def test_no_short_index_stands_beside_one_that_a_list_is_read_off() -> None:
    """A plan for any tenant expects few rows of each, would read the short one, and sort: 50 ms for a long thread."""
    with connection.cursor() as cursor:
        cursor.execute(SHORT_SQL)
        # No page of a list is read by a message's creator alone.
        assert cursor.fetchall() == [("crm_message_creator_id_76e829e3",)]


def test_a_list_costs_one_query_however_long_it_is(
    many: Creator, client: APIClient, django_assert_num_queries: Any
) -> None:
    conversation = Conversation.objects.filter(creator=many).latest("pk")
    run(MESSAGES_SQL, {"creator": many.pk, "conversation": conversation.pk, "count": 1_000})
    for url, size in ((FANS, 50), (CONVERSATIONS, 50), (f"{CONVERSATIONS}/{conversation.pk}/messages", 100)):
        client.get(url)  # who the caller is, is known for a moment
        with django_assert_num_queries(1):
            assert len(client.get(url).json()["results"]) == size


@pytest.mark.parametrize("ordering", FanPagination.ORDERINGS)
def test_there_and_back_each_fan_is_on_one_page_once(creator: Creator, client: APIClient, ordering: str) -> None:
    run(FANS_SQL, [creator.pk, 45])
    there, back, url, last = [], [], f"{FANS}?ordering={ordering}&pageSize=10", ""
    while url:
        page = client.get(url).json()
        there += [[fan["id"] for fan in page["results"]]]
        last, url = url, page["next"]
    while last:
        page = client.get(last).json()
        back += [[fan["id"] for fan in page["results"]]]
        last = page["previous"]
    assert there == back[::-1]
    assert sorted(chain.from_iterable(there)) == sorted(Fan.objects.values_list("pk", flat=True))


def test_what_arrives_and_goes_between_two_pages_shifts_nothing(creator: Creator, client: APIClient) -> None:
    fans = [FanFactory(creator=creator, value_cents=0) for _ in range(6)][::-1]
    page = client.get(f"{FANS}?pageSize=2").json()
    FanFactory(creator=creator, value_cents=0)
    client.delete(f"{FANS}/{fans[0].pk}")
    client.delete(f"{FANS}/{fans[1].pk}")
    following = client.get(page["next"]).json()["results"]
    assert [fan["id"] for fan in following] == [fans[2].pk, fans[3].pk]


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "%00",
        cursor_of('{"value_cents":"1"}'),
        cursor_of('{"value_cents":"a","id":"1"}'),
        cursor_of('{"value_cents":"1\\u0000","id":"1"}'),
        cursor_of('{"value_cents":1,"id":["1"]}'),
        cursor_of('["value_cents","id"]'),
        cursor_of("7"),
        cursor_of(f'{{"value_cents":"-{"9" * 30}","id":"1"}}'),
    ],
)
def test_a_cursor_that_is_none_is_named(creator: Creator, client: APIClient, cursor: str) -> None:
    answer = client.get(f"{FANS}?cursor={cursor}")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["cursor"]


def test_marking_a_conversation_read_costs_two_statements_however_long_it_is(
    creator: Creator, client: APIClient, django_assert_max_num_queries: Any
) -> None:
    conversation = ConversationFactory(fan__creator=creator, unread_count=3)
    run(MESSAGES_SQL, {"creator": creator.pk, "conversation": conversation.pk, "count": 300})
    run("UPDATE crm_message SET read = false", None)
    with django_assert_max_num_queries(6):
        assert client.post(f"{CONVERSATIONS}/{conversation.pk}/read").status_code == 204
    assert Conversation.objects.get().unread_count == 0
    assert not conversation.messages.filter(read=False).exists()
