"""Answers how PostgreSQL carried a statement out. Touches the test database."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from crm.statements import statement_run


def plan_nodes(sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
    """The steps of the plan by which it was run just now, as EXPLAIN (ANALYZE, FORMAT JSON) names them."""
    [[found]] = statement_run(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", values)
    [plan] = json.loads(found) if isinstance(found, str) else found
    return list(_below(plan["Plan"]))


def _below(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", []):
        yield from _below(child)


def rows_touched(nodes: Iterable[dict[str, Any]]) -> int:
    """How many rows were looked at, whatever came of them."""
    return round(
        sum(
            (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            for node in nodes
            if "Scan" in node["Node Type"]
        )
    )
