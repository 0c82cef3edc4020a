"""The table of Meta's error codes, pinned: what follows each."""

from typing import Any

import pytest
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from whatsapp_worker.errors import MEANINGS, failure_of

RETRY, THROTTLE, ACT, FAIL = RetryableError, ThrottledError, ActionRequired, PermanentError
TABLE: dict[type[AttemptFailure], tuple[int, ...]] = {
    RETRY: (1, 2, 131000, 131016, 133004, 131052, 131053),
    THROTTLE: (4, 80007, 130429, 131056, 131049, 131057),
    ACT: (
        0, 3, 10, 33, 190, *range(200, 300), 368, 2500, 130497, 131005, 131031, 131037, 131042,
        131045, 131048, 131064, 133016,
    ),
    FAIL: (
        131026, 131021, 131030, 130472, 131050, 137000,  # this person
        100, 131008, 131009, 131051, 132000, 132001, 132005, 132007, 132008, 132012, 132015,
        132016, 132018, 132068, 132069, 135000, 131063,  # this message
        131047,  # 24 hours have passed: a template is needed
    ),
}  # fmt: skip
PINNED = [(code, kind) for kind, codes in TABLE.items() for code in codes]
SECRET = "EAAB-s3cr3t-t0ken"


def failure(
    code: object, *, status: int = 400, retry_after: float | None = None, **error: Any
) -> AttemptFailure:
    found = failure_of(status, {"code": code, **error}, retry_after=retry_after, secret=SECRET)
    assert found is not None
    return found


@pytest.mark.parametrize(("code", "kind"), PINNED)
def test_table(code: int, kind: type[AttemptFailure]) -> None:
    found = failure(code)
    assert type(found) is kind
    assert found.code == f"whatsapp_{code}"


def test_every_code_of_the_table_is_pinned() -> None:
    assert sorted(MEANINGS) == sorted(code for code, _ in PINNED)


@pytest.mark.parametrize(
    ("code", "header", "wait"),
    [
        (131056, None, 6),
        (130429, None, 5),
        (80007, None, 60),
        (4, None, 60),
        (131049, None, 43_200),
        (131057, None, 3600),
        (131056, 2, 2),
        (130429, 30, 30),
        (80007, 7, 7),
        (131049, 10, 43_200),
        (131049, 80_000, 80_000),
        (131057, 10, 3600),
        (131000, None, None),
        (131000, 9, 9),
    ],
)
def test_waits(code: int, header: float | None, wait: float | None) -> None:
    found = failure(code, retry_after=header)
    assert isinstance(found, RetryableError | ThrottledError)
    assert found.retry_after == wait


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {}, FAIL),
        (500, {}, RETRY),
        (503, {}, RETRY),
        (400, {"is_transient": True}, RETRY),
        (429, {}, THROTTLE),
    ],
)
def test_a_code_that_nobody_knows(
    status: int, error: dict[str, bool], kind: type[AttemptFailure]
) -> None:
    assert type(failure(999_999, status=status, **error)) is kind


def test_a_number_that_does_not_exist_is_a_matter_of_settings() -> None:
    found = failure(100, error_subcode=33, message="Unsupported post request")
    assert isinstance(found, ActionRequired)
    assert "MIRSAL_WHATSAPP_PHONE_NUMBER_ID" in found.message


def test_message_and_details() -> None:
    found = failure(
        132001,
        message="(#132001) Template name does not exist in the translation",
        error_data={"messaging_product": "whatsapp", "details": "template (x) is\nnot there\x00"},
        error_subcode=2494073,
        fbtrace_id="Az8or2yhqkZfEZ",
        surprise={"nested": "never shown"},
    )
    assert found.message == (
        "WhatsApp refused the message: compare the node with the template approved by Meta. "
        "It said: 132001 template (x) is not there"
    )
    assert found.details == {"subcode": 2494073, "fbtraceId": "Az8or2yhqkZfEZ"}
    assert "surprise" not in repr(vars(found))


def test_a_long_text_is_cut() -> None:
    assert len(failure(131000, message="x" * 100_000).message) < 500


def test_the_token_is_hidden_wherever_meta_repeats_it() -> None:
    found = failure(190, message=f"Malformed access token {SECRET}", fbtrace_id=SECRET)
    assert "Malformed access token [hidden]" in found.message
    assert SECRET not in repr(vars(found))


@pytest.mark.parametrize("code", ["190", None, True, [1], 1.5])
def test_an_error_without_a_code_is_none_of_metas(code: object) -> None:
    assert failure_of(400, {"code": code}, retry_after=None, secret=SECRET) is None


@pytest.mark.parametrize("odd", [{"error_data": "x"}, {"message": 7}, {"fbtrace_id": []}])
def test_members_of_other_types_are_left_out(odd: dict[str, Any]) -> None:
    assert isinstance(failure(131000, **odd), RetryableError)
