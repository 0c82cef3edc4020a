"""What a run may use: its node's wish, within its workspace's and the installation's limits."""

import json
from pathlib import Path

import pytest
from code_runner.settings import Allowed, CodeSettings
from mirsal_contracts.nodes.code import CodeLimits
from pydantic import ValidationError

ACME = {"seconds": 2, "maxSeconds": 3, "memoryMb": 64, "maxMemoryMb": 512, "boxes": 1}


def limits(**asked: float) -> CodeLimits:
    return CodeLimits.model_validate(asked)


@pytest.fixture(params=["variable", "file"])
def settings(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> CodeSettings:
    """Limits for the workspace `acme`, by either way."""
    text = json.dumps({"acme": ACME, "calm": {"maxSeconds": 0.5}})
    if request.param == "variable":
        monkeypatch.setenv("MIRSAL_CODE_WORKSPACES", text)
    else:
        (tmp_path / "limits.json").write_text(text)
        monkeypatch.setenv("MIRSAL_CODE_WORKSPACES_FILE", str(tmp_path / "limits.json"))
    monkeypatch.setenv("MIRSAL_CODE_MAX_SECONDS", "8")
    return CodeSettings(boxes=4)


def test_a_node_gets_what_it_asks_for_up_to_the_caps(settings: CodeSettings) -> None:
    assert settings.allow("other", limits()) == Allowed(1, 128)
    assert settings.allow("other", limits(seconds=5, memoryMb=200)) == Allowed(5, 200)
    assert settings.allow("other", limits(seconds=10, memoryMb=512)) == Allowed(8, 256)


def test_a_workspace_has_limits_of_its_own_below_those_of_all(settings: CodeSettings) -> None:
    assert settings.allow("acme", limits()) == Allowed(2, 64)
    assert settings.allow("acme", limits(seconds=0.2, memoryMb=128)) == Allowed(0.2, 128)
    assert settings.allow("acme", limits(seconds=9, memoryMb=512)) == Allowed(3, 256)
    assert settings.allow("calm", limits()) == Allowed(0.5, 128)


def test_no_workspace_may_have_all_boxes(settings: CodeSettings) -> None:
    assert (settings.boxes_of("acme"), settings.boxes_of("other")) == (1, 3)


@pytest.mark.parametrize(
    "text",
    ['{"acme": {"seconds": 0}}', '{"acme": {"seconds": 11}}', '{"acme": {"secs": 1}}', "[]", "{"],
)
def test_limits_that_are_none_are_refused(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "limits.json").write_text(text)
    monkeypatch.setenv("MIRSAL_CODE_WORKSPACES_FILE", str(tmp_path / "limits.json"))
    with pytest.raises(ValidationError, match="MIRSAL_CODE_WORKSPACES_FILE") as refused:
        CodeSettings()
    assert "input_value" not in str(refused.value), "the file may be another, with secrets"


def test_a_file_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_CODE_WORKSPACES_FILE", "/nowhere/limits.json")
    with pytest.raises(ValidationError, match="cannot be read"):
        CodeSettings()
