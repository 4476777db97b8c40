"""Answers how fast and how frugal sending is, beside a peer or the limit itself, measured in the same run."""
