"""Ids that the gateway recognises as its own."""

import time
from uuid import UUID

import pytest
import time_machine
from gateway.issued_ids import (
    FRESH_SECONDS,
    STEM_BYTES,
    IdIssuer,
    derive_stem,
    is_fresh,
    new_stem,
    same_moment,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

ISSUER = IdIssuer(SecretStr("s" * 32))


def test_an_id_is_a_uuid_of_version_7_with_its_time() -> None:
    before = time.time_ns() // 1_000_000
    found = UUID(ISSUER.name("run", "default", new_stem()))
    assert found.version == 7
    assert found.variant == "specified in RFC 4122"
    assert before <= int.from_bytes(found.bytes[:6]) <= time.time_ns() // 1_000_000


def test_an_id_is_known_for_its_kind_workspace_and_secret_only() -> None:
    stem = new_stem()
    text = ISSUER.name("run", "default", stem)
    assert ISSUER.stem_of("run", "default", text) == stem
    assert ISSUER.stem_of("run", "default", text.upper()) == stem
    assert ISSUER.stem_of("execution", "default", text) is None
    assert ISSUER.stem_of("run", "other", text) is None
    assert IdIssuer(SecretStr("t" * 32)).stem_of("run", "default", text) is None


@given(st.integers(0, 15), st.integers(1, 255))
def test_a_changed_id_is_not_known(position: int, difference: int) -> None:
    data = bytearray(UUID(ISSUER.name("run", "default", new_stem())).bytes)
    data[position] ^= difference
    assert ISSUER.stem_of("run", "default", str(UUID(bytes=bytes(data)))) is None


@given(st.text(max_size=40))
def test_any_text_may_be_asked_for(text: str) -> None:
    assert ISSUER.stem_of("run", "default", text) is None


def test_a_run_and_its_direct_execution_tell_of_each_other() -> None:
    stem = new_stem()
    execution_id = ISSUER.name("execution", "default", stem)
    found = ISSUER.stem_of("execution", "default", execution_id)
    assert found is not None
    assert ISSUER.name("run", "default", found) == ISSUER.name("run", "default", stem)


def test_derived_ids_follow_from_the_first_and_keep_its_moment() -> None:
    stem = new_stem()
    derived = derive_stem(stem, "ahmed")
    assert derived == derive_stem(stem, "ahmed")
    assert derived not in {stem, derive_stem(stem, "sara"), derive_stem(new_stem(), "ahmed")}
    assert derived[:6] == stem[:6]
    assert len(derived) == STEM_BYTES
    lowest, highest = same_moment(stem)
    for each in (stem, derived):
        assert lowest < UUID(ISSUER.name("run", "default", each)) < highest


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, True), (FRESH_SECONDS - 1, True), (FRESH_SECONDS + 1, False), (-30, True), (-90, False)],
)
def test_an_id_is_fresh_for_fifteen_minutes(seconds: int, expected: bool) -> None:
    stem = new_stem()
    with time_machine.travel(time.time() + seconds, tick=False):
        assert is_fresh(stem) is expected
