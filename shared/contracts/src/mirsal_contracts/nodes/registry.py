"""All node types in one table; a new connector adds a line here and its topics."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from mirsal_contracts.credentials import CredentialType
from mirsal_contracts.message import JsonObject
from mirsal_contracts.nodes.code import CodeConfig
from mirsal_contracts.nodes.condition import ConditionConfig
from mirsal_contracts.nodes.config import NodeConfig
from mirsal_contracts.nodes.email import EmailConfig
from mirsal_contracts.nodes.google_sheets import GoogleSheetsConfig
from mirsal_contracts.nodes.noop import NoopConfig
from mirsal_contracts.nodes.whatsapp import WhatsAppConfig
from mirsal_contracts.workflows import OnUnconfirmed


class NodeType(NamedTuple):
    """What gateway and orchestrator must know of one type.

    `connector` is false where the orchestrator decides the node itself. `channel` is the consent
    that the lead may refuse; `recipient` the lead's member that `to` defaults to. `html_members`
    are rendered with values escaped; `expression_members` are CEL, not templates;
    `verbatim_members` are neither, and taken as they stand. `outcomes` are the values that `when`
    may have on its connections. `key_members` name, once rendered, what only one process may work
    on at a time: the commands' Kafka key is made of them, and is the run's id where there are
    none. `lead_members` are members of the config that default to one of the lead's. `credential`
    is the type of account that the config's `credentialId` may name.
    """

    config: type[NodeConfig]
    connector: bool = True
    channel: Literal["email", "whatsapp"] | None = None
    recipient: Literal["email", "phone"] | None = None
    html_members: frozenset[str] = frozenset()
    expression_members: frozenset[str] = frozenset()
    verbatim_members: frozenset[str] = frozenset()
    outcomes: frozenset[str] = frozenset()
    on_unconfirmed: OnUnconfirmed = "park"
    timeout_seconds: float = 15.0
    key_members: tuple[str, ...] = ()
    lead_members: Mapping[str, str] = MappingProxyType({})
    credential: CredentialType | None = None

    def command_key(self, config: JsonObject, run_id: str) -> str:
        """The Kafka key of a command with this rendered config."""
        parts = [config.get(member) for member in self.key_members]
        return "/".join(map(str, parts)) if parts else run_id


_CREDENTIAL_ID = frozenset({"credentialId"})

NODE_TYPES: Mapping[str, NodeType] = {
    "email": NodeType(
        EmailConfig,
        channel="email",
        recipient="email",
        html_members=frozenset({"html"}),
        verbatim_members=_CREDENTIAL_ID,
        timeout_seconds=30.0,
        credential="smtp",
    ),
    "whatsapp": NodeType(
        WhatsAppConfig,
        channel="whatsapp",
        recipient="phone",
        verbatim_members=_CREDENTIAL_ID,
        credential="whatsapp",
    ),
    "google_sheets": NodeType(
        GoogleSheetsConfig,
        on_unconfirmed="resend",
        timeout_seconds=120.0,
        key_members=("spreadsheetId", "sheet"),
        lead_members=MappingProxyType({"timeZone": "timeZone"}),
        verbatim_members=_CREDENTIAL_ID,
        credential="google",
    ),
    "condition": NodeType(
        ConditionConfig,
        connector=False,
        expression_members=frozenset({"if"}),
        outcomes=frozenset({"true", "false"}),
    ),
    "code": NodeType(CodeConfig, verbatim_members=frozenset({"code"}), on_unconfirmed="resend"),
    "noop": NodeType(NoopConfig, on_unconfirmed="resend"),
}
