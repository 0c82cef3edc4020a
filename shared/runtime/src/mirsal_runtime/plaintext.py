"""What may not leave this machine in plain text, or for whoever answers. Connects to nobody.

TLS counts where the other side's certificate is checked. This machine is `localhost`, loopback
addresses and sockets of its file system.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from mirsal_runtime.log_faults import Told

ALLOW_SETTING: Final = "MIRSAL_ALLOW_PLAINTEXT"
_WAY_OUT: Final = f"; where that network is trusted, as in development, set {ALLOW_SETTING}=true"
# asyncpg's reading: less than these takes any certificate, `require` unless a root is at hand.
_VERIFIED: Final = ("verify-ca", "verify-full")
_NO: Final = ("0", "f", "false", "n", "no")


class PlaintextRefused(Told):
    """A setting has something go unprotected over a network; the text names it, never its value.

    No `ValueError`: pydantic would make a `ValidationError` of it, whose words are not logged.
    """


def refuse_plaintext(*faults: str | None, is_allowed: bool) -> None:
    """Raise `PlaintextRefused` if any of the functions below found a fault, unless it may be."""
    found = [fault for fault in faults if fault is not None]
    if found and not is_allowed:
        raise PlaintextRefused("; ".join(found) + _WAY_OUT)


def is_local(host: str) -> bool:
    """Whether a connection to `host` (a name, an address or a socket's path) stays here."""
    if host.startswith("/") or host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def kafka_fault(servers: str, *, has_authority: bool) -> str | None:
    """Of `KAFKA_BOOTSTRAP_SERVERS`: `host:port`, with commas between them."""
    if has_authority or all(map(is_local, _hosts_of(servers))):
        return None
    return (
        "KAFKA_BOOTSTRAP_SERVERS names another machine, to be spoken to in plain text: give "
        "MIRSAL_KAFKA_CA_FILE, the authority of its certificate"
    )


def postgres_fault(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Of `DATABASE_URL`, read as asyncpg does: what it does not say, `PG...` variables may."""
    split = _split(url)
    if split is None:
        return "DATABASE_URL cannot be read as a URL"
    given = {name: values[-1] for name, values in parse_qs(split.query).items()}
    said = split.netloc.partition("@")[2] if "@" in split.netloc else split.netloc
    is_elsewhere = "service" in given and not (said or "host" in given)
    hosts = said or given.get("host") or environment.get("PGHOST") or "localhost"
    if not is_elsewhere and all(map(is_local, _hosts_of(hosts))):
        return None
    mode = given.get("sslmode") or environment.get("PGSSLMODE") or "prefer"
    if mode.replace("_", "-") in _VERIFIED:
        return None
    return (
        "DATABASE_URL names another machine without sslmode=verify-full (or verify-ca): with "
        "require or prefer whoever answers is taken for the database, or is spoken to in plain "
        "text; end the URL in ?sslmode=verify-full&sslrootcert=<file of its authority>"
    )


def redis_fault(url: str) -> str | None:
    """Of `REDIS_URL`, as redis-py reads it."""
    split = _split(url)
    if split is None:
        return "REDIS_URL cannot be read as a URL"
    given = {name: values[0] for name, values in parse_qs(split.query).items()}
    if split.scheme == "unix" or is_local(split.hostname or given.get("host") or "localhost"):
        return None
    if split.scheme != "rediss":
        return (
            "REDIS_URL names another machine, to be spoken to in plain text: write rediss://, with "
            "?ssl_ca_certs=<file> where an authority of your own signs"
        )
    is_checked = (
        given.get("ssl_cert_reqs", "required").lower() == "required"
        and given.get("ssl_check_hostname", "true").lower() not in _NO
    )
    return None if is_checked else "REDIS_URL has certificates not checked: leave that out of it"


def http_fault(name: str, url: str) -> str | None:
    """Of a setting `name` that is a URL: http to another machine."""
    split = _split(url)
    if split is None:
        return f"{name} cannot be read as a URL"
    if split.scheme.lower() != "http" or is_local(split.hostname or ""):
        return None
    return f"{name} names another machine, to be spoken to in plain text: write https://"


def _split(url: str) -> SplitResult | None:
    """The parts; None where there are none: the parser's own words would hold the URL."""
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _hosts_of(listed: str) -> Iterator[str]:
    """Of `host:port,[v6]:port,/path`: the hosts."""
    for each in listed.split(","):
        place = unquote(each.strip().rpartition("://")[2])
        if place.startswith("["):
            yield place[1:].partition("]")[0]
        elif place.startswith("/"):
            yield place
        else:
            yield place.partition(":")[0]
