"""Answers how a password is hashed: by argon2, a few at a time. Touches the processor and memory, no table."""

import threading

from django.contrib.auth.hashers import Argon2PasswordHasher

# Each takes 100 MB for a tenth of a second, on purpose. Forty sign-ins at one moment would be 4 GB, which no web server
# is given; whoever comes later waits for a tenth of a second or some.
AT_A_TIME = 2
_free = threading.BoundedSemaphore(AT_A_TIME)


class BoundedArgon2PasswordHasher(Argon2PasswordHasher):
    """Django's own, with its parameters and its stored form."""

    def encode(self, password: str, salt: str) -> str:
        with _free:
            return super().encode(password, salt)

    def verify(self, password: str, encoded: str) -> bool:
        with _free:
            return super().verify(password, encoded)
