"""What is sealed opens in its own place and with its own key, and nowhere else."""

import os
import socket
from pathlib import Path
from uuid import uuid4

import pytest
from mirsal_runtime.public_addresses import NotPublic, connect_public, is_public_text
from mirsal_runtime.vault.keys import (
    GivenKeys,
    KeysUnusable,
    KeyUnknown,
    parse_keys,
    write_new_key,
)
from mirsal_runtime.vault.sealing import (
    SealBroken,
    account_context,
    data_key_context,
    make_key,
    seal,
    unseal,
)
from pydantic import SecretStr

CONTEXT = account_context("acme", "support", "smtp", uuid4())
PLAIN = b'{"password": "s3cr3t"}'


def given(*keys: str) -> GivenKeys:
    return GivenKeys(SecretStr(",".join(keys)))


def test_what_was_sealed_opens_again() -> None:
    key = make_key()
    sealed = seal(key, PLAIN, CONTEXT)
    assert unseal(key, sealed, CONTEXT) == PLAIN
    assert b"s3cr3t" not in sealed
    assert seal(key, PLAIN, CONTEXT) != sealed, "a nonce is used once"


def test_a_sealed_text_is_bound_to_all_of_its_place() -> None:
    key, data_key = make_key(), uuid4()
    place = ("acme", "support", "smtp", data_key)
    sealed = seal(key, PLAIN, account_context(*place))
    others = [
        ("other", *place[1:]),
        ("acme", "sales", "smtp", data_key),
        ("acme", "support", "google", data_key),
        ("acme", "support", "smtp", uuid4()),
        # Names that would be the same text if they were only put together.
        ("acm", "esupport", "smtp", data_key),
    ]
    for other in others:
        with pytest.raises(SealBroken):
            unseal(key, sealed, account_context(*other))
    with pytest.raises(SealBroken):
        unseal(key, sealed, data_key_context("acme", data_key))


@pytest.mark.parametrize("place", [0, 1, 12, 13, -1])
def test_no_byte_may_change(place: int) -> None:
    key = make_key()
    sealed = bytearray(seal(key, PLAIN, CONTEXT))
    sealed[place] ^= 1
    with pytest.raises(SealBroken):
        unseal(key, bytes(sealed), CONTEXT)


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + bytes(12), b"\x02" + bytes(60)])
def test_what_is_no_sealed_text_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        unseal(make_key(), sealed, CONTEXT)


async def test_the_first_key_wraps_and_all_unwrap() -> None:
    old, new = write_new_key("old"), write_new_key("new")
    data_key, context = make_key(), data_key_context("acme", uuid4())
    before = await given(old).wrap(data_key, context)
    ring = given(new, old)
    assert await ring.unwrap(before, context) == data_key
    after = await ring.wrap(data_key, context)
    assert (before.key_id, after.key_id, await ring.current()) == ("old", "new", "new")
    with pytest.raises(KeyUnknown, match="'new'"):
        await given(old).unwrap(after, context)
    with pytest.raises(SealBroken):
        await ring.unwrap(before._replace(key_id="new"), context)
    with pytest.raises(SealBroken):
        await ring.unwrap(before, data_key_context("other", uuid4()))


async def test_a_wrapped_key_is_bound_to_the_id_of_its_key() -> None:
    """Two ids of one key: what one wrapped does not open as the other's."""
    _, _, text = write_new_key("a").partition(":")
    ring, context = given(f"a:{text}", f"b:{text}"), data_key_context("acme", uuid4())
    wrapped = await ring.wrap(make_key(), context)
    with pytest.raises(SealBroken):
        await ring.unwrap(wrapped._replace(key_id="b"), context)


async def test_a_file_of_keys_is_read_again_when_it_changes(tmp_path: Path) -> None:
    file, old, new = tmp_path / "keys", write_new_key("old"), write_new_key("new")
    keys = GivenKeys(SecretStr(""), file)
    with pytest.raises(KeysUnusable, match="MIRSAL_VAULT_KEYS_FILE"):
        await keys.current()
    file.write_text(f"{old}\n")
    assert await keys.current() == "old"
    draft = tmp_path / "draft"
    draft.write_text(f"{new}\n{old}\n")
    draft.replace(file)
    assert await keys.current() == "new"
    file.write_text("\n")
    os.utime(file, ns=(1, 1))
    with pytest.raises(KeysUnusable):
        await keys.current()


@pytest.mark.parametrize(
    "text",
    ["s3cr3t", "idididid:c2hvcnQ=", ":" + write_new_key("x")[2:], "a b:" + write_new_key("x")[2:]],
    ids=["a word", "a short key", "no id", "an id with a blank"],
)
def test_keys_that_are_none_are_refused_without_being_shown(text: str) -> None:
    with pytest.raises(KeysUnusable) as refused:
        parse_keys(text)
    assert text[-8:] not in str(refused.value)


def test_two_keys_may_not_have_one_id() -> None:
    with pytest.raises(KeysUnusable, match="key 2 has the id"):
        parse_keys(write_new_key("a") + "\n" + write_new_key("a"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0",
        "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:a00:1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:db8::1", "localhost", "",
        "168.63.129.16", "::ffff:168.63.129.16", "192.88.99.1", "2606::5efe:7f00:1",
    ],
)  # fmt: skip
def test_addresses_that_are_nobody_elses_are_not_public(address: str) -> None:
    assert not is_public_text(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_others_are_public(address: str) -> None:
    assert is_public_text(address)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1"])
async def test_nothing_is_connected_to_on_this_machine(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.05)
        with pytest.raises(NotPublic):
            await connect_public(host, canary.getsockname()[1])
        with pytest.raises(TimeoutError):
            canary.accept()
