"""Query parameters that a call does not have: refused, since a misspelled filter would give all."""

from collections import Counter
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from fastapi.dependencies.utils import get_flat_params
from fastapi.exceptions import RequestValidationError
from fastapi.params import Query
from fastapi.routing import APIRoute

SHOWN_CHARACTERS: Final = 64
MOST_TOLD: Final = 20


def find_query_names(route: APIRoute) -> frozenset[str]:
    """The query parameters that a route has, by FastAPI and by its own part of the document."""
    fields = get_flat_params(route.dependant)
    extra = (route.openapi_extra or {}).get("parameters", ())
    return frozenset(
        [field.alias for field in fields if isinstance(field.field_info, Query)]
        + [each["name"] for each in extra if each["in"] == "query"]
    )


def check_query(given: bytes, names: frozenset[str]) -> None:
    """Raises `RequestValidationError` for other names than these, and for one that comes twice."""
    counts = Counter(name for name, _ in parse_qsl(given.decode("latin-1"), keep_blank_values=True))
    if counts.keys() <= names and all(count == 1 for count in counts.values()):
        return
    told = ", ".join(sorted(names)) or "none"
    faults = [
        {"type": "unknown_parameter", "loc": ("query", name[:SHOWN_CHARACTERS]), "msg": text}
        for name, text in _find_faults(counts, names, told)
    ]
    raise RequestValidationError(faults[:MOST_TOLD])


def _find_faults(
    counts: Counter[str], names: frozenset[str], told: str
) -> Iterator[tuple[str, str]]:
    for name, count in counts.items():
        if name not in names:
            yield name, f"is not a parameter of this call; it has: {told}"
        elif count > 1:
            yield name, "is given more than once"
