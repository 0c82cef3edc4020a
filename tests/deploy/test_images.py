"""What `make images` runs."""

import pytest
from mirsal_deploy.images import build_command, main
from mirsal_deploy.places import ROOT, version_of


def test_the_image_is_the_one_that_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRSAL_BASE_IMAGE", raising=False)
    command = build_command(["docker", "build"], "email-worker", "abc")
    image = f"mirsal/email-worker:{version_of(ROOT, 'email-worker')}"
    assert command == [
        *("docker", "build", "--build-arg", "REVISION=abc"),
        *("-f", "services/email-worker/Dockerfile", "-t", image, "."),
    ]


def test_another_base_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_BASE_IMAGE", "localhost/python:3.11")
    assert "BASE=localhost/python:3.11" in build_command(["docker", "build"], "gateway", "abc")


def test_a_wrong_name_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["e-mail"]) == 2
    assert "no such image: e-mail" in capsys.readouterr().err
