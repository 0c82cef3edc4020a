"""Callers and commands as the audit log has them."""

import getpass
import socket
from typing import Final

from gateway.audit.entries import ActorKind, Origin
from gateway.auth.schemas import Principal

TOKEN_PREFIX: Final = "jwt:"  # noqa: S105 - how the ids of tokens' callers begin


def origin_of(caller: Principal) -> Origin:
    """Who calls, and from which address as far as proxies are trusted to say."""
    kind: ActorKind = "token" if caller.key_id.startswith(TOKEN_PREFIX) else "key"
    return Origin(caller.workspace, kind, caller.key_id, caller.name, caller.address)


def origin_of_command(command: str, workspace: str = "") -> Origin:
    """Who runs a command: the system's user, and the machine."""
    return Origin(workspace, "command", getpass.getuser(), command, socket.gethostname())
