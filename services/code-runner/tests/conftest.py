"""Boxes for the tests that need them."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from code_runner.artefacts import native_files
from code_runner.rehearsal import Machine, open_machine


@pytest.fixture(scope="session")
def artefacts(code_guests: Path) -> Mapping[str, Path]:
    """The pre-compiled guests."""
    return native_files(code_guests)


@pytest.fixture
async def machine(artefacts: Mapping[str, Path]) -> AsyncIterator[Machine]:
    """A crew of three."""
    async with open_machine(artefacts) as running:
        yield running
