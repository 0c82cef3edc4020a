"""What settings say of themselves: a wrong one may be a secret, and what is said is logged."""

import importlib
import pkgutil

import pytest
from gateway.settings import GatewaySettings
from pydantic import ValidationError
from pydantic_settings import BaseSettings

SERVICES = (
    "gateway", "orchestrator", "email_worker", "whatsapp_worker", "sheets_worker", "code_runner",
    "webhook_worker", "mirsal_runtime",
)  # fmt: skip


def find_settings(base: type[BaseSettings] = BaseSettings) -> set[type[BaseSettings]]:
    below = base.__subclasses__()
    return {*below, *(each for one in below for each in find_settings(one))}


def test_no_settings_show_what_they_were_given() -> None:
    for name in SERVICES:
        for module in pkgutil.walk_packages(importlib.import_module(name).__path__, f"{name}."):
            if module.name.endswith("settings"):
                importlib.import_module(module.name)
    ours = {each for each in find_settings() if each.__module__.split(".")[0] in SERVICES}
    assert len(ours) > 8
    assert [each for each in ours if not each.model_config.get("hide_input_in_errors")] == []


def test_a_pepper_that_is_too_short_is_not_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_API_KEY_PEPPER", "sh0rt-s3cr3t")
    monkeypatch.setenv("MIRSAL_ID_SECRET", "an0ther-s3cr3t")
    with pytest.raises(ValidationError, match="32 characters") as refused:
        GatewaySettings()
    assert "s3cr3t" not in str(refused.value)
