"""Callers and commands as the audit log has them, and runs."""

import getpass
import socket
from functools import lru_cache
from typing import Final

from mirsal_contracts.requests import Requester

from gateway.audit.entries import ActorKind, Origin
from gateway.auth.schemas import Principal

TOKEN_PREFIX: Final = "jwt:"  # noqa: S105 - how the ids of tokens' callers begin


def origin_of(caller: Principal) -> Origin:
    """Who calls, and from which address as far as proxies are trusted to say."""
    return Origin(
        caller.workspace, _kind_of(caller.key_id), caller.key_id, caller.name, caller.address
    )


def requester_of(caller: Principal) -> Requester | None:
    """Who calls, as the caller's runs tell of it; None where that is not known."""
    return _requester(caller.key_id, caller.name) if caller.key_id else None


@lru_cache(maxsize=1024)
def _requester(key_id: str, name: str) -> Requester:
    return Requester(kind=_kind_of(key_id), id=key_id, name=name)


def _kind_of(key_id: str) -> ActorKind:
    return "token" if key_id.startswith(TOKEN_PREFIX) else "key"


def origin_of_command(command: str, workspace: str = "") -> Origin:
    """Who runs a command: the system's user, and the machine."""
    return Origin(workspace, "command", getpass.getuser(), command, socket.gethostname())
