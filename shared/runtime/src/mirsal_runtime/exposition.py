"""A registry as Prometheus reads it: its text format, or OpenMetrics with exemplars."""

from typing import Final

from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from mirsal_runtime.metrics import REGISTRY

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def expose(accept: str = "", registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """All metrics and their content type, in the format that an `Accept` header asks for."""
    if "application/openmetrics-text" in accept:
        text = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call] # has none
        return text, OPEN_METRICS
    return exposition.generate_latest(registry), TEXT
