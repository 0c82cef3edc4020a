"""The `email` node."""

from typing import Annotated

from pydantic import Field

from mirsal_contracts.credentials import CredentialId
from mirsal_contracts.nodes.config import NodeConfig

Address = Annotated[str, Field(min_length=1, max_length=2048)]
Addresses = Address | Annotated[tuple[Address, ...], Field(max_length=50)]


class EmailConfig(NodeConfig):
    """Send one e-mail. `to` defaults to the lead's address; values in `html` are escaped.

    `credentialId` names the account (type `smtp`) that sends it.
    """

    to: Address | None = None
    subject: Annotated[str, Field(max_length=20_000)]
    body: Annotated[str, Field(max_length=500_000)]
    html: Annotated[str, Field(max_length=500_000)] | None = None
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Address | None = None
    from_name: Annotated[str, Field(max_length=200)] | None = None
    credential_id: CredentialId | None = None
