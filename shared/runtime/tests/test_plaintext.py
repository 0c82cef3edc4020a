"""What is refused at the start: anything unprotected that leaves this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from mirsal_runtime.plaintext import (
    PlaintextRefused,
    http_fault,
    is_local,
    kafka_fault,
    postgres_fault,
    redis_fault,
)
from mirsal_runtime.settings import RuntimeSettings

SECRET = "s3cr3t-p4ssw0rd"


@pytest.mark.parametrize(
    ("host", "stays"),
    [
        ("localhost", True),
        ("LOCALHOST", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("/var/run/postgresql", True),
        ("10.0.0.1", False),
        ("::", False),
        ("", False),
        ("kafka", False),
        ("localhost.example.com", False),
        ("127.0.0.1.example.com", False),
    ],
)
def test_what_is_this_machine(host: str, *, stays: bool) -> None:
    assert is_local(host) is stays


@pytest.mark.parametrize(
    ("servers", "may"),
    [
        ("127.0.0.1:9092", True),
        ("localhost:9092,[::1]:9092", True),
        ("kafka:9092", False),
        ("127.0.0.1:9092, kafka:9092", False),
        ("[fd00::1]:9092", False),
        ("PLAINTEXT://kafka:9092", False),
        ("PLAINTEXT://127.0.0.1:9092", True),
        ("", False),
    ],
)
def test_kafka_without_an_authority(servers: str, *, may: bool) -> None:
    assert (kafka_fault(servers, has_authority=False) is None) is may
    assert kafka_fault(servers, has_authority=True) is None


@pytest.mark.parametrize(
    ("url", "environment", "may"),
    [
        ("postgresql://a@127.0.0.1:5432/m", {}, True),
        ("postgresql://a@localhost/m", {}, True),
        ("postgresql://a@[::1]:5432/m", {}, True),
        ("postgresql://a@127.0.0.1,localhost:5433/m", {}, True),
        ("postgresql:///m?host=/var/run/postgresql", {}, True),
        ("postgresql://a@%2Fvar%2Frun%2Fpostgresql/m", {}, True),
        ("postgresql:///m", {}, True),
        ("postgresql:///m", {"PGHOST": "db"}, False),
        ("postgresql:///m", {"PGHOST": "db", "PGSSLMODE": "verify-full"}, True),
        ("postgresql:///m?service=far", {}, False),
        ("postgresql://a@localhost/m?service=far", {}, True),
        ("postgresql://a@db/m", {}, False),
        ("postgresql://a@db/m?host=localhost", {}, False),
        ("postgresql://a@127.0.0.1,db/m", {}, False),
        ("postgresql://a@10.1.2.3/m", {}, False),
        ("postgresql://a@db/m?sslmode=disable", {}, False),
        ("postgresql://a@db/m?sslmode=allow", {}, False),
        ("postgresql://a@db/m?sslmode=prefer", {}, False),
        ("postgresql://a@db/m?sslmode=require", {}, False),
        ("postgresql://a@db/m?sslmode=require", {"PGSSLMODE": "verify-full"}, False),
        ("postgresql://a@db/m", {"PGSSLMODE": "require"}, False),
        ("postgresql://a@db/m?sslmode=verify-full&sslmode=require", {}, False),
        ("postgresql://a@db/m?sslmode=verify-ca", {}, True),
        ("postgresql://a@db/m?sslmode=verify_full", {}, True),
        ("postgresql://a@db/m?sslmode=verify-full&sslrootcert=/ca", {}, True),
        ("postgresql://a@[db/m", {}, False),
    ],
)
def test_postgresql(url: str, environment: dict[str, str], *, may: bool) -> None:
    assert (postgres_fault(url, environment) is None) is may


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("redis://", True),
        ("unix:///run/valkey.sock", True),
        ("redis://valkey:6379/0", False),
        ("redis://?host=valkey", False),
        ("redis://[fd00::1]/0", False),
        ("rediss://valkey:6379/0", True),
        ("rediss://valkey/0?ssl_ca_certs=/ca", True),
        ("rediss://valkey/0?ssl_cert_reqs=none", False),
        ("rediss://valkey/0?ssl_cert_reqs=optional", False),
        ("rediss://valkey/0?ssl_check_hostname=False", False),
        ("rediss://127.0.0.1/0?ssl_cert_reqs=none", True),
        ("redis://[valkey", False),
    ],
)
def test_valkey(url: str, *, may: bool) -> None:
    assert (redis_fault(url) is None) is may


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://graph.facebook.com", True),
        ("http://127.0.0.1:8026", True),
        ("http://[::1]:8026/x", True),
        ("http://simulator:8026", False),
        ("HTTP://simulator", False),
        ("http://127.0.0.1@simulator/", False),
        ("http://[simulator", False),
    ],
)
def test_urls_of_providers(url: str, *, may: bool) -> None:
    assert (http_fault("X", url) is None) is may


REMOTE = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    "DATABASE_URL": f"postgresql://mirsal:{SECRET}@db/mirsal?sslmode=require",
    "REDIS_URL": f"redis://:{SECRET}@valkey/0",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
}


@pytest.mark.parametrize("name", [*REMOTE])
def test_settings_name_what_is_wrong_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, REMOTE[name])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"authorization={SECRET}")
    with pytest.raises(PlaintextRefused, match=name) as refused:
        RuntimeSettings()
    assert "MIRSAL_ALLOW_PLAINTEXT=true" in str(refused.value)
    assert all(other not in str(refused.value) for other in {SECRET, *REMOTE} - {name})
    monkeypatch.setenv("MIRSAL_ALLOW_PLAINTEXT", "true")
    assert RuntimeSettings().allow_plaintext


def test_traces_that_carry_no_secret_may_go_to_a_collector_nearby(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", REMOTE["OTEL_EXPORTER_OTLP_ENDPOINT"])
    assert RuntimeSettings().otlp_endpoint


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REMOTE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(PlaintextRefused, match=r"KAFKA_BOOT.*DATABASE_URL.*REDIS_URL"):
        RuntimeSettings()


def test_a_process_does_not_start_and_says_why(tmp_path: Path) -> None:
    """As a gateway does: settings are read where what fails is logged without its words."""
    script = tmp_path / "process.py"
    script.write_text(
        "from mirsal_runtime.process import run_process\n"
        "from mirsal_runtime.settings import RuntimeSettings\n"
        "async def main(stop):\n"
        "    RuntimeSettings()\n"
        "run_process(main)\n"
    )
    ended = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, **REMOTE},
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 1
    assert "process_failed" in said
    assert "DATABASE_URL names another machine" in said
    assert "MIRSAL_ALLOW_PLAINTEXT" in said
    assert SECRET not in said
