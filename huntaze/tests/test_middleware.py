"""Answers what holds for every request, whichever door it takes. Touches the test client."""

import gzip

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from huntaze.middleware import PageCompressionMiddleware

LONG = "<p>Good morning! How was your weekend?</p>" * 50


def answered(response: HttpResponse | StreamingHttpResponse):
    request = RequestFactory().get("/", headers={"Accept-Encoding": "gzip"})
    return PageCompressionMiddleware(lambda _: response)(request)


def test_a_page_goes_out_compressed():
    found = answered(HttpResponse(LONG))
    assert found.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(found.content).decode() == LONG


def test_json_and_a_stream_go_out_as_they_are():
    assert "Content-Encoding" not in answered(HttpResponse(LONG, content_type="application/json")).headers
    assert "Content-Encoding" not in answered(StreamingHttpResponse(iter([LONG]))).headers


@pytest.mark.django_db
def test_a_page_is_not_compressed_for_a_browser_that_cannot_read_it():
    assert "Content-Encoding" not in Client().get("/sign-in").headers
