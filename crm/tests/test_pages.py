"""Answers whether the CRM's pages and fragments show what their reader may see. Touches the test database."""

import pytest
from django.template.loader import render_to_string
from django.test import Client

from crm.models import Conversation, Role, User
from crm.pages import SESSION_KEY
from crm.tests.factories import ConversationFactory, CreatorFactory, FanFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
FANS = "/platforms/onlyfans/fans"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def owner() -> User:
    return MembershipFactory().user


@pytest.fixture
def creator(owner: User):
    return owner.memberships.get().creator


def page(client: Client, path: str = FANS) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_a_visitor_is_asked_to_sign_in():
    assert Client().get(FANS).headers["Location"] == f"/sign-in?next={FANS}"


def test_signing_in_takes_the_address_in_any_case_and_leads_to_the_inbox():
    user = MembershipFactory(user__email="someone@example.com").user
    user.set_password("a long enough password")
    user.save()
    form = {"username": "Someone@Example.com", "password": "a long enough password"}
    assert Client().post("/sign-in", form).headers["Location"] == "/"


def test_a_wrong_password_is_said_beside_the_form():
    response = Client().post("/sign-in", {"username": "x@example.com", "password": "wrong"})
    assert b'class="alert alert--error"' in response.content


def test_the_list_of_fans_names_the_creators_own_fans_alone(owner, creator):
    FanFactory(creator=creator, name="Ada", value_cents=123_456)
    FanFactory(name="Stranger's fan")
    html = page(signed_in(owner))
    assert "Ada" in html
    assert "$1,234.56" in html
    assert "Stranger" not in html


def test_no_fans_yet_leads_to_the_import(owner):
    html = page(signed_in(owner))
    assert "No fans yet" in html
    assert 'href="/platforms/onlyfans/import"' in html


def test_a_search_without_a_match_says_so(owner, creator):
    FanFactory(creator=creator, name="Ada")
    html = page(signed_in(owner), f"{FANS}?search=zzz")
    assert "No fan matches" in html
    assert "No fans yet" not in html


@pytest.mark.parametrize(
    ("ordering", "names"),
    [
        ("", ["Bea", "Ada", "Cleo"]),
        ("name", ["Ada", "Bea", "Cleo"]),
        ("-lastSeenAt", ["Cleo", "Ada", "Bea"]),
    ],
)
def test_fans_are_sorted_as_asked(owner, creator, ordering, names):
    FanFactory(creator=creator, name="Ada", value_cents=2, last_seen_at="2026-01-01T00:00Z")
    FanFactory(creator=creator, name="Bea", value_cents=3, last_seen_at=None)
    FanFactory(creator=creator, name="Cleo", value_cents=1, last_seen_at="2026-02-01T00:00Z")
    html = page(signed_in(owner), f"{FANS}?ordering={ordering}")
    assert sorted(names, key=lambda name: html.index(f">{name}</a></div>")) == names


@pytest.mark.parametrize("ordering", ["", "name", "-lastSeenAt"])
def test_every_fan_is_on_one_page_exactly_once(owner, creator, ordering):
    made = {fan.pk for fan in FanFactory.create_batch(7, creator=creator, value_cents=0)}
    client = signed_in(owner)
    seen: list[int] = []
    link = f"/api/crm/fans?pageSize=2&ordering={ordering}"
    while link:
        answer = client.get(link).json()
        seen += [row["id"] for row in answer["results"]]
        link = answer["next"]
    assert sorted(seen) == sorted(made)


def test_an_unknown_ordering_is_a_problem_in_words(owner):
    response = signed_in(owner).get("/api/crm/fans?ordering=mood", headers={"Accept": "text/html"})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"data-problem" in response.content


def test_the_api_answers_json_unless_html_is_asked_for(owner, creator):
    FanFactory(creator=creator)
    client = signed_in(owner)
    assert client.get("/api/crm/fans", headers={"Accept": "*/*"}).headers["Content-Type"] == "application/json"
    fragment = client.get("/api/crm/fans", headers={"Accept": "text/html"})
    assert b"<table" in fragment.content
    assert b"<html" not in fragment.content


def test_what_a_fan_calls_themselves_is_never_markup(owner, creator):
    FanFactory(creator=creator, name="<script>alert(1)</script>", tags=["<b>"])
    assert "<script>alert" not in page(signed_in(owner))


def test_a_fan_whose_name_has_no_letter_has_a_sign_for_initials(owner, creator):
    FanFactory(creator=creator, name="💥", handle="", avatar="")
    assert ">?</span>" in page(signed_in(owner))


@pytest.mark.parametrize("role", [Role.OWNER, Role.MANAGER, Role.CHATTER])
def test_writing_to_a_fan_opens_their_conversation(role):
    membership = MembershipFactory(role=role)
    fan = FanFactory(creator=membership.creator)
    response = signed_in(membership.user).post(f"{FANS}/{fan.pk}/write")
    assert response.headers["Location"] == f"/messages/onlyfans/{Conversation.objects.get(fan=fan).pk}"


def test_writing_again_opens_the_same_conversation(owner, creator):
    conversation = ConversationFactory(fan__creator=creator)
    response = signed_in(owner).post(f"{FANS}/{conversation.fan_id}/write")
    assert response.headers["Location"] == f"/messages/onlyfans/{conversation.pk}"


def test_an_analyst_reads_and_cannot_write():
    membership = MembershipFactory(role=Role.ANALYST)
    fan = FanFactory(creator=membership.creator)
    client = signed_in(membership.user)
    assert "/write" not in page(client)
    assert client.post(f"{FANS}/{fan.pk}/write").status_code == 403
    assert not Conversation.objects.exists()


def test_a_strangers_fan_does_not_exist(owner):
    assert signed_in(owner).post(f"{FANS}/{FanFactory().pk}/write").status_code == 404
    assert not Conversation.objects.exists()


def test_a_page_that_is_not_there_says_so(owner):
    response = signed_in(owner).get("/messages/onlyfans/999999")
    assert response.status_code == 404
    assert b"Nothing is here" in response.content


def test_a_form_that_has_expired_says_so():
    response = Client(enforce_csrf_checks=True).post("/sign-in", {"username": "x@example.com", "password": "x"})
    assert response.status_code == 403
    assert b"The form has expired" in response.content


def test_the_page_for_our_own_errors_needs_nothing_that_may_be_broken(django_assert_num_queries):
    with django_assert_num_queries(0):
        assert "Something broke here" in render_to_string("500.html")


@pytest.mark.parametrize(
    ("accepts", "words"), [("fr-CA, en", "Quelque chose s’est cassé ici"), ("de, en", "Something broke here")]
)
def test_our_own_errors_are_told_in_the_readers_language(monkeypatch, owner, accepts, words):
    def breaks(request):
        raise RuntimeError

    monkeypatch.setattr("crm.pages.creator_for_request", breaks)
    client = signed_in(owner)
    client.raise_request_exception = False
    answer = client.get(FANS, headers={"Accept-Language": accepts})
    assert answer.status_code == 500
    assert words in answer.content.decode()


def test_the_menu_offers_creators_to_somebody_with_several_alone(owner):
    assert 'name="creator"' not in page(signed_in(owner))
    MembershipFactory(user=owner, creator__name="Another studio")
    assert "Another studio" in page(signed_in(owner))


def test_the_chosen_creator_is_the_one_whose_fans_are_shown(owner, creator):
    other = MembershipFactory(user=owner, creator__name="ZZZ").creator
    FanFactory(creator=other, name="Only at the other")
    client = signed_in(owner)
    assert "Only at the other" not in page(client)
    assert client.post("/creator", {"creator": other.pk, "next": FANS}).headers["Location"] == FANS
    assert "Only at the other" in page(client)


def test_the_pages_own_fetches_name_the_creator(owner, creator):
    assert f'"X-Creator": "{creator.pk}"' in page(signed_in(owner))


def test_a_creator_of_others_cannot_be_chosen(owner):
    client = signed_in(owner)
    assert client.post("/creator", {"creator": CreatorFactory().pk}).status_code == 404
    assert SESSION_KEY not in client.session


def test_choosing_a_creator_never_leads_off_the_site(owner, creator):
    response = signed_in(owner).post("/creator", {"creator": creator.pk, "next": "https://evil.example/"})
    assert response.headers["Location"] == "/"


def test_a_user_without_a_creator_is_told_so():
    assert signed_in(UserFactory()).get(FANS).status_code == 404


def test_no_page_needs_an_inline_script_or_style(owner, creator):
    FanFactory(creator=creator, tags=["vip"])
    html = page(signed_in(owner))
    assert "style=" not in html
    assert "<style" not in html
    assert "hx-on" not in html
    assert html.count("<script") == html.count("<script src=") + html.count('<script type="module" ')


def fetched(client: Client, method: str, path: str) -> str:
    response = getattr(client, method)(path, headers={"Accept": "text/html"})
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(("role", "offered"), [(Role.OWNER, True), (Role.MANAGER, True), (Role.CHATTER, False)])
def test_deletion_is_offered_to_those_who_may(role, offered):
    membership = MembershipFactory(role=role)
    fan = FanFactory(creator=membership.creator)
    html = page(signed_in(membership.user))
    assert (f'hx-delete="/api/crm/fans/{fan.pk}"' in html, 'name="deleted"' in html) == (offered, offered)


def test_a_deleted_row_offers_to_undo_and_undoing_brings_the_row_back(owner, creator):
    fan = FanFactory(creator=creator, name="<Ada>")
    client = signed_in(owner)
    gone = fetched(client, "delete", f"/api/crm/fans/{fan.pk}")
    assert "&lt;Ada&gt;</strong> was deleted." in gone
    assert f'hx-post="/api/crm/fans/{fan.pk}/restore"' in gone
    assert "No fans yet" in page(client)
    assert "Restore" in page(client, f"{FANS}?deleted=true")
    back = fetched(client, "post", f"/api/crm/fans/{fan.pk}/restore")
    assert back.strip().startswith("<tr>")
    assert f'hx-delete="/api/crm/fans/{fan.pk}"' in back


def test_a_filter_that_the_form_does_not_offer_is_still_shown_in_it(owner, creator):
    html = page(signed_in(owner), f"{FANS}?minValueCents=123&activeSince=2026-01-01")
    assert '<option value="123" selected>' in html
    assert '<option value="2026-01-01" selected>' in html


def test_a_filter_without_a_match_says_so(owner, creator):
    FanFactory(creator=creator, value_cents=5)
    html = page(signed_in(owner), f"{FANS}?minValueCents=500")
    assert "No fan matches" in html


@pytest.mark.parametrize(("chosen", "kept"), [("fr", "fr"), ("tlh", "en"), ("", "en")])
def test_the_language_is_kept_for_other_browsers_if_it_is_one_of_ours(owner, chosen, kept):
    User.objects.update(language="en")
    UserFactory(language="en")
    answer = signed_in(owner).post("/language", {"language": chosen, "next": "/settings"})
    assert (answer.status_code, answer["Location"]) == (302, "/settings")
    # Nobody else's.
    assert sorted(User.objects.values_list("language", flat=True)) == sorted([kept, "en"])


def test_a_visitor_may_choose_a_language(django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = Client().post("/language", {"language": "fr", "next": "/sign-in"})
    assert answer.cookies["django_language"].value == "fr"


def test_the_filters_are_open_on_a_phone_where_one_is_in_use(owner):
    folded = 'data-fold aria-expanded="false"'
    assert folded in page(signed_in(owner), f"{FANS}?search=lea")
    assert folded not in page(signed_in(owner), f"{FANS}?search=lea&tag=vip")
