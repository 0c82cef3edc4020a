"""A throw-away TLS certificate for 127.0.0.1 and localhost, made by the `openssl` command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OPENSSL_SECONDS = 30


@dataclass(frozen=True)
class Certificate:
    """Self-signed: who shall trust it takes `certificate` as its authority."""

    certificate: Path
    key: Path

    def server_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def make_certificate(folder: Path) -> Certificate:
    """Writes `certificate.pem` and `key.pem` into the folder. Valid for a day.

    Raises FileNotFoundError where there is no `openssl` command.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        raise FileNotFoundError("TLS tests need the openssl command: install it")
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    command = [
        openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
        "-nodes", "-days", "1", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
        "-keyout", str(made.key), "-out", str(made.certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=OPENSSL_SECONDS)  # noqa: S603 - fixed words and our own paths
    return made
