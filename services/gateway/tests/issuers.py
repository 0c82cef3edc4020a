"""An issuer of tokens: its keys, tokens of any kind, and a server of its key set."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives import hashes, hmac
from gateway.auth.tokens import TokenRules
from joserfc.jwk import Key, RSAKey
from joserfc.jws import JWSRegistry, serialize_compact

ISSUER = "https://id.example.com"
AUDIENCE = "mirsal"
RULES = TokenRules("RS256", ISSUER, AUDIENCE, 30)

FIRST = RSAKey.generate_key(2048, {"kid": "first"})
SECOND = RSAKey.generate_key(2048, {"kid": "second"})
STRANGER = RSAKey.generate_key(2048, {"kid": "first"})


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def to_json(value: Any) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


def claims_of(**changes: Any) -> dict[str, Any]:
    """Claims of a good token; those changed to `...` are left out."""
    now = int(time.time())
    good = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "sara", "exp": now + 600, "nbf": now, "iat": now,
        "workspace": "acme", "role": "operator",
    }  # fmt: skip
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def sign(
    payload: bytes,
    header: Mapping[str, Any] | None = None,
    *,
    key: Key = FIRST,
    algorithm: str = "RS256",
) -> str:
    """A token whose signature is right."""
    whole = {"alg": algorithm, "kid": "first", "typ": "JWT", **(header or {})}
    head = {name: value for name, value in whole.items() if value is not ...}
    registry = JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    return serialize_compact(head, payload, key, registry=registry)


def issue(header: Mapping[str, Any] | None = None, *, key: Key = FIRST, **claims: Any) -> str:
    """A token with these claims in place of a good one's."""
    return sign(to_json(claims_of(**claims)), header, key=key)


def sign_raw(header: bytes, payload: bytes, *, key: RSAKey = FIRST) -> str:
    """A token whose header is any bytes, with a signature that is right for them."""
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    signed = f"{encode(header)}.{encode(payload)}"
    private = key.private_key
    assert isinstance(private, RSAPrivateKey)
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encode(signature)}"


def sign_hmac(header: Mapping[str, Any], secret: bytes) -> str:
    """A token that was signed with a secret, such as the issuer's public key."""
    signed = f"{encode(to_json(header))}.{encode(to_json(claims_of()))}"
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(signed.encode())
    return f"{signed}.{encode(mac.finalize())}"


def key_set(*keys: Key) -> bytes:
    """The public halves as a JWKS."""
    return to_json({"keys": [key.as_dict(private=False) for key in keys]})


class KeyServer:
    """Serves a key set over HTTP; it may be slow or broken, and counts its calls."""

    def __init__(self) -> None:
        self.url = ""
        self.body = key_set(FIRST)
        self.status = 200
        self.delay_seconds = 0.0
        self.calls = 0

    async def answer(self, _request: web.Request) -> web.Response:
        """The key set, or what is wrong."""
        self.calls += 1
        await asyncio.sleep(self.delay_seconds)
        headers = {"location": self.url} if 300 <= self.status < 400 else {}
        return web.Response(body=self.body, status=self.status, headers=headers)


@asynccontextmanager
async def serve_keys() -> AsyncIterator[KeyServer]:
    """A server of a key set on this machine."""
    server = KeyServer()
    app = web.Application()
    app.router.add_get("/jwks.json", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/jwks.json"
    try:
        yield server
    finally:
        await runner.cleanup()
