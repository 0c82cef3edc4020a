"""Settings for a mail server of the test, and the certificate it shows."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from email_worker.mailer import Mailer
from email_worker.settings import SmtpSettings
from mirsal_testing.simulators.smtp import SmtpSimulator
from mirsal_testing.simulators.smtp.certificate import Certificate, make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of `localhost`, made for this run."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def server() -> AsyncIterator[SmtpSimulator]:
    """A mail server that takes everything."""
    async with SmtpSimulator() as simulator:
        yield simulator


@pytest.fixture
def make_settings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., SmtpSettings]:
    """Settings as the environment gives them: `make_settings(port, TLS="none")`."""

    def make(port: int, **variables: str | float | Path) -> SmtpSettings:
        chosen = {"HOST": "localhost", "PORT": port, "TLS": "none", "FROM": "hello@mirsal.example"}
        for name, value in {**chosen, **variables}.items():
            monkeypatch.setenv(f"MIRSAL_SMTP_{name}", str(value))
        return SmtpSettings()

    return make


@pytest.fixture
async def open_mailer(
    make_settings: Callable[..., SmtpSettings],
) -> AsyncIterator[Callable[..., Mailer]]:
    """Mailers without TLS that are closed at the test's end: `open_mailer(port)`."""
    opened: list[Mailer] = []

    def open_one(port: int, **variables: str | float) -> Mailer:
        opened.append(Mailer(make_settings(port, **variables), None))
        return opened[-1]

    yield open_one
    for mailer in opened:
        await mailer.close()
