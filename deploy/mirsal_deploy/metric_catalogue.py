"""The series that the services export, by their own objects, and what scraping adds to them."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from mirsal_runtime.metric_names import MetricName
from mirsal_runtime.metrics import COLLECTORS
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.utils import floatToGoString

# What both Prometheus' own scraping and the operator's give to each series.
SCRAPED: Final = frozenset({"job", "instance"})


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
