"""Answers which index finds what contains some letters. Touches nothing."""

from django.contrib.postgres.indexes import GinIndex


def search_index(name: str, *columns: str) -> GinIndex:
    """Finds what contains some letters, of three at the least, by ILIKE."""
    return GinIndex(fields=columns, name=name, opclasses=["gin_trgm_ops"] * len(columns))
