"""What is said of settings that are wrong: which one and why, never what it was given."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from mirsal_runtime.log_faults import Told
from mirsal_runtime.log_lines import faults_of

_MOST: Final = 5
_FIELD: Final = re.compile(r'field "(\w+)"')
_POSTGRES: Final = ("postgresql", "postgres")
_REDIS: Final = ("redis", "rediss", "unix")
_PORT: Final = re.compile(r"[0-9]{0,5}")


class SettingsRefused(Told):
    """The environment has not what the process needs; the text names settings, never values.

    No `ValueError`: pydantic would make a `ValidationError` of it, whose words are not logged.
    """


def told_of(error: Exception) -> Exception:
    """The error with words that may be shown, where it is of settings; else as it is."""
    match error:
        case ValidationError():
            kind = _find_settings(error.title)
            faults = faults_of(error) if kind is None else "; ".join(_words_of(error, kind))
            return SettingsRefused(f"{error.title}: {faults}")
        case SettingsError():
            named = _FIELD.search(str(error))
            return SettingsRefused(
                f"the setting {named[1].upper() if named else '(unknown)'} cannot be read: is it "
                "JSON?"
            )
        case _:
            return error


def refuse_unreadable(*, database_url: str, redis_url: str) -> None:
    """Raise `SettingsRefused` for URLs that drivers would refuse later, in words that hold parts
    of them."""
    found = [
        *(f"DATABASE_URL {fault}" for fault in _faults_of_url(database_url, _POSTGRES)),
        *(f"REDIS_URL {fault}" for fault in _faults_of_url(redis_url, _REDIS)),
    ]
    if found:
        raise SettingsRefused("; ".join(found))


def _faults_of_url(url: str, schemes: tuple[str, ...]) -> Iterator[str]:
    try:
        split = urlsplit(url)
    except ValueError:
        yield "cannot be read as a URL"
        return
    if split.scheme not in schemes:
        yield f"does not begin with {schemes[0]}://"
    hosts = split.netloc.rpartition("@")[2].split(",")
    if not all(_PORT.fullmatch(_port_of(host)) for host in hosts):
        yield "has a port that is no number: a password's / is written as %2F, as are others"


def _port_of(host: str) -> str:
    """Of `name:port` or `[v6]:port`."""
    return host.rpartition("]")[2].partition(":")[2]


def _find_settings(title: str) -> type[BaseSettings] | None:
    """The class of settings that has this name."""
    open_: list[type[BaseSettings]] = [BaseSettings]
    while open_:
        each = open_.pop()
        if each.__name__ == title:
            return each
        open_.extend(each.__subclasses__())
    return None


def _words_of(error: ValidationError, kind: type[BaseSettings]) -> Iterator[str]:
    prefix = kind.model_config.get("env_prefix", "")
    found = error.errors(include_input=False, include_url=False, include_context=False)
    for each in found[:_MOST]:
        words = each["msg"].removeprefix("Value error, ")
        if each["loc"]:
            field = str(each["loc"][0])
            yield f"{prefix + field.upper() if field in kind.model_fields else field}: {words}"
        else:
            yield words
