"""How Kafka is reached by the settings; on a real broker it is tests/deploy's."""

import ssl
from pathlib import Path

import pytest
import trustme
from mirsal_runtime.kafka_connection import kafka_connection
from mirsal_runtime.settings import RuntimeSettings
from pydantic import ValidationError


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


def test_without_an_authority_it_is_plain_text() -> None:
    made = kafka_connection(RuntimeSettings(kafka_bootstrap_servers="localhost:9092"))
    assert made == {
        "bootstrap_servers": "localhost:9092",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


def test_an_authority_makes_it_tls_that_checks_who_answers(authority: Path) -> None:
    made = kafka_connection(RuntimeSettings(kafka_ca_file=authority))
    context = made["ssl_context"]
    assert made["security_protocol"] == "SSL"
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    # The one authority and no other: the system's would let anybody with a bought certificate in.
    assert len(context.get_ca_certs()) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"kafka_ca_file": "ca.pem", "kafka_certificate_file": "a.crt"},
        {"kafka_ca_file": "ca.pem", "kafka_key_file": "a.key"},
        {"kafka_certificate_file": "a.crt", "kafka_key_file": "a.key"},
    ],
)
def test_half_a_certificate_is_refused(files: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="MIRSAL_KAFKA_"):
        RuntimeSettings.model_validate(files)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        kafka_connection(RuntimeSettings(kafka_ca_file=tmp_path / "none.pem"))
