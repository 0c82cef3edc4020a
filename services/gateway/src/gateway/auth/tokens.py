"""JSON Web Tokens: which are genuine and meant for us, by rules that the sender cannot choose.

The algorithm is pinned by settings and keys come from the key set alone: nothing in a token's
header can say otherwise. No I/O and no clock here.
"""

import json
import math
import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey
from joserfc.jws import JWSRegistry, deserialize_compact
from mirsal_runtime.log_faults import Told

Algorithm: TypeAlias = Literal["RS256", "PS256", "ES256"]
Keys: TypeAlias = Mapping[str, Key]
"""Public keys by their ids; one without an id has the empty one."""

TOKEN_CHARACTERS: Final = 8 * 1024
RSA_BITS: Final = 2048
NAME_CHARACTERS: Final = 255
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-]+")
_KEY_KINDS: Final[Mapping[str, tuple[type[Key], str, str]]] = {
    "RS256": (RSAKey, "RSA", ""),
    "PS256": (RSAKey, "RSA", ""),
    "ES256": (ECKey, "EC", "P-256"),
}
# What a header may hold. Keys and addresses of keys, `crit` and `b64` are not among it.
_HEADERS: Final = frozenset({"alg", "kid", "typ", "cty", "x5t", "x5t#S256"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/jwt", "application/at+jwt"})


class TokenRefused(Told):
    """The token proves nothing; the text is for logs, not for who sent it."""


class KeyUnknown(TokenRefused):
    """The token names a key that is not in the set: maybe a new one."""


class TokenRules(NamedTuple):
    """What every token has to be."""

    algorithm: Algorithm
    issuer: str
    audience: str
    leeway_seconds: int


def verify_token(token: str, keys: Keys, rules: TokenRules, now: float) -> dict[str, Any]:
    """The claims of a genuine token. `now` is Unix time. Raises `TokenRefused`."""
    if len(token) > TOKEN_CHARACTERS:
        raise TokenRefused("is too long")
    segments = token.split(".")
    if len(segments) != 3:
        raise TokenRefused("has not three parts")
    header, claims = _read_object(segments[0]), _read_object(segments[1])
    _decode(segments[2])
    key = keys.get(_key_id_of(header, rules.algorithm))
    if key is None and len(keys) == 1 and "kid" not in header:
        (key,) = keys.values()
    if key is None:
        raise KeyUnknown("names no key of the set")
    registry = JWSRegistry(algorithms=[rules.algorithm], strict_check_header=False)
    try:
        deserialize_compact(token.encode("ascii"), key, registry=registry)
    except (JoseError, ValueError) as error:
        raise TokenRefused(f"is not signed by its key: {type(error).__name__}") from error
    _check_claims(claims, rules, now)
    return claims


def read_keys(raw: bytes, algorithm: Algorithm) -> dict[str, Key]:
    """The keys of a JWKS that the algorithm can use. Raises `ValueError` for no such set.

    Others are left out: symmetric ones, weak ones, those for encryption, those of other
    algorithms, and all that share an id.
    """
    document = json.loads(raw, object_pairs_hook=_once)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("is not a JSON Web Key Set")
    found: dict[str, list[Key]] = {}
    for entry in entries:
        key = _read_key(entry, algorithm)
        if key is not None:
            found.setdefault(entry.get("kid", ""), []).append(key)
    keys = {name: same[0] for name, same in found.items() if len(same) == 1}
    if not keys:
        raise ValueError(f"holds no key for {algorithm}")
    return keys


def read_claim(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, or by a path of names with dots between them; None without it."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value


def _read_key(entry: object, algorithm: Algorithm) -> Key | None:
    kind, key_type, curve = _KEY_KINDS[algorithm]
    if not isinstance(entry, dict) or entry.get("kty") != key_type:
        return None
    if curve and entry.get("crv") != curve:
        return None
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    if not isinstance(entry.get("kid", ""), str):
        return None
    public = {name: entry[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in entry}
    try:
        if kind is RSAKey and int.from_bytes(_decode(public["n"])).bit_length() < RSA_BITS:
            return None
        return kind.import_key(public)
    except (JoseError, TokenRefused, ValueError, TypeError, KeyError):
        return None


def _key_id_of(header: dict[str, Any], algorithm: Algorithm) -> str:
    if header.get("alg") != algorithm:
        raise TokenRefused("has another algorithm")
    if not header.keys() <= _HEADERS:
        raise TokenRefused("has a header that is not allowed")
    if "typ" in header and str(header["typ"]).lower() not in _TYPES:
        raise TokenRefused("is of another type")
    key_id = header.get("kid", "")
    if not isinstance(key_id, str):
        raise TokenRefused("has a kid that is no text")
    return key_id


def _check_claims(claims: dict[str, Any], rules: TokenRules, now: float) -> None:
    leeway = rules.leeway_seconds
    if claims.get("iss") != rules.issuer:
        raise TokenRefused("is of another issuer")
    audience = claims.get("aud")
    if audience != rules.audience and not (
        isinstance(audience, list) and rules.audience in audience
    ):
        raise TokenRefused("is for somebody else")
    if _time_of(claims, "exp") <= now - leeway:
        raise TokenRefused("has expired")
    for name in ("nbf", "iat"):
        if name in claims and _time_of(claims, name) > now + leeway:
            raise TokenRefused("is not valid yet")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= NAME_CHARACTERS:
        raise TokenRefused("says not whose it is")
    if not subject.isprintable():
        raise TokenRefused("has a subject that cannot be shown")


def _time_of(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"has no {name}")
    try:
        moment = float(value)
    except OverflowError as error:
        raise TokenRefused(f"has an {name} beyond all times") from error
    if not math.isfinite(moment):
        raise TokenRefused(f"has an {name} beyond all times")
    return moment


def _read_object(segment: str) -> dict[str, Any]:
    try:
        value = json.loads(
            _decode(segment).decode(), object_pairs_hook=_once, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise TokenRefused("is not JSON") from error
    if not isinstance(value, dict):
        raise TokenRefused("is not a JSON object")
    return value


def _decode(segment: str) -> bytes:
    """Base64url as the standard has it: no padding, no other character, no spare bits."""
    if not _SEGMENT.fullmatch(segment):
        raise TokenRefused("is not base64url")
    try:
        data = b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except Base64Error as error:
        raise TokenRefused("is not base64url") from error
    spare = {2: 0b1111, 3: 0b11}.get(len(segment) % 4, 0)
    if _ALPHABET.index(segment[-1]) & spare:
        raise TokenRefused("is not base64url")
    return data


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object. Raises `ValueError` where two members have one name: readers would differ."""
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member is there twice")
    return members


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON")
