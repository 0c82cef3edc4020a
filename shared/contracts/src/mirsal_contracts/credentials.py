"""Accounts at providers, as callers give them and as they are sealed. The secrets are marked.

Nothing here travels through Kafka: messages name a credential by its id.
"""

from abc import abstractmethod
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    TypeAdapter,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from mirsal_contracts.message import JsonObject, Message

_LINE = r"^[^\x00-\x1f\x7f\x85\u2028\u2029]*$"

_LOOPBACK = frozenset({"localhost", "127.0.0.1"})

CredentialId: TypeAlias = Annotated[
    str,
    Field(description="A-Z a-z 0-9 _ . : @ + ~ -, beginning with a letter, a digit or _."),
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:@+~-]{0,127}$"),
]
CredentialType: TypeAlias = Literal["smtp", "whatsapp", "google"]
CHECK_CONNECTION = "checkConnection"
"""The member of a command's config that asks for `ConnectionCheck`."""


class ConnectionCheck(Message):
    """A command's config that asks whether a credential's account works; nothing else happens."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, frozen=True)

    credential_id: CredentialId
    check_connection: Literal[True]


class _Secretive(Message):
    """A model with secrets, which no text of it shows."""

    def to_secret(self) -> JsonObject:
        """The model with its secrets as they are, to be sealed or used at once."""
        revealed: JsonObject = _reveal(self.model_dump(by_alias=True, exclude_none=True))
        return revealed


class Account(_Secretive):
    """An account at a provider."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: CredentialType

    @property
    @abstractmethod
    def summary(self) -> str:
        """Which account it is, without its secrets."""


class SmtpAccount(Account):
    """A mail server, and who mails are from: `from`, else the user name if that is an address.

    `port` 0 is the usual one for `tls`.
    """

    type: Literal["smtp"]
    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    tls: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, Field(max_length=500, pattern=_LINE)] = ""
    password: Annotated[SecretStr, Field(max_length=2_000)] = SecretStr("")
    from_address: Annotated[str, Field(alias="from", max_length=500, pattern=_LINE)] = ""
    from_name: Annotated[str, Field(max_length=200, pattern=_LINE)] = ""

    @model_validator(mode="after")
    def _keeps_its_password(self) -> "SmtpAccount":
        if self.tls == "none" and self.username and self.host not in _LOOPBACK:
            raise ValueError("a password is sent over TLS only: set tls")
        return self

    @property
    def summary(self) -> str:
        """The server, and the sender where it was given."""
        place = f"{self.host}:{self.port}" if self.port else self.host
        return f"{self.from_address} by {place}" if self.from_address else place


class WhatsAppAccount(Account):
    """A phone number of the WhatsApp Cloud API, and the token that may send for it.

    `defaultRegion` (ISO 3166: SA, TR) is the country of recipients written without one.
    """

    type: Literal["whatsapp"]
    token: Annotated[SecretStr, Field(min_length=1, max_length=4_000)]
    phone_number_id: Annotated[str, Field(pattern=r"^[0-9]{1,32}$")]
    default_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None

    @field_validator("token")
    @classmethod
    def _fits_into_a_header(cls, token: SecretStr) -> SecretStr:
        text = token.get_secret_value()
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("must be one line of ASCII without spaces")
        return token

    @property
    def summary(self) -> str:
        """The number's id."""
        return f"phone number {self.phone_number_id}"


class _GoogleKey(_Secretive):
    """A file as Google gives it: members that are not needed are left out, its URLs among them."""

    model_config = ConfigDict(extra="ignore", alias_generator=None, hide_input_in_errors=True)


class ServiceAccountKey(_GoogleKey):
    """The key of a service account."""

    type: Literal["service_account"]
    project_id: Annotated[str, Field(min_length=1, max_length=200, pattern=_LINE)]
    private_key_id: Annotated[str, Field(max_length=200, pattern=_LINE)] = ""
    private_key: Annotated[SecretStr, Field(min_length=1, max_length=20_000)]
    client_email: Annotated[str, Field(min_length=1, max_length=500, pattern=_LINE)]
    client_id: Annotated[str, Field(max_length=200, pattern=_LINE)] = ""

    @property
    def owner(self) -> str:
        """Whom spreadsheets have to be shared with."""
        return self.client_email


class AuthorizedUser(_GoogleKey):
    """A person's consent: an OAuth client and the refresh token that it was given."""

    type: Literal["authorized_user"]
    client_id: Annotated[str, Field(min_length=1, max_length=500, pattern=_LINE)]
    client_secret: Annotated[SecretStr, Field(min_length=1, max_length=2_000)]
    refresh_token: Annotated[SecretStr, Field(min_length=1, max_length=4_000)]
    quota_project_id: Annotated[str, Field(max_length=200, pattern=_LINE)] | None = None

    @property
    def owner(self) -> str:
        """Which client the person has let in."""
        return f"a user of {self.client_id}"


class GoogleAccount(Account):
    """A Google account: `key` is the file of a service account, or of an `authorized_user`."""

    type: Literal["google"]
    key: Annotated[ServiceAccountKey | AuthorizedUser, Field(discriminator="type")]

    @property
    def summary(self) -> str:
        """Whose account it is."""
        return self.key.owner


AnyAccount: TypeAlias = Annotated[
    SmtpAccount | WhatsAppAccount | GoogleAccount, Field(discriminator="type")
]


ACCOUNT: Final[TypeAdapter[AnyAccount]] = TypeAdapter(AnyAccount)
"""Reads what was sealed; members that a newer writer added may be ignored (`extra="ignore"`)."""


def _reveal(value: Any) -> Any:
    """A dumped model with its secrets as they are."""
    if isinstance(value, dict):
        return {name: _reveal(inner) for name, inner in value.items()}
    return value.get_secret_value() if isinstance(value, SecretStr) else value
