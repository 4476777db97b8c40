"""Answers whether passwords are hashed by argon2, and how many at a time. Touches threads alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from huntaze.password_hashers import AT_A_TIME, BoundedArgon2PasswordHasher


def test_a_password_is_known_again_and_another_is_not():
    hasher = BoundedArgon2PasswordHasher()
    encoded = hasher.encode("a long password", "some-salt-of-22-letters")
    assert encoded.startswith("argon2$argon2id$")
    assert hasher.verify("a long password", encoded)
    assert not hasher.verify("another", encoded)
    # What Django's own has stored stays good.
    assert Argon2PasswordHasher().verify("a long password", encoded)


@pytest.mark.parametrize("call", ["encode", "verify"])
def test_many_sign_ins_at_one_moment_hash_a_few_at_a_time(monkeypatch, call):
    running, most, lock = 0, 0, threading.Lock()

    def slow(self, first, second):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(Argon2PasswordHasher, call, slow)
    hasher = BoundedArgon2PasswordHasher()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: getattr(hasher, call)("password", "other"), range(8)))
    assert most == AT_A_TIME
