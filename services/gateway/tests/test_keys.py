"""The form of API keys."""

import re
import string

from gateway.auth.keys import HINT_CHARACTERS, digest_of, generate_key, hint_of, is_key
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr


def test_keys_have_a_prefix_256_bits_and_a_checksum() -> None:
    keys = {generate_key() for _ in range(200)}
    assert len(keys) == 200
    for key in keys:
        assert re.fullmatch(r"mk_[0-9A-Za-z]{49}", key)
        assert is_key(key)


@given(st.integers(3, 51), st.sampled_from(string.ascii_letters + string.digits))
def test_a_mistyped_key_is_known_without_a_look_up(position: int, character: str) -> None:
    key = generate_key()
    mistyped = key[:position] + character + key[position + 1 :]
    assert is_key(mistyped) is (mistyped == key)


@given(st.text())
def test_any_text_may_come_as_a_key(text: str) -> None:
    assert not is_key(text)


def test_what_is_stored_lets_nobody_in() -> None:
    key = generate_key()
    stored = digest_of(key, SecretStr("p" * 32))
    assert len(stored) == 32
    assert stored != digest_of(key, SecretStr("q" * 32))
    assert key.encode() not in stored
    assert len(hint_of(key)) == HINT_CHARACTERS
