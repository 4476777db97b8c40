"""Answers whether the content of a message is judged as the platform would."""

import pytest

from crm.payloads import MEDIA_MAX, check_content, check_template, template_render


def codes(content: str = "hi", media: tuple[str, ...] = (), price: int = 0) -> list[tuple[str, str]]:
    return [(e.field, e.code) for e in check_content(content=content, media_urls=media, price_cents=price)]


@pytest.mark.parametrize(
    ("content", "media", "price"),
    [
        ("hi", (), 0),
        ("", ("abc123",), 0),
        ("x" * 5_000, (), 0),
        ("hi", ("https://a.example/b.jpg",), 300),
        ("hi", ("m",), 20_000),
    ],
)
def test_good_content_has_no_errors(content: str, media: tuple[str, ...], price: int) -> None:
    assert codes(content, media, price) == []


@pytest.mark.parametrize(
    ("content", "media", "price", "expected"),
    [
        ("", (), 0, ("content", "required")),
        (" \n", (), 0, ("content", "required")),
        ("x" * 5_001, (), 0, ("content", "too_long")),
        ("a\x00b", (), 0, ("content", "invalid")),
        ("hi", ("http://a.example/b.jpg",), 0, ("mediaUrls[0]", "invalid")),
        (
            "hi",
            (
                "ok",
                "https://",
            ),
            0,
            ("mediaUrls[1]", "invalid"),
        ),
        ("hi", ("https://a.example/a b",), 0, ("mediaUrls[0]", "invalid")),
        ("hi", ("javascript:alert(1)",), 0, ("mediaUrls[0]", "invalid")),
        ("hi", ("m",) * (MEDIA_MAX + 1), 0, ("mediaUrls", "too_many")),
        ("hi", ("m",), 299, ("priceCents", "out_of_range")),
        ("hi", ("m",), 20_001, ("priceCents", "out_of_range")),
        ("hi", (), 500, ("priceCents", "needs_media")),
    ],
)
def test_bad_content_is_named(content: str, media: tuple[str, ...], price: int, expected: tuple[str, str]) -> None:
    assert codes(content, media, price) == [expected]


@pytest.mark.parametrize(
    ("name", "handle", "expected"),
    [
        ("Ann Lee", "ann", "Hey Ann, Ann Lee (ann)"),
        (" Ann\n Lee ", "ann", "Hey Ann, Ann Lee (ann)"),
        ("Ann Lee", "", "Hey Ann, Ann Lee (Ann Lee)"),
        ("", "ann", "Hey ann, ann (ann)"),
        ("", "", "Hey there, there (there)"),
        ("{handle}", "ann", "Hey {handle}, {handle} (ann)"),
        ("\\1", "ann", "Hey \\1, \\1 (ann)"),
    ],
)
def test_a_text_is_filled_in_for_a_fan(name: str, handle: str, expected: str) -> None:
    assert template_render("Hey {firstName}, {name} ({handle})", name=name, handle=handle) == expected


@pytest.mark.parametrize("text", ["Hey {name}", "no field", "a smile :} and another :{", "{", "}{"])
def test_a_text_with_known_fields_or_none_is_well(text: str) -> None:
    assert check_template(text) == []


@pytest.mark.parametrize("field", ["{nmae}", "{Name}", "{ name }", "{}", "{{name}}", "{name|you}"])
def test_an_unknown_field_is_named_once(field: str) -> None:
    [error] = check_template(f"{field} {{name}} {field}")
    assert (error.field, error.code) == ("content", "unknown_placeholder")
    assert error.detail.startswith(f"{field} is no field of a fan")
