"""What the storms share: a receiver of spans, and a stack that sends its own there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mirsal_testing.otlp import OtlpReceiver
from mirsal_testing.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def traced_stack(mirsal_server_folder: Path, otlp: OtlpReceiver) -> Iterator[Stack]:
    """Two gateways and one of each other part."""
    settings = {
        "MIRSAL_RATE_LIMIT_PER_MINUTE": "0",
        "MIRSAL_GATEWAYS": "2",
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.url,
    }
    with Stack(mirsal_server_folder / "storm", environment=settings) as running:
        yield running
