"""The bodies of the credential calls. What goes out has no secrets."""

from datetime import datetime
from typing import Annotated

from mirsal_contracts.credentials import AnyAccount, CredentialType
from mirsal_contracts.message import JsonObject
from pydantic import Field

from gateway.shapes import Answer, Question


class CredentialDraft(Question):
    """An account that nodes can name. It is sealed, and shown to nobody again."""

    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    account: AnyAccount


class CredentialView(Answer):
    """A credential without its secrets; `summary` says which account it is."""

    credential_id: str
    type: CredentialType
    name: str | None
    summary: str
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime


class CredentialPage(Answer):
    """A page of credentials, oldest first."""

    items: list[CredentialView]
    next_cursor: str | None


class CredentialChecked(Answer):
    """Whether the connector could use the account: null while it has not answered yet."""

    credential_id: str
    works: bool | None
    output: JsonObject | None
    error: JsonObject | None
    execution_id: str
    status_url: str
