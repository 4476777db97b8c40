"""Answers whether the inbox shows what was said, to those who may read it. Touches the test database."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from crm.models import Direction, Membership, Message, MessageStatus, Role, User
from crm.tests.factories import ConversationFactory, MembershipFactory, MessageFactory
from messaging.models import Delivery, SendingProfile
from messaging.templatetags.messaging_format import poll_seconds
from messaging.tests.factories import profile_make

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sqs_queues")]
INBOX = "/messages/onlyfans"
HTML = {"Accept": "text/html"}


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def membership():
    return MembershipFactory()


@pytest.fixture
def client(membership) -> Client:
    return signed_in(membership.user)


@pytest.fixture
def conversation(membership):
    return ConversationFactory(fan__creator=membership.creator, fan__name="Ada Lovelace", fan__value_cents=123_456)


def outbound(conversation, status: MessageStatus, reason: str = "", due_in: timedelta = timedelta(0)) -> Message:
    message = MessageFactory(
        conversation=conversation, direction=Direction.OUT, status=status, created_at=timezone.now()
    )
    Delivery.objects.create(
        message=message,
        creator=conversation.creator,
        fan=conversation.fan,
        state=status,
        due_at=timezone.now() + due_in,
        reason=reason,
        lease_expires_at=timezone.now() if status == MessageStatus.SENDING else None,
    )
    return message


def html(client: Client, path: str, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def opened(client: Client, conversation) -> str:
    return html(client, f"{INBOX}/{conversation.pk}")


def test_a_visitor_is_asked_to_sign_in():
    assert Client().get(INBOX).headers["Location"] == f"/sign-in?next={INBOX}"


def test_the_first_paint_holds_the_conversations(client, conversation):
    conversation.unread_count = 3
    conversation.last_message = MessageFactory(conversation=conversation, text="See you on Friday")
    conversation.save()
    page = html(client, INBOX)
    for words in ("Ada Lovelace", "$1,234.56", "See you on Friday", "AL</span>", '3<span class="visually-hidden">'):
        assert words in page


def test_an_empty_inbox_says_what_to_do(client):
    page = html(client, INBOX)
    assert "No conversations yet" in page
    assert 'href="/platforms/onlyfans/import"' in page


def test_the_filters_of_the_page_are_those_of_the_list(client, conversation, membership):
    ConversationFactory(fan__creator=membership.creator, fan__name="Grace Hopper", unread_count=1)
    assert "Ada Lovelace" not in html(client, f"{INBOX}?unread=true")
    found = html(client, f"{INBOX}?search=ada")
    assert "Grace Hopper" not in found
    assert f'href="{INBOX}/{conversation.pk}?search=ada"' in found


def test_more_conversations_follow_where_the_page_ends(client, membership):
    ConversationFactory.create_batch(4, fan__creator=membership.creator)
    fragment = html(client, "/api/crm/conversations?pageSize=3", **HTML)
    assert fragment.count('class="row"') == 3
    link = fragment.rsplit('hx-get="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert html(client, link, **HTML).count('class="row"') == 1


def test_the_open_conversation_is_marked_in_the_list(client, conversation):
    assert f'href="{INBOX}/{conversation.pk}" aria-current="page"' in opened(client, conversation)


def test_a_polled_list_marks_the_conversation_that_the_page_shows(client, conversation):
    here = f"http://testserver{INBOX}/{conversation.pk}?search=a"
    fragment = html(client, "/api/crm/conversations", **HTML, **{"HX-Request": "true", "HX-Current-URL": here})
    assert 'aria-current="page"' in fragment


def test_the_thread_stands_newest_last(client, conversation):
    MessageFactory(conversation=conversation, text="second", created_at=datetime(2026, 11, 2, tzinfo=UTC))
    MessageFactory(conversation=conversation, text="first", created_at=datetime(2026, 11, 1, tzinfo=UTC))
    page = opened(client, conversation)
    assert page.index("first</div>") < page.index("second</div>")


def test_older_messages_are_a_link_that_works_without_a_script(client, conversation):
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(101):
        MessageFactory(conversation=conversation, text=f"number {n};", created_at=start + timedelta(minutes=n))
    page = opened(client, conversation)
    assert "number 0;" not in page
    link = page.split(f'href="{INBOX}/{conversation.pk}?older=')[1].split('"')[0]
    older = html(client, f"{INBOX}/{conversation.pk}?older={link}")
    assert "number 0;" in older
    assert "number 100;" not in older


def test_a_thread_without_messages_says_what_to_do(client, conversation):
    assert "Nothing said yet" in opened(client, conversation)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (MessageStatus.PENDING, "Pending"),
        (MessageStatus.QUEUED, "Queued, expected <time"),
        (MessageStatus.PARKED, "Waiting for its time, expected <time"),
        (MessageStatus.SENDING, "Sending</span>"),
        (MessageStatus.SENT, "Sent</span>"),
        (MessageStatus.FAILED, "Not sent: The fan cannot be reached."),
        (MessageStatus.UNKNOWN, "it may have reached the fan"),
        (MessageStatus.CANCELLED, "Cancelled"),
        (MessageStatus.BYPASSED, "the rate limiter is off"),
    ],
)
def test_an_outbound_message_says_in_words_how_it_is_getting_on(client, conversation, status, words):
    outbound(conversation, status, reason="The fan cannot be reached." if status == MessageStatus.FAILED else "")
    assert words in opened(client, conversation)


def test_why_a_message_failed_is_english_in_its_row_and_said_in_the_readers_language(client, conversation):
    message = outbound(conversation, MessageStatus.FAILED, reason="AWS does not know these credentials.")
    assert "AWS ne connaît pas ces identifiants." in html(
        client, f"{INBOX}/{conversation.pk}", **{"Accept-Language": "fr"}
    )
    assert message.delivery.reason == "AWS does not know these credentials."


def test_a_message_in_trouble_can_be_sent_again(client, conversation):
    message = outbound(conversation, MessageStatus.FAILED)
    assert f'hx-post="/api/onlyfans/messages/{message.pk}/retry"' in opened(client, conversation)


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER, Role.CHATTER])
def test_who_may_write_has_a_composer(conversation, role):
    teammate = MembershipFactory(creator=conversation.creator, role=role)
    assert "data-composer" in opened(signed_in(teammate.user), conversation)


def test_an_analyst_reads_along_without_a_composer(conversation):
    outbound(conversation, MessageStatus.FAILED, reason="Refused.")
    analyst = MembershipFactory(creator=conversation.creator, role=Role.ANALYST)
    page = opened(signed_in(analyst.user), conversation)
    assert "Not sent: Refused." in page
    for control in ("data-composer", "/retry", "data-mark-read"):
        assert control not in page


def test_a_strangers_conversation_does_not_exist(client):
    theirs = ConversationFactory()
    MessageFactory(conversation=theirs, text="their secret")
    assert client.get(f"{INBOX}/{theirs.pk}").status_code == 404
    assert "their secret" not in html(client, INBOX)


def test_what_a_fan_writes_is_never_markup(client, conversation):
    MessageFactory(conversation=conversation, text="<img src=x onerror=alert(1)>")
    assert "<img src=x" not in opened(client, conversation)


def test_a_form_sends_and_gets_the_message_back_as_a_fragment(client, conversation, sqs_queues):
    response = client.post(
        f"/api/crm/conversations/{conversation.pk}/messages",
        "text=Hello+there%0Aand+more",
        content_type="application/x-www-form-urlencoded",
        headers=HTML,
    )
    assert response.status_code == 202
    message = Message.objects.get()
    assert message.text == "Hello there\nand more"
    fragment = response.content.decode()
    assert f'id="message-{message.pk}"' in fragment
    assert "data-part" in fragment


def test_a_message_that_is_not_valid_is_refused_in_words(client, conversation, sqs_queues):
    response = client.post(
        f"/api/crm/conversations/{conversation.pk}/messages",
        "text=+",
        content_type="application/x-www-form-urlencoded",
        headers=HTML,
    )
    assert response.status_code == 400
    assert response.headers["Content-Type"].startswith("text/html")
    assert b"Write a message first." in response.content
    assert not Message.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_message_that_the_queue_could_not_take_is_kept_and_says_so(client, conversation, sqs_queues, settings):
    settings.SQS_RATE_LIMITER_QUEUE_URL = f"{sqs_queues.url}-gone"
    response = client.post(
        f"/api/crm/conversations/{conversation.pk}/messages",
        "text=Hello",
        content_type="application/x-www-form-urlencoded",
        headers=HTML,
    )
    assert response.status_code == 503
    assert b"data-stored" in response.content
    assert Message.objects.get().status == MessageStatus.FAILED


def test_a_retry_from_the_page_is_answered_with_a_fragment(client, conversation, sqs_queues):
    message = outbound(conversation, MessageStatus.FAILED)
    response = client.post(f"/api/onlyfans/messages/{message.pk}/retry", headers=HTML)
    assert response.status_code == 202
    assert response.headers["Content-Type"].startswith("text/html")
    message.refresh_from_db()
    assert message.status == MessageStatus.QUEUED


def test_a_session_that_ended_is_said_with_the_way_back(conversation):
    here = f"http://testserver{INBOX}/{conversation.pk}"
    response = Client().get("/api/crm/conversations", headers={**HTML, "HX-Request": "true", "HX-Current-URL": here})
    assert response.status_code == 401
    assert f'href="/sign-in?next={INBOX}/{conversation.pk}"' in response.content.decode()


def test_a_form_without_the_token_is_refused(membership, conversation):
    client = Client(enforce_csrf_checks=True)
    client.force_login(membership.user)
    address = f"/api/crm/conversations/{conversation.pk}/messages"
    response = client.post(address, "text=x", content_type="application/x-www-form-urlencoded", headers=HTML)
    assert response.status_code == 403
    assert b"data-problem" in response.content


@pytest.mark.parametrize(
    ("status", "due_in_seconds", "pause"),
    [
        (MessageStatus.PENDING, 0, 2),
        (MessageStatus.SENDING, 0, 2),
        (MessageStatus.QUEUED, 5, 2),
        (MessageStatus.QUEUED, 3_600, 15),
        (MessageStatus.PARKED, 3_600, 15),
        (MessageStatus.SENT, 0, 15),
        (MessageStatus.FAILED, 0, 15),
    ],
)
def test_a_thread_asks_often_while_something_is_about_to_change(client, conversation, status, due_in_seconds, pause):
    outbound(conversation, status, due_in=timedelta(seconds=due_in_seconds))
    assert f'data-merge="oldest-first" data-poll="{pause}"' in opened(client, conversation)


def test_an_empty_thread_asks_calmly():
    assert poll_seconds([]) == poll_seconds(None) == 15


def test_the_page_takes_few_queries_however_long_the_lists_are(
    client, conversation, membership, django_assert_max_num_queries
):
    ConversationFactory.create_batch(10, fan__creator=membership.creator)
    for _ in range(10):
        outbound(conversation, MessageStatus.SENT)
    with django_assert_max_num_queries(16):
        opened(client, conversation)


def test_the_page_keeps_to_the_content_policy(client, conversation):
    outbound(conversation, MessageStatus.FAILED)
    page = opened(client, conversation)
    assert "style=" not in page
    assert "hx-on" not in page
    assert "onclick" not in page


def paused(membership) -> SendingProfile:
    return profile_make(membership.creator, paused_at=timezone.now(), paused_reason="Reconnect the account.")


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER])
def test_a_pause_says_why_and_can_be_ended(membership, client, role):
    paused(membership)
    Membership.objects.update(role=role)
    page = html(client, INBOX)
    assert "Reconnect the account." in page
    assert "Resume sending" in page
    answer = client.post("/messages/onlyfans/resume", follow=True).content.decode()
    assert "Sending goes on." in answer
    assert "Reconnect the account." not in answer
    assert SendingProfile.objects.get().paused_at is None


@pytest.mark.parametrize("role", [Role.CHATTER, Role.ANALYST])
def test_a_pause_is_shown_to_all_and_ended_by_those_who_manage(membership, client, role):
    paused(membership)
    Membership.objects.update(role=role)
    page = html(client, INBOX)
    assert "Reconnect the account." in page
    assert "Resume sending" not in page
    assert client.post("/messages/onlyfans/resume").status_code == 403
    assert SendingProfile.objects.get().paused_at is not None


def test_a_stranger_ends_nobodys_pause_but_their_own(membership):
    paused(membership)
    stranger = signed_in(MembershipFactory().user)
    assert "Sending is not paused." in stranger.post("/messages/onlyfans/resume", follow=True).content.decode()
    assert SendingProfile.objects.get().paused_at is not None


def composed(client, conversation, form):
    """As the composer's form is sent."""
    address, kind = f"/api/crm/conversations/{conversation.pk}/messages", "application/x-www-form-urlencoded"
    return client.post(address, urlencode(form), content_type=kind, headers=HTML)


def test_the_composers_form_sends_price_and_media(client, conversation, sqs_queues):
    profile_make(conversation.creator)
    form = {"text": "Look", "priceCents": "500", "attachments[0]type": "media", "attachments[0]url": "ofapi_media_1"}
    answer = composed(client, conversation, form)
    assert answer.status_code == 202
    message = Message.objects.get()
    assert (message.price_cents, message.attachments) == (500, [{"type": "media", "url": "ofapi_media_1"}])


def test_a_price_without_media_is_named_at_its_field(client, conversation, sqs_queues):
    form = {"text": "Look", "priceCents": "500"}
    answer = composed(client, conversation, form)
    assert answer.status_code == 400
    assert 'data-field="priceCents"' in answer.content.decode()


def test_the_fan_card_holds_the_state_that_a_change_names(client, conversation):
    assert f'data-etag="&quot;{conversation.fan.version}&quot;"' in opened(client, conversation)
