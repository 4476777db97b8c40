"""Answers in the vendor's place on this machine: the same HTTP contract, fans of its own, nothing sent to OnlyFans.
Touches its own SQLite file and its own port; imports nothing of the product."""
