"""Which credentials nodes name, and what is wrong with that."""

from collections.abc import Sequence
from typing import NamedTuple

from mirsal_contracts.nodes import NODE_TYPES
from mirsal_contracts.workflows import Node
from mirsal_runtime.vault.sharing import NOT_LENT, Sharing

from gateway.credentials.store import CredentialStore
from gateway.pointers import join
from gateway.problems import Fault

MEMBER = "credentialId"


class Reference(NamedTuple):
    """A node's config, at the pointer `at`, names a credential that must be of this type."""

    at: str
    credential_id: str
    type: str


def references_of(nodes: Sequence[tuple[str, Node]]) -> list[Reference]:
    """The credentials that nodes name; each node comes with the pointer to its config."""
    found = []
    for at, node in nodes:
        named = node.config.get(MEMBER)
        needed = NODE_TYPES[node.type].credential if node.type in NODE_TYPES else None
        if needed is not None and isinstance(named, str):
            found.append(Reference(join(at, MEMBER), named, needed))
    return found


class AccountRules:
    """What accounts nodes may send by: the workspace's credentials, or the installation's own."""

    def __init__(self, store: CredentialStore, sharing: Sharing) -> None:
        self._store = store
        self._sharing = sharing

    async def find_faults(self, workspace: str, nodes: Sequence[tuple[str, Node]]) -> list[Fault]:
        """References that lead nowhere, and nodes without any that need one.

        PostgreSQL is asked only where there are references.
        """
        faults = []
        if not self._sharing.allows(workspace):
            faults = [Fault(NOT_LENT, join(at, MEMBER)) for at, node in nodes if _is_without(node)]
        references = references_of(nodes)
        if not references:
            return faults
        types = await self._store.types(workspace, {each.credential_id for each in references})
        return faults + [
            Fault(_describe(each, types.get(each.credential_id)), each.at)
            for each in references
            if types.get(each.credential_id) != each.type
        ]


def _is_without(node: Node) -> bool:
    kind = NODE_TYPES.get(node.type)
    return kind is not None and kind.credential is not None and MEMBER not in node.config


def _describe(reference: Reference, found: str | None) -> str:
    if found is None:
        return "there is no such credential in this workspace"
    return f"is a credential of type {found}; this node needs one of type {reference.type}"
