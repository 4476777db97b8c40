"""Answers whether the content of a message is judged as the platform would."""

import pytest

from crm.payloads import MEDIA_MAX, check_content


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
        ("hi", ("http://a.example/b.jpg",), 0, ("media_urls[0]", "invalid")),
        (
            "hi",
            (
                "ok",
                "https://",
            ),
            0,
            ("media_urls[1]", "invalid"),
        ),
        ("hi", ("https://a.example/a b",), 0, ("media_urls[0]", "invalid")),
        ("hi", ("javascript:alert(1)",), 0, ("media_urls[0]", "invalid")),
        ("hi", ("m",) * (MEDIA_MAX + 1), 0, ("media_urls", "too_many")),
        ("hi", ("m",), 299, ("price_cents", "out_of_range")),
        ("hi", ("m",), 20_001, ("price_cents", "out_of_range")),
        ("hi", (), 500, ("price_cents", "needs_media")),
    ],
)
def test_bad_content_is_named(content: str, media: tuple[str, ...], price: int, expected: tuple[str, str]) -> None:
    assert codes(content, media, price) == [expected]
