"""What is sent is taken by a receiver of Standard Webhooks, and nothing else is."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

import pytest
import time_machine
from mirsal_runtime.vault.keys import GivenKeys, write_new_key
from mirsal_runtime.webhook_secrets import (
    KeysUnusable,
    SecretSealer,
    SecretUnreadable,
    make_secret,
    sign,
)
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from webhook_worker.message import make_body, make_headers
from webhook_worker.store import Delivery

SECRET, OTHER = make_secret(), make_secret()
NOW = 1_795_353_961
DELIVERY = Delivery(
    UUID("7b1c9d2e-3f40-4a51-b662-c7d8e9f0a1b2"),
    "w",
    UUID("0d3f6c1e-9a4b-4c55-8d27-6a1f0b2c3d4e"),
    "run.succeeded",
    datetime(2026, 11, 22, 13, 26, tzinfo=UTC),
    {"runId": "r", "leadId": "أحمد", "error": None},
    attempts=1,
    attempts_before=0,
    url="https://hooks.example/",
    secret=b"",
    previous_secret=None,
)
BODY = make_body(DELIVERY)


@pytest.fixture(autouse=True)
def now() -> Iterator[None]:
    """Receivers look at the clock."""
    with time_machine.travel(NOW, tick=False):
        yield


class Message(NamedTuple):
    """What arrives: the three headers and the body."""

    id: str
    timestamp: str
    signature: str
    body: bytes

    def is_taken_by(self, secret: str) -> bool:
        """Whether a receiver with this secret believes it."""
        headers = {
            "webhook-id": self.id,
            "webhook-timestamp": self.timestamp,
            "webhook-signature": self.signature,
        }
        try:
            Webhook(secret).verify(self.body, headers)
        except (WebhookVerificationError, ValueError):
            return False
        return True


def sent(*secrets: str, at: int = NOW) -> Message:
    """A message as we send it."""
    headers = make_headers(DELIVERY, secrets, BODY, at)
    return Message(
        headers["webhook-id"], headers["webhook-timestamp"], headers["webhook-signature"], BODY
    )


def spoil(signature: str, place: int) -> str:
    """The signature with one byte changed."""
    raw = bytearray(b64decode(signature.removeprefix("v1,")))
    raw[place] ^= 1
    return f"v1,{b64encode(raw).decode()}"


GOOD = sent(SECRET)
TAMPERED: list[tuple[str, Callable[[Message], Message]]] = [
    ("no id", lambda m: m._replace(id="")),
    ("another id", lambda m: m._replace(id="msg_" + "0" * 32)),
    ("the id with a dot moved in", lambda m: m._replace(id=f"{m.id}.{m.timestamp}")),
    ("the id in capitals", lambda m: m._replace(id=m.id.upper())),
    ("no timestamp", lambda m: m._replace(timestamp="")),
    ("a second later", lambda m: m._replace(timestamp=str(NOW + 1))),
    ("a second earlier", lambda m: m._replace(timestamp=str(NOW - 1))),
    ("an hour old", lambda m: m._replace(timestamp=str(NOW - 3600))),
    ("an hour ahead", lambda m: m._replace(timestamp=str(NOW + 3600))),
    ("no time", lambda m: m._replace(timestamp="now")),
    ("honestly old", lambda _: sent(SECRET, at=NOW - 301)),
    ("honestly ahead", lambda _: sent(SECRET, at=NOW + 330)),
    ("another body", lambda m: m._replace(body=b'{"type":"run.failed"}')),
    ("an empty body", lambda m: m._replace(body=b"")),
    ("a byte more", lambda m: m._replace(body=m.body + b" ")),
    ("a byte less", lambda m: m._replace(body=m.body[:-1])),
    ("another word", lambda m: m._replace(body=m.body.replace(b"succeeded", b"failed"))),
    ("other spaces", lambda m: m._replace(body=m.body.replace(b":", b": "))),
    ("no signature", lambda m: m._replace(signature="")),
    ("another version", lambda m: m._replace(signature=m.signature.replace("v1", "v2"))),
    ("the first byte", lambda m: m._replace(signature=spoil(m.signature, 0))),
    ("the last byte", lambda m: m._replace(signature=spoil(m.signature, 31))),
    ("half a signature", lambda m: m._replace(signature=m.signature[:24])),
    ("nothing after v1", lambda m: m._replace(signature="v1,")),
    ("in hexadecimal", lambda m: m._replace(signature="v1," + b64decode(m.signature[3:]).hex())),
    ("with another secret", lambda _: sent(OTHER)),
    ("two others' signatures", lambda _: sent(OTHER, make_secret())),
    (
        "the secret's text as the key",
        lambda m: m._replace(
            signature=sign([b64encode(SECRET.encode()).decode()], m.id, NOW, BODY)
        ),
    ),
]


@pytest.mark.parametrize(("what", "tamper"), TAMPERED, ids=[name for name, _ in TAMPERED])
def test_what_was_tampered_with_is_refused(what: str, tamper: Callable[[Message], Message]) -> None:
    assert GOOD.is_taken_by(SECRET)
    assert not tamper(GOOD).is_taken_by(SECRET), what


def test_at_least_so_many_cases() -> None:
    assert len(TAMPERED) >= 20


def test_while_two_secrets_live_either_takes_it() -> None:
    message = sent(SECRET, OTHER)
    assert message.is_taken_by(SECRET)
    assert message.is_taken_by(OTHER)
    assert not message.is_taken_by(make_secret())


def test_our_signature_is_the_reference_s_to_the_byte() -> None:
    moment = datetime.fromtimestamp(NOW, tz=UTC)
    theirs = Webhook(SECRET).sign(GOOD.id, moment, BODY.decode())
    assert theirs == GOOD.signature


async def test_an_older_key_opens_and_the_first_one_seals() -> None:
    """Also the keys that the vault's took the place of, by whoever has some."""
    owner = ("w", UUID(int=1))
    first, second = (f"{name}:{b64encode(name.encode() * 32).decode()}" for name in "ab")
    vault = GivenKeys(SecretStr(write_new_key("v")))
    old = SecretSealer(vault, SecretStr(first))
    both = SecretSealer(vault, SecretStr(f"{second}, {first}"))
    assert await both.open(await old.seal(SECRET, *owner), *owner) == SECRET
    assert (await both.seal(SECRET, *owner)).startswith(b"b:")
    new = SecretSealer(vault, SecretStr(""))
    sealed = await new.seal(SECRET, *owner)
    assert sealed.startswith(b"\x02v:")
    assert await both.open(sealed, *owner) == SECRET
    with pytest.raises(SecretUnreadable, match="'a'"):
        await new.open(await old.seal(SECRET, *owner), *owner)


async def test_what_the_vault_sealed_opens_in_its_place_only() -> None:
    place = ("w", UUID(int=1))
    first, second = write_new_key("a"), write_new_key("b")
    sealer = SecretSealer(GivenKeys(SecretStr(first)), SecretStr(""))
    sealed = await sealer.seal(SECRET, *place)
    assert SECRET.encode() not in sealed
    for other in (("v", UUID(int=1)), ("w", UUID(int=2))):
        with pytest.raises(SecretUnreadable, match="not sealed for"):
            await sealer.open(sealed, *other)
    with pytest.raises(SecretUnreadable, match="not sealed for"):
        await sealer.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), *place)
    renamed = sealed.replace(b"\x02a:", b"\x02b:", 1)
    both = SecretSealer(GivenKeys(SecretStr(f"{second},{first}")), SecretStr(""))
    assert await both.open(sealed, *place) == SECRET
    with pytest.raises(SecretUnreadable, match="not sealed for"):
        await both.open(renamed, *place)
    keyless = SecretSealer(GivenKeys(SecretStr("")), SecretStr(""))
    assert "MIRSAL_VAULT_KEYS" in str(await keyless.check())
    assert await sealer.check() is None
    for work in (keyless.open(sealed, *place), keyless.seal(SECRET, *place)):
        with pytest.raises(SecretUnreadable, match="MIRSAL_VAULT_KEYS"):
            await work


@pytest.mark.parametrize(
    "keys",
    [
        "key-a",
        "key-a:b",
        "a:" + b64encode(b"short").decode(),
        f"a/b:{b64encode(bytes(32)).decode()}",
    ],
)
def test_keys_that_make_no_sense_end_the_start(keys: str) -> None:
    with pytest.raises(KeysUnusable) as refused:
        SecretSealer(GivenKeys(SecretStr("")), SecretStr(keys))
    assert keys not in str(refused.value)
