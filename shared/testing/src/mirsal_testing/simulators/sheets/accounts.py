"""Who may call: a test account with a key made at start, the tokens it gets, and OAuth's errors.

Keys exist in memory and in the credentials file that the simulator was told to write.
"""

from __future__ import annotations

import functools
import json
import os
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_EMAIL = "mirsal@sheets-simulator.iam.gserviceaccount.com"
PROJECT_ID = "sheets-simulator"
PROJECT_NUMBER = "100000000001"
CLIENT_ID = "100000000001-simulator.apps.googleusercontent.com"


@dataclass(frozen=True)
class ServiceAccount:
    """An account and its private key."""

    email: str
    key: rsa.RSAPrivateKey
    key_id: str

    @classmethod
    def make(cls, email: str = DEFAULT_EMAIL) -> ServiceAccount:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return cls(email, key, secrets.token_hex(20))

    def info(self, token_url: str) -> dict[str, str]:
        """The service-account JSON, as Google's console gives it, for this simulator."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {
            "type": "service_account",
            "project_id": PROJECT_ID,
            "private_key_id": self.key_id,
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": CLIENT_ID,
            "token_uri": token_url,
        }


@dataclass
class OAuthUser:
    """A person who has let the app in: an authorized-user JSON with a refresh token."""

    email: str
    client_id: str
    client_secret: str
    refresh_token: str

    @classmethod
    def make(cls, email: str = "person@example.com") -> OAuthUser:
        return cls(email, CLIENT_ID, secrets.token_urlsafe(18), f"1//{secrets.token_urlsafe(32)}")

    def info(self, token_url: str) -> dict[str, str]:
        return {
            "type": "authorized_user",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": self.refresh_token,
            "token_uri": token_url,
        }


@functools.cache
def default_account() -> ServiceAccount:
    """One for all simulators of this process: a key costs more than a test does."""
    return ServiceAccount.make()


def read_account(path: Path) -> ServiceAccount | None:
    """The account of a file that an earlier start has written; None where it is none of ours."""
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if info["project_id"] != PROJECT_ID:
            return None
        key = serialization.load_pem_private_key(info["private_key"].encode(), password=None)
        email, key_id = str(info["client_email"]), str(info["private_key_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return ServiceAccount(email, key, key_id) if isinstance(key, rsa.RSAPrivateKey) else None


def write_account(path: Path, account: ServiceAccount, token_url: str) -> None:
    """Whole or not at all, and readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(account.info(token_url), indent=2), encoding="utf-8")
    draft.replace(path)
