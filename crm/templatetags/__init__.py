"""Answers nothing itself: the package of the CRM's template filters."""
