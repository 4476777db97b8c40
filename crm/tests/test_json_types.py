"""Bodies: known members, JSON types, choices by name; forms still as text."""

from typing import Any

import pytest
from django.http import QueryDict
from rest_framework import serializers

from crm.json_types import JsonTypes, MomentField, QueryParameters, request_name


class Inner(JsonTypes):
    count = serializers.IntegerField(required=False)


class Item(JsonTypes):
    stands_for = "url"

    url = serializers.CharField()


class Outer(JsonTypes):
    text = serializers.CharField(required=False, max_length=5)
    count = serializers.IntegerField(required=False, allow_null=True)
    flag = serializers.BooleanField(required=False)
    moment = serializers.DateTimeField(required=False)
    words = serializers.ListField(child=serializers.CharField(), required=False)
    inner = Inner(required=False)
    items = Item(source="media_urls", many=True, required=False)
    kind = serializers.ChoiceField(choices=["fans", "earnings"], required=False)
    made = serializers.IntegerField(read_only=True)
    at = MomentField(source="scheduled_at", required=False)


def codes(serializer: Any) -> dict[str, str]:
    assert not serializer.is_valid()
    return {name: found[0].code for name, found in serializer.errors.items()}


def test_blanks_around_a_text_count_as_its_characters() -> None:
    serializer = Outer(data={"text": "  long"})
    assert not serializer.is_valid()
    assert serializer.errors["text"][0].code == "max_length"
    assert Outer(data={"text": " long"}).is_valid()


@pytest.mark.parametrize(
    "body",
    [
        {"text": 5},
        {"count": "5"},
        {"count": True},
        {"count": 1.5},
        {"flag": "true"},
        {"flag": 1},
        {"moment": 0},
        {"words": ["a", 1]},
        {"inner": {"count": "1"}},
    ],
)
def test_a_value_of_another_type_is_named(body: dict[str, Any]) -> None:
    serializer = Outer(data=body)
    assert not serializer.is_valid()
    assert set(serializer.errors) == set(body)


def test_values_of_the_right_types_pass() -> None:
    body = {"text": "5", "count": None, "flag": False, "moment": "2026-03-01T18:30:00Z", "words": ["a"]}
    assert Outer(data=body | {"inner": {"count": 1}}).is_valid()


def test_the_place_in_a_list_is_named() -> None:
    serializer = Outer(data={"words": ["a", 1]})
    assert not serializer.is_valid()
    assert list(serializer.errors["words"]) == [1]


def test_a_form_is_text_throughout() -> None:
    serializer = Outer(data=QueryDict("text=5&count=5&flag=true"))
    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data["count"] == 5


def test_an_unknown_member_is_named_with_the_nearest_right_one() -> None:
    serializer = Outer(data={"txt": "a", "text": 5, "colour": 1})
    assert codes(serializer) == {"txt": "unknown_field", "colour": "unknown_field", "text": "wrong_type"}
    assert "“text”" in serializer.errors["txt"][0]
    assert "text, count, flag" not in serializer.errors["txt"][0]
    assert "words" in serializer.errors["colour"][0]


def test_an_unknown_member_further_in_is_named_where_it_is() -> None:
    serializer = Outer(data={"inner": {"cout": 1}, "items": [{"url": "a"}, {"url": "b", "typ": "c"}]})
    assert not serializer.is_valid()
    assert "“count”" in serializer.errors["inner"]["cout"][0]
    assert serializer.errors["items"][1]["typ"][0].code == "unknown_field"


def test_what_the_system_sets_is_no_ones_to_give() -> None:
    assert codes(Outer(data={"made": 1})) == {"made": "read_only"}


def test_a_form_is_held_to_its_names_too() -> None:
    form = QueryDict("txt=a&csrfmiddlewaretoken=x&words=a&words=b&text=a&text=b&count[0]=1")
    assert codes(Outer(data=form)) == {"txt": "unknown_field", "text": "repeated", "count[0]": "unknown_field"}
    assert Outer(data=QueryDict("text=a&items[0]url=x&csrfmiddlewaretoken=x")).is_valid()


def test_thousands_of_unknown_members_are_not_all_echoed() -> None:
    serializer = Outer(data={f"x{number}": 1 for number in range(5_000)})
    assert not serializer.is_valid()
    assert len(serializer.errors) == 20


def test_the_refusal_of_a_choice_names_the_choices() -> None:
    for serializer in (Outer(data={"kind": "posts"}), Outer(data=QueryDict("kind=posts"))):
        assert codes(serializer) == {"kind": "invalid_choice"}
        assert str(serializer.errors["kind"][0]) == "“posts” is not one of the choices: fans, earnings."

    class Filters(QueryParameters):
        unread = serializers.BooleanField(required=False)

    filters = Filters(data=QueryDict("unread=perhaps"))
    assert codes(filters) == {"unread": "invalid"}
    assert "true or false" in filters.errors["unread"][0]


@pytest.mark.parametrize("moment", ["2090-03-01T18:30:00", "2090-03-01", "2090-03-01 18:30"])
def test_a_moment_without_an_offset_is_refused(moment: str) -> None:
    assert codes(Outer(data={"at": moment})) == {"at": "make_aware"}


def test_a_moment_with_an_offset_is_taken() -> None:
    serializer = Outer(data={"at": "2090-03-01T19:30:00+01:00"})
    assert serializer.is_valid(), serializer.errors
    assert serializer.validated_data["scheduled_at"].isoformat() == "2090-03-01T18:30:00+00:00"


@pytest.mark.parametrize(
    ("domain", "asked"),
    [
        ("text", "text"),
        ("scheduled_at", "at"),
        ("media_urls", "items"),
        ("media_urls[2]", "items[2].url"),
        ("inner.count", "inner.count"),
        ("elsewhere[1].deep", "elsewhere[1].deep"),
        ("[3].scheduled_at", "[3].scheduled_at"),
    ],
)
def test_a_field_of_the_domain_is_said_in_the_requests_words(domain: str, asked: str) -> None:
    assert request_name(Outer(), domain) == asked
