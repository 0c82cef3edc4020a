"""What a PromQL query may ask for: series that exist, by labels and buckets that they have.

Pure: texts in, faults out. promtool says whether a query is well formed at all.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

import promql_parser as promql

from mirsal_deploy.metric_catalogue import SCRAPED, Series, spoken_words

# Functions that make sense of counters only.
_OF_COUNTERS: Final = frozenset({"rate", "irate", "increase"})
_OURS: Final = ("mirsal_", "automation_")
# Plain words, alone or as a pattern's alternatives; routes and numbers are none.
_VALUE: Final = re.compile(r"(?:^|(?<=[|]))[a-z_]{2,}(?=[|]|$)")
# Grafana's variables, as something that PromQL reads.
_VARIABLES: Final = (
    (re.compile(r"\$__(rate_interval|interval|range)"), "5m"),
    (re.compile(r"\$\{?\w+(:\w+)?\}?"), "x"),
)


def without_variables(query: str) -> str:
    """A dashboard's query with a value in each variable's place."""
    for pattern, value in _VARIABLES:
        query = pattern.sub(value, query)
    return query


def query_faults(query: str, catalogue: Mapping[str, Series]) -> list[str]:
    """What the query asks for that is not there."""
    try:
        tree = promql.parse(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    known: set[str] = set()
    faults: list[str] = []
    groups: list[list[str]] = []

    def look(node: promql.Expr) -> bool:
        match node:
            case promql.VectorSelector():
                faults.extend(_selector_faults(node, catalogue))
                if (series := catalogue.get(node.name or "")) is not None:
                    known.update(series.labels)
            case promql.Call():
                faults.extend(_call_faults(node, catalogue))
            case promql.AggregateExpr() if node.modifier is not None:
                groups.append(node.modifier.labels)
        return True

    promql.walk(tree, look)
    named = {label for group in groups for label in group}
    faults += [f"groups by {label}, which nothing here has" for label in sorted(named - known)]
    return faults


def _selector_faults(
    selector: promql.VectorSelector, catalogue: Mapping[str, Series]
) -> Iterator[str]:
    name = selector.name or ""
    series = catalogue.get(name)
    if series is None:
        yield f"asks for {name}, which no service exports"
        return
    for matcher in selector.matchers.matchers:
        if matcher.name not in series.labels:
            yield f"asks {name} for {matcher.name}, which it does not have"
        elif matcher.name == "le" and matcher.value not in series.bounds:
            yield f"asks {name} for the bucket {matcher.value}, which it does not have"
        elif name.startswith(_OURS) and matcher.name not in SCRAPED | {"le"}:
            strange = set(_VALUE.findall(matcher.value)) - spoken_words()
            yield from (f"asks {name} for {matcher.name} {each}" for each in sorted(strange))


def _call_faults(call: promql.Call, catalogue: Mapping[str, Series]) -> Iterator[str]:
    for argument in call.args:
        if not isinstance(argument, promql.MatrixSelector):
            continue
        name = argument.vector_selector.name or ""
        series = catalogue.get(name)
        if series is None:
            continue
        if series.grows and call.func.name not in _OF_COUNTERS:
            yield f"takes {call.func.name} of {name}, which is a counter"
        if not series.grows and call.func.name in _OF_COUNTERS:
            yield f"takes {call.func.name} of {name}, which is no counter"
