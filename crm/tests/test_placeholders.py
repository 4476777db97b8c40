"""Whether a text's placeholders are filled or refused by name, and nothing that was filled in is read again."""

import pytest

from crm.placeholders import placeholders_check, placeholders_fill, placeholders_fill_shortest
from crm.tests.placeholder_cases import FILLED, REFUSED


@pytest.mark.parametrize(
    ("name", "handle", "expected"),
    [
        ("Ann Lee", "ann", "Hey Ann, Ann Lee (ann)"),
        (" Ann\n Lee ", "ann", "Hey Ann, Ann Lee (ann)"),
        ("Ann Lee", "", "Hey Ann, Ann Lee (Ann Lee)"),
        ("", "ann", "Hey ann, ann (ann)"),
        ("", "", "Hey there, there (there)"),
        ("\\1", "ann", "Hey \\1, \\1 (ann)"),
        # A fan may be called as they like: it is never read as a template.
        ("{handle}", "ann", "Hey {handle}, {handle} (ann)"),
        ("{{name}}", "}}", "Hey {{name}}, {{name}} (}})"),
    ],
)
def test_a_text_is_filled_in_for_a_fan(name: str, handle: str, expected: str) -> None:
    assert placeholders_fill("Hey {firstName}, {name} ({handle})", name=name, handle=handle) == expected


@pytest.mark.parametrize(("text", "expected"), FILLED)
def test_what_is_well_is_filled_in(text: str, expected: str) -> None:
    assert placeholders_check(text) == []
    assert placeholders_fill(text, name="Ann Lee", handle="ann") == expected


@pytest.mark.parametrize(("text", "found", "position", "nearest"), REFUSED)
def test_what_is_not_known_is_named_with_its_place_and_what_is_right(
    text: str, found: str, position: int, nearest: str
) -> None:
    [error] = placeholders_check(text, field="text")
    assert error.field == "text"
    assert error.code in {"unknown_placeholder", "unclosed_placeholder"}
    assert error.detail.startswith(f"{found} ")
    assert f"(character {position})" in error.detail
    right = f"Did you mean {nearest}?" if nearest else "There are {name}, {firstName} and {handle}."
    assert right in error.detail


def test_each_wrong_one_is_named_once() -> None:
    errors = placeholders_check("{nmae} {name} {nmae} {nick} {")
    assert [error.detail.partition(" ")[0] for error in errors] == ["{nmae}", "{nick}"]


def test_the_shortest_is_no_longer_than_any_other_and_never_empty() -> None:
    assert placeholders_fill_shortest("{name}") == "x"
    assert placeholders_fill_shortest("") == ""
