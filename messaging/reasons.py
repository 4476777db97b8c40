"""Answers why a message stands as it does, where the words hold a value: what its row keeps in English.
Touches nothing.

The web process loads this at its start (messaging/apps.py), so that pages know what a worker wrote.
"""

from crm.stored_words import kept_sentence

# Of a message that was written for an account which another took the place of.
ACCOUNT_CHANGED = "account_changed"
GIVEN_UP = kept_sentence(
    "The queue handed it out %(times)s times and no worker came to an end with it. You can send it again."
)
NOT_IN_CHAT = kept_sentence(
    "The chat was read at %(at)s and the message was not there then. Look again before you send it again."
)
NOT_SURELY_IN_CHAT = kept_sentence(
    "The chat was read at %(at)s. It holds this text, and nobody can say whether from this message. Look there."
)
LOOKUP_FAILED = kept_sentence("The fan's id could not be looked up. %(reason)s")
VENDOR_REFUSED = kept_sentence("The vendor refused it with HTTP %(status)s.")
VENDOR_TROUBLED = kept_sentence("The vendor answered HTTP %(status)s.")
