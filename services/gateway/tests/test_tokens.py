"""Tokens: what is genuine, and a corpus of what looks like it; none of that gets through."""

import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from gateway.auth.tokens import (
    Algorithm,
    KeyUnknown,
    TokenRefused,
    read_claim,
    read_keys,
    verify_token,
)
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, Key, OctKey, RSAKey

from services.gateway.tests.issuers import (
    AUDIENCE,
    FIRST,
    ISSUER,
    RULES,
    SECOND,
    STRANGER,
    claims_of,
    encode,
    issue,
    key_set,
    sign,
    sign_hmac,
    sign_raw,
    to_json,
)

KEYS = read_keys(key_set(FIRST, SECOND), "RS256")
PEM = FIRST.as_pem(private=False)
DER = FIRST.as_der(private=False)
GOOD = issue()
HEAD, BODY, SIGNATURE = GOOD.split(".")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
CLAIMS = to_json(claims_of())
HEADER = to_json({"alg": "RS256", "kid": "first"})
NOW = int(time.time())
STRANGERS_JWK = STRANGER.as_dict(private=False)


def flip(text: str, index: int) -> str:
    """The text with another letter at one place."""
    return text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]


def unsigned(header: dict[str, Any], signature: str = "") -> str:
    """A token with a good payload and any signature."""
    return f"{encode(to_json(header))}.{BODY}.{signature}"


def with_claims(**claims: Any) -> str:
    """The good token with other claims under its old signature."""
    return f"{HEAD}.{encode(to_json(claims_of(**claims)))}.{SIGNATURE}"


TAMPERED: dict[str, str] = {
    # No signature, or one of another algorithm.
    "alg none": unsigned({"alg": "none", "kid": "first"}),
    "alg none with a signature": unsigned({"alg": "none", "kid": "first"}, SIGNATURE),
    "alg None": unsigned({"alg": "None", "kid": "first"}),
    "alg nOnE with a byte": unsigned({"alg": "nOnE", "kid": "first"}, "AA"),
    "no alg": unsigned({"kid": "first"}, SIGNATURE),
    "alg null": unsigned({"alg": None, "kid": "first"}, SIGNATURE),
    "alg a list": unsigned({"alg": ["RS256"], "kid": "first"}, SIGNATURE),
    "alg lower case": unsigned({"alg": "rs256", "kid": "first"}, SIGNATURE),
    "HS256 with the public PEM": sign_hmac({"alg": "HS256", "kid": "first"}, PEM),
    "HS256 with the public PEM, stripped": sign_hmac({"alg": "HS256", "kid": "first"}, PEM.strip()),
    "HS256 with the public DER": sign_hmac({"alg": "HS256", "kid": "first"}, DER),
    "HS256 with the JWKS": sign_hmac({"alg": "HS256", "kid": "first"}, key_set(FIRST)),
    "HS256 with nothing": sign_hmac({"alg": "HS256", "kid": "first"}, b""),
    "RS256 said, HMAC made": sign_hmac({"alg": "RS256", "kid": "first"}, PEM),
    "RS512": sign(CLAIMS, key=FIRST, algorithm="RS512"),
    "PS256": sign(CLAIMS, key=FIRST, algorithm="PS256"),
    # Another key, or one that the token brings.
    "another's key": issue(key=STRANGER),
    "the other key's kid": issue({"kid": "second"}),
    "kid of a file": issue({"kid": "../../../../dev/null"}),
    "kid of a query": issue({"kid": "first' UNION SELECT 'x"}),
    "kid with NUL": issue({"kid": "first\0"}),
    "kid empty": issue({"kid": ""}),
    "no kid": issue({"kid": ...}),
    "kid a number": sign_raw(to_json({"alg": "RS256", "kid": 1}), CLAIMS),
    "kid a list": sign_raw(to_json({"alg": "RS256", "kid": ["first"]}), CLAIMS),
    "brings its jwk": issue({"jwk": STRANGERS_JWK}, key=STRANGER),
    "brings its jku": issue({"jku": "https://evil.example/jwks.json"}, key=STRANGER),
    "jku beside a good signature": issue({"jku": "https://evil.example/jwks.json"}),
    "x5u": issue({"x5u": "https://evil.example/cert.pem"}),
    "x5c": issue({"x5c": ["MIIB"]}),
    # Headers that change what is signed or read.
    "crit unknown": sign_raw(
        to_json({"alg": "RS256", "kid": "first", "crit": ["x"], "x": 1}), CLAIMS
    ),
    "crit empty": sign_raw(to_json({"alg": "RS256", "kid": "first", "crit": []}), CLAIMS),
    "b64 false": sign_raw(
        to_json({"alg": "RS256", "kid": "first", "b64": False, "crit": ["b64"]}), CLAIMS
    ),
    "zip": issue({"zip": "DEF"}),
    "enc": issue({"enc": "A256GCM"}),
    "typ of another use": issue({"typ": "logout+jwt"}),
    "typ a list": sign_raw(to_json({"alg": "RS256", "kid": "first", "typ": ["JWT"]}), CLAIMS),
    "alg twice": sign_raw(b'{"alg":"none","alg":"RS256","kid":"first"}', CLAIMS),
    "kid twice": sign_raw(b'{"alg":"RS256","kid":"second","kid":"first"}', CLAIMS),
    "header a list": sign_raw(b'["RS256"]', CLAIMS),
    "header no JSON": sign_raw(b"RS256", CLAIMS),
    "header not UTF-8": sign_raw(b'{"alg":"RS256","kid":"\xff"}', CLAIMS),
    # Changed after it was signed.
    "payload changed": with_claims(role="owner"),
    "workspace changed": with_claims(workspace="other"),
    "header changed": f"{encode(HEADER)}.{BODY}.{SIGNATURE}",
    "signature's first letter": f"{HEAD}.{BODY}.{flip(SIGNATURE, 0)}",
    "signature's last letters": f"{HEAD}.{BODY}.{flip(SIGNATURE, len(SIGNATURE) - 2)}",
    "signature's spare bits": GOOD[:-1] + LETTERS[LETTERS.index(GOOD[-1]) + 1],
    "signature truncated": GOOD[:-10],
    "signature gone": f"{HEAD}.{BODY}.",
    "signature of zeros": f"{HEAD}.{BODY}.{'A' * len(SIGNATURE)}",
    "signature twice": f"{HEAD}.{BODY}.{SIGNATURE}{SIGNATURE}",
    # The same token, written in another way.
    "padded": GOOD + "==",
    "standard alphabet": f"{HEAD}.{BODY}.{SIGNATURE.replace('-', '+').replace('_', '/')}+",
    "two parts": f"{HEAD}.{BODY}",
    "four parts": GOOD + ".AA",
    "five parts": f"{HEAD}.AA.AA.{BODY}.{SIGNATURE}",
    "a line break in it": f"{HEAD}.{BODY[:10]}\n{BODY[10:]}.{SIGNATURE}",
    "a space after it": GOOD + " ",
    "letters that look like it": GOOD.replace("e", "\u0435"),
    "JSON serialisation": json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    "nothing": "",
    "dots": "..",
    "long": issue(note="x" * 9_000),
    # Genuine, but not good, not now, or not for us.
    "expired": issue(exp=NOW - 31),
    "expired long ago": issue(exp=0),
    "no exp": issue(exp=...),
    "exp a text": issue(exp=str(NOW + 600)),
    "exp true": issue(exp=True),
    "exp null": issue(exp=None),
    "exp beyond all numbers": sign(CLAIMS.replace(b'"exp": ', b'"exp": 1e999, "was": ')),
    "exp of 400 digits": issue(exp=10**400),
    "exp NaN": sign(CLAIMS.replace(b'"exp": ', b'"exp": NaN, "was": ')),
    "exp twice": sign(CLAIMS[:-1] + b', "exp": %d}' % (NOW + 9_000)),
    "nbf in the future": issue(nbf=NOW + 86_400),
    "nbf a text": issue(nbf="0"),
    "iat in the future": issue(iat=NOW + 86_400),
    "another audience": issue(aud="billing"),
    "audience longer": issue(aud=AUDIENCE + "2"),
    "other audiences": issue(aud=["billing", "crm"]),
    "audience an object": issue(aud={AUDIENCE: True}),
    "no audience": issue(aud=...),
    "another issuer": issue(iss="https://id.example.com.evil.example"),
    "issuer with a slash": issue(iss=ISSUER + "/"),
    "issuer a list": issue(iss=[ISSUER]),
    "no issuer": issue(iss=...),
    "no subject": issue(sub=...),
    "subject a number": issue(sub=5),
    "subject empty": issue(sub=""),
    "subject with a line break": issue(sub="sara\nadmin"),
    "subject long": issue(sub="s" * 256),
    "aud twice": sign(CLAIMS[:-1] + b', "aud": "mirsal"}'),
    "a member twice, deep": sign(CLAIMS[:-1] + b', "x": {"a": 1, "a": 2}}'),
    "payload a list": sign(b"[]"),
    "payload no JSON": sign(b"claims"),
    "payload deep": sign(b"[" * 3_000),
    "payload empty": sign(b" "),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_only_looks_like_a_token_does_not_get_through(name: str) -> None:
    with pytest.raises(TokenRefused):
        verify_token(TAMPERED[name], KEYS, RULES, NOW)


def test_the_corpus_differs_from_a_good_token() -> None:
    assert len(set(TAMPERED.values())) == len(TAMPERED) > 60
    assert verify_token(GOOD, KEYS, RULES, NOW)["sub"] == "sara"


@pytest.mark.parametrize(
    "token",
    [
        issue(),
        issue({"kid": "second"}, key=SECOND),
        issue({"typ": "at+jwt"}),
        issue({"typ": ..., "x5t": "abc"}),
        issue(aud=["billing", AUDIENCE]),
        issue(exp=NOW - 5),
        issue(nbf=NOW + 25),
        issue(nbf=..., iat=...),
        issue(exp=NOW + 600.5),
        issue(sub="سارة"),
    ],
)
def test_what_is_good_gets_through(token: str) -> None:
    assert verify_token(token, KEYS, RULES, NOW)["iss"] == ISSUER


def test_of_one_key_a_token_need_not_name_it() -> None:
    keys = read_keys(key_set(FIRST), "RS256")
    assert verify_token(issue({"kid": ...}), keys, RULES, time.time())
    with pytest.raises(KeyUnknown):
        verify_token(issue({"kid": "other"}), keys, RULES, time.time())


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", FIRST),
        ("PS256", FIRST),
        ("ES256", ECKey.generate_key("P-256", {"kid": "first"})),
    ],
)
def test_each_algorithm_can_be_the_pinned_one(algorithm: Algorithm, key: Key) -> None:
    rules = RULES._replace(algorithm=algorithm)
    keys = read_keys(key_set(key), algorithm)
    token = sign(CLAIMS, key=key, algorithm=algorithm)
    assert verify_token(token, keys, rules, NOW)["sub"] == "sara"
    broken = token[:-20] + flip(token[-20:], 5)
    with pytest.raises(TokenRefused):
        verify_token(broken, keys, rules, NOW)
    with pytest.raises(TokenRefused):
        verify_token(GOOD, keys, rules._replace(algorithm="PS256"), NOW)


def test_keys_that_the_algorithm_cannot_use_are_left_out() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - is refused
    numbers = weak.public_key().public_numbers()
    modulus = encode(numbers.n.to_bytes(128))
    others: list[Key] = [
        ECKey.generate_key("P-256", {"kid": "curve"}),
        RSAKey.generate_key(2048, {"kid": "encrypts", "use": "enc"}),
        RSAKey.generate_key(2048, {"kid": "other", "alg": "RS512"}),
    ]
    document = json.loads(key_set(FIRST, *others))
    secret = OctKey.generate_key(256, {"kid": "secret"}).as_dict()
    document["keys"] += [secret, "text", {}, {"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "w"}]
    document["keys"].append({"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"})
    assert read_keys(to_json(document), "RS256").keys() == {"first"}


def test_an_id_of_two_keys_is_no_key() -> None:
    assert read_keys(key_set(FIRST, STRANGER, SECOND), "RS256").keys() == {"second"}


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [], "keys": []}']
)
def test_what_is_no_key_set_is_an_error(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_keys(raw, "RS256")


@given(st.text() | st.binary().map(encode) | st.text("._-AZaz019", max_size=60))
def test_any_text_may_come_as_a_token(text: str) -> None:
    for token in (text, f"{text}.{BODY}.{SIGNATURE}", f"{HEAD}.{text}.{SIGNATURE}"):
        with pytest.raises(TokenRefused):
            verify_token(token, KEYS, RULES, NOW)


def test_claims_are_found_by_name_or_path() -> None:
    claims = {"https://x.example/role": "a", "realm": {"roles": ["b"]}, "text": "c"}
    assert read_claim(claims, "https://x.example/role") == "a"
    assert read_claim(claims, "realm.roles") == ["b"]
    assert read_claim(claims, "text.roles") is None
    assert read_claim(claims, "nothing.there") is None
