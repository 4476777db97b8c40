"""Answers whether what the product is measured beside still starts, which no other test needs. Touches a process."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize("peer", ["bare", "defaults"])
def test_a_peer_of_the_hot_lists_starts(peer):
    named = {"DJANGO_SETTINGS_MODULE": "bench.api_settings", "BENCH_PEER": peer}
    command = [sys.executable, "-c", "from bench.api_peers import application, urlpatterns; assert urlpatterns"]
    ended = subprocess.run(command, env=os.environ | named, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
