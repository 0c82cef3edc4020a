"""What is said of settings that are wrong: which one, and nothing of what it was given."""

import pytest
from mirsal_runtime.log_faults import name_fault
from mirsal_runtime.setting_faults import SettingsRefused, refuse_unreadable, told_of
from mirsal_runtime.settings import ConnectorSettings
from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

CANARY = "s3cr3t-p4ssw0rd"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("postgresql://u:p@127.0.0.1:5432/m", True),
        ("postgres://u:p@127.0.0.1/m", True),
        ("postgresql://u:p@[::1]:5432/m", True),
        ("postgresql://u:p@a:5432,b,[::1]:1/m", True),
        ("postgresql://u@%2Fvar%2Frun%2Fpostgresql/m", True),
        ("postgresql:///m?host=/var/run", True),
        (CANARY, False),
        (f"postgresql+asyncpg://u:{CANARY}@127.0.0.1/m", False),
        (f"postgresql://u:{CANARY}@127.0.0.1:port/m", False),
        (f"postgresql://u:{CANARY}/x@127.0.0.1:5432/m", False),
        (f"postgresql://u:{CANARY}#x@127.0.0.1:5432/m", False),
        (f"postgresql://u:{CANARY}?x@127.0.0.1:5432/m", False),
        (f"postgresql://u:[{CANARY}@127.0.0.1:5432/m", False),
        (f"postgresql://u:{CANARY}@a:1,b:c/m", False),
    ],
)
def test_urls_of_the_database(url: str, *, may: bool) -> None:
    if may:
        refuse_unreadable(database_url=url, redis_url="redis://")
        return
    with pytest.raises(SettingsRefused, match=r"^DATABASE_URL [^:]*") as refused:
        refuse_unreadable(database_url=url, redis_url="redis://")
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("redis://127.0.0.1:6379/0", True),
        ("rediss://:p@valkey", True),
        ("unix:///run/valkey.sock", True),
        ("valkey:6379", False),
        (f"redis://:{CANARY}/x@127.0.0.1:6379/0", False),
        (f"redis://:{CANARY}@127.0.0.1:x/0", False),
    ],
)
def test_urls_of_valkey(url: str, *, may: bool) -> None:
    if may:
        refuse_unreadable(database_url="postgresql:///", redis_url=url)
        return
    with pytest.raises(SettingsRefused, match=r"^REDIS_URL ") as refused:
        refuse_unreadable(database_url="postgresql:///", redis_url=url)
    assert CANARY not in str(refused.value)


def test_a_wrong_setting_is_named_as_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_SLOTS", CANARY)
    monkeypatch.setenv("MIRSAL_TELEMETRY_KEY", "s3cr3t")
    with pytest.raises(ValidationError) as wrong:
        ConnectorSettings()
    said = name_fault(told_of(wrong.value))
    assert "MIRSAL_SLOTS: Input should be a valid integer" in said
    assert "MIRSAL_TELEMETRY_KEY: " in said
    assert "s3cr3t" not in said


def test_a_setting_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRSAL_DAILY_RECIPIENTS", f'{{"{CANARY}": ')
    with pytest.raises(SettingsError) as wrong:
        ConnectorSettings()
    said = name_fault(told_of(wrong.value))
    assert "DAILY_RECIPIENTS" in said
    assert CANARY not in said


def test_of_what_is_no_setting_only_the_kind_of_fault_is_said() -> None:
    class Letter(BaseModel):
        text: int

    with pytest.raises(ValidationError) as wrong:
        Letter.model_validate({"text": CANARY})
    said = name_fault(told_of(wrong.value))
    assert "text: int_parsing" in said
    assert CANARY not in said


def test_other_errors_stay_what_they_are() -> None:
    error = OSError("away")
    assert told_of(error) is error
