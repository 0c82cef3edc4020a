"""Knows callers by their Bearer tokens: claims become a workspace and a role, by settings."""

import asyncio
import re
import time
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, NamedTuple

import structlog
from mirsal_runtime.batching import Batcher

from gateway.auth.access import Role, scopes_of
from gateway.auth.key_set import KeySet
from gateway.auth.schemas import Principal
from gateway.auth.store import KeyStore
from gateway.auth.tokens import KeyUnknown, TokenRefused, TokenRules, read_claim, verify_token
from gateway.store import CALL_SECONDS, DatabaseUnavailable

REMEMBER_SECONDS: Final = 5.0
REMEMBERED_TOKENS: Final = 10_000
_WORKSPACE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+~-]{0,127}")

log = structlog.get_logger(__name__)


class Claims(NamedTuple):
    """Which claims say what. `roles` turns the issuer's words into ours; the highest counts.

    Where `workflows` names a claim, a token without it may use none; empty, all may use all.
    """

    workspace: str
    role: str
    roles: Mapping[str, Role]
    workflows: str = ""


class _Remembered(NamedTuple):
    until: float
    version: int
    principal: Principal


class Bearer:
    """Says whose a token is. Good tokens are remembered for a moment, by their hashes."""

    def __init__(self, keys: KeySet, rules: TokenRules, claims: Claims, store: KeyStore) -> None:
        self._keys = keys
        self._rules = rules
        self._claims = claims
        self._limits: Batcher[str, int | None] = Batcher(store.read_workspace_limits)
        self._remembered: dict[bytes, _Remembered] = {}

    async def identify(self, token: str) -> Principal | None:
        """The caller, or None for a token that proves nothing.

        Raises `KeysUnavailable` and `DatabaseUnavailable`.
        """
        digest = sha256(token.encode()).digest()
        known = self._remembered.get(digest)
        now = time.monotonic()
        if known is not None and now < known.until and known.version == self._keys.version:
            return known.principal
        try:
            claims = await self._verify(token)
            principal = await self._principal_of(claims)
        except TokenRefused as error:
            self._remembered.pop(digest, None)
            log.info("token_refused", error=error)
            return None
        if len(self._remembered) >= REMEMBERED_TOKENS:
            self._remembered.clear()
        ends_in = float(claims["exp"]) + self._rules.leeway_seconds - time.time()
        until = now + min(REMEMBER_SECONDS, ends_in)
        self._remembered[digest] = _Remembered(until, self._keys.version, principal)
        return principal

    async def stop(self) -> None:
        """End what is under way."""
        await self._keys.stop()

    async def _verify(self, token: str) -> dict[str, Any]:
        keys = await self._keys.read()
        try:
            return verify_token(token, keys, self._rules, time.time())
        except KeyUnknown:
            keys = await self._keys.read(again=True)
            return verify_token(token, keys, self._rules, time.time())

    async def _principal_of(self, claims: Mapping[str, Any]) -> Principal:
        workspace = read_claim(claims, self._claims.workspace)
        if not isinstance(workspace, str) or not _WORKSPACE.fullmatch(workspace):
            raise TokenRefused("names no workspace")
        subject = str(claims["sub"])
        roles = self._roles_of(claims)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                limit = await self._limits.submit(workspace)
        except TimeoutError as error:
            raise DatabaseUnavailable("PostgreSQL did not answer in time") from error
        return Principal(
            f"jwt:{subject}",
            subject,
            workspace,
            limit,
            f"workspace:{workspace}",
            frozenset().union(*(scopes_of(role) for role in roles)),
            self._workflows_of(claims),
        )

    def _roles_of(self, claims: Mapping[str, Any]) -> set[Role]:
        """Without any that is known, the caller is known and may do nothing."""
        words = _texts_in(read_claim(claims, self._claims.role))
        return {self._claims.roles[word] for word in words if word in self._claims.roles}

    def _workflows_of(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        if not self._claims.workflows:
            return None
        return frozenset(_texts_in(read_claim(claims, self._claims.workflows)))


def _texts_in(said: object) -> list[str]:
    """The texts of a claim that is one, or a list."""
    words = said if isinstance(said, list) else [said]
    return [word for word in words if isinstance(word, str)]
