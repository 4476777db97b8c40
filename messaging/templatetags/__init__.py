"""Answers nothing itself: the package of messaging's template filters."""
