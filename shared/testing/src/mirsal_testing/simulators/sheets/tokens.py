"""The token endpoint, and whose a bearer token is: Google's checks and Google's refusals."""

from __future__ import annotations

import base64
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from mirsal_testing.simulators.sheets.errors import bad_credentials, no_identity

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mirsal_testing.simulators.sheets.accounts import OAuthUser, ServiceAccount

JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
GOOGLE_TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SCOPES = frozenset(
    f"https://www.googleapis.com/auth/{name}"
    for name in ("spreadsheets", "drive", "drive.file", "bigquery")
)
CLOCK_SKEW_SECONDS = 300
MAX_JWT_SECONDS = 3600


class OAuthError(Exception):
    """A refusal of the token endpoint."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.status = status
        self.body = {"error": error, "error_description": description}


def invalid_grant(description: str = "Token has been expired or revoked.") -> OAuthError:
    return OAuthError("invalid_grant", description)


@dataclass(frozen=True, slots=True)
class _Issued:
    email: str
    until: float


class TokenOffice:
    """Gives tokens to known accounts, and knows them again. `fixed` tokens are always good."""

    def __init__(self, *, fixed: Collection[str] = (), seconds: int = 3600) -> None:
        self._fixed = frozenset(fixed)
        self._seconds = seconds
        self._accounts: dict[str, ServiceAccount] = {}
        self._people: dict[str, OAuthUser] = {}
        self._issued: dict[str, _Issued] = {}
        self._revoked: set[str] = set()

    def add_account(self, account: ServiceAccount) -> None:
        self._accounts[account.email] = account

    def add_person(self, person: OAuthUser) -> None:
        self._people[person.refresh_token] = person

    def revoke(self, email: str) -> None:
        """From now on `invalid_grant`, and 401 for the tokens that it has."""
        self._revoked.add(email)

    def restore(self, email: str) -> None:
        self._revoked.discard(email)

    def expire_tokens(self) -> int:
        """All tokens given so far are good no more. How many there were."""
        count = len(self._issued)
        self._issued.clear()
        return count

    def user_of(self, authorization: str, method: str) -> str:
        """Whose call it is. Raises GoogleError 403 without a token, 401 with a wrong one."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise no_identity()
        if token in self._fixed:
            return token
        issued = self._issued.get(token)
        if issued is None or issued.until < time.time() or issued.email in self._revoked:
            raise bad_credentials(method)
        return issued.email

    def grant(self, form: Mapping[str, Any], token_url: str) -> dict[str, object]:
        """The token endpoint's answer. Raises OAuthError."""
        kind = form.get("grant_type")
        if kind == JWT_GRANT:
            email = self._check_jwt(str(form.get("assertion", "")), token_url)
        elif kind == "refresh_token":
            email = self._check_refresh(form)
        else:
            raise OAuthError("unsupported_grant_type", f"Invalid grant_type: {kind}")
        if email in self._revoked:
            raise invalid_grant()
        token = f"ya29.{secrets.token_urlsafe(40)}"
        self._issued[token] = _Issued(email, time.time() + self._seconds)
        answer: dict[str, object] = {
            "access_token": token,
            "expires_in": self._seconds,
            "token_type": "Bearer",
        }
        if kind == "refresh_token":
            answer["scope"] = "https://www.googleapis.com/auth/spreadsheets"
        return answer

    def _check_refresh(self, form: Mapping[str, Any]) -> str:
        person = self._people.get(str(form.get("refresh_token", "")))
        if person is None:
            raise invalid_grant("Bad Request")
        if form.get("client_id") != person.client_id:
            raise OAuthError("invalid_client", "The OAuth client was not found.", 401)
        if form.get("client_secret") != person.client_secret:
            raise OAuthError("invalid_client", "Unauthorized", 401)
        return person.email

    def _check_jwt(self, assertion: str, token_url: str) -> str:
        parts = assertion.split(".")
        if len(parts) != 3:
            raise invalid_grant("Invalid JWT: Failed to parse.")
        try:
            header, claims = (orjson.loads(_decode(part)) for part in parts[:2])
            signature = _decode(parts[2])
            issuer, algorithm = claims["iss"], header["alg"]
        except (ValueError, KeyError, TypeError):
            raise invalid_grant("Invalid JWT: Failed to parse.") from None
        account = self._accounts.get(issuer)
        if account is None:
            raise invalid_grant("Invalid grant: account not found")
        if algorithm != "RS256":
            raise invalid_grant("Invalid JWT: the algorithm must be RS256.")
        try:
            account.key.public_key().verify(
                signature, ".".join(parts[:2]).encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            raise invalid_grant("Invalid JWT Signature.") from None
        _check_claims(claims, token_url)
        return account.email


def _check_claims(claims: Mapping[str, Any], token_url: str) -> None:
    if claims.get("aud") not in (token_url, GOOGLE_TOKEN_URL):
        raise invalid_grant(
            "Invalid JWT: Failed audience check. The right audience is " + token_url
        )
    now = time.time()
    issued, until = claims.get("iat"), claims.get("exp")
    timely = (
        isinstance(issued, (int, float))
        and isinstance(until, (int, float))
        and issued <= now + CLOCK_SKEW_SECONDS
        and until >= now - CLOCK_SKEW_SECONDS
        and until - issued <= MAX_JWT_SECONDS
    )
    if not timely:
        raise invalid_grant(
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
            "timeframe. Check your iat and exp values in the JWT claim."
        )
    if SCOPES.isdisjoint(str(claims.get("scope", "")).split()):
        raise OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
