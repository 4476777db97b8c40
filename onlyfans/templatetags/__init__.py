"""Answers nothing itself: the package of the boundary's template tags."""
