"""The series that the services export, by their own objects, and what scraping adds to them."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from mirsal_runtime.metric_names import MetricName
from mirsal_runtime.metrics import COLLECTORS
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.utils import floatToGoString

from mirsal_deploy.places import ROOT

# What both Prometheus' own scraping and the operator's give to each series.
SCRAPED: Final = frozenset({"job", "instance"})

_WORD: Final = re.compile(r"""["']([a-z0-9_]+)["']""")


class Series(NamedTuple):
    """One name that can be asked for: its labels, whether it only grows, and its buckets."""

    labels: frozenset[str]
    grows: bool
    bounds: frozenset[str] = frozenset()


_OF_PROMETHEUS: Final[Mapping[str, Series]] = {
    "up": Series(SCRAPED, grows=False),
    "ALERTS": Series(frozenset({"alertname", "alertstate", "severity"}), grows=False),
}


def read_catalogue() -> Mapping[str, Series]:
    """Every series by its name."""
    found = {
        series: each for name, made in COLLECTORS.items() for series, each in _series(name, made)
    }
    return {**found, **_OF_PROMETHEUS}


@cache
def spoken_words() -> frozenset[str]:
    """The texts in the services' code that a label may have for a value, as `"transient"`."""
    sources = (
        path for part in ("services", "shared") for path in (ROOT / part).glob("*/src/**/*.py")
    )
    return frozenset(word for path in sources for word in _WORD.findall(path.read_text("utf-8")))


def _series(name: MetricName, made: MetricWrapperBase) -> Iterator[tuple[str, Series]]:
    labels = frozenset(made._labelnames) | SCRAPED
    match made:
        case Counter():
            yield name, Series(labels, grows=True)
        case Gauge():
            yield name, Series(labels, grows=False)
        case Histogram():
            bounds = frozenset(map(_text_of, made._upper_bounds))
            yield f"{name}_bucket", Series(labels | {"le"}, grows=True, bounds=bounds)
            yield f"{name}_count", Series(labels, grows=True)
            yield f"{name}_sum", Series(labels, grows=True)
        case _:
            raise TypeError(f"{name} is a {type(made).__name__}, which has no rules here")


def _text_of(bound: float) -> str:
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call] # the library has no types
