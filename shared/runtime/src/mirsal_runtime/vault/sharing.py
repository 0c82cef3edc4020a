"""Which workspaces' nodes may do without a `credentialId`: the installation's accounts. Pure."""

from typing import Final, NamedTuple

EVERYBODY: Final = "*"
NOT_LENT: Final = (
    "this installation does not lend its own account to this workspace: name one of the "
    "workspace's credentials as credentialId"
)


class Sharing(NamedTuple):
    """`workspaces` may; None is all."""

    workspaces: frozenset[str] | None = None

    @classmethod
    def parse(cls, text: str) -> "Sharing":
        """What `MIRSAL_SHARED_ACCOUNTS` says: `*`, or names with commas; empty is nobody."""
        if text.strip() == EVERYBODY:
            return cls()
        return cls(frozenset(filter(None, (each.strip() for each in text.split(",")))))

    def allows(self, workspace: str) -> bool:
        """Whether its nodes may do without a credential of their own."""
        return self.workspaces is None or workspace in self.workspaces
