"""Answers whether bodies are taken by their JSON types, and forms still as text."""

from typing import Any

import pytest
from django.http import QueryDict
from rest_framework import serializers

from crm.json_types import JsonTypes


class Inner(JsonTypes):
    count = serializers.IntegerField(required=False)


class Outer(JsonTypes):
    text = serializers.CharField(required=False, max_length=5)
    count = serializers.IntegerField(required=False, allow_null=True)
    flag = serializers.BooleanField(required=False)
    moment = serializers.DateTimeField(required=False)
    words = serializers.ListField(child=serializers.CharField(), required=False)
    inner = Inner(required=False)


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
