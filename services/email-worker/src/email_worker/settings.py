"""How to reach the mail server, and who the sender is: `MIRSAL_SMTP_*`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from mirsal_runtime.failures import PermanentError
from mirsal_runtime.plaintext import ALLOW_SETTING, PlaintextRefused, is_local, refuse_plaintext
from pydantic import Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from email_worker.addresses import Mailbox, parse_mailbox, refuse_control_characters

DEFAULT_PORTS = {"none": 25, "starttls": 587, "tls": 465}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class SmtpSettings(BaseSettings):
    """Read from the environment.

    Without `tls` a server on this machine is spoken to in plain text, any other by STARTTLS.
    `connections` is the most that are open at once. A kept connection is closed after
    `idle_seconds`, which must be less than the server's own limit. `connect_seconds` are for all
    up to the login: servers hold back their greeting to put off senders of spam. Servers that
    credentials name must have public addresses (`public_only`), unless `private_hosts`.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_SMTP_", populate_by_name=True, extra="ignore", hide_input_in_errors=True
    )

    host: str
    port: Annotated[int, Field(ge=0, le=65_535)] = 0
    tls: Literal["none", "starttls", "tls"] = Field(
        default_factory=lambda given: "none" if given.get("host") in LOOPBACK else "starttls"
    )
    ca_file: Path | None = None
    username: str = ""
    password: SecretStr = SecretStr("")
    from_address: str = Field(default="", validation_alias="MIRSAL_SMTP_FROM")
    from_name: str = ""
    connections: PositiveInt = 20
    idle_seconds: PositiveFloat = 20.0
    connect_seconds: PositiveFloat = 20.0
    command_seconds: PositiveFloat = 10.0
    private_hosts: bool = False
    public_only: bool = False
    allow_plaintext: bool = Field(default=False, validation_alias=ALLOW_SETTING)
    is_credential: bool = False
    """They are a workspace's credential: who reads an error cannot see the environment."""

    def point_to(self, *names: str) -> str:
        """What to look at, for errors: variables of the environment, or members of a credential's
        account. `names` are those of variables after their prefix."""
        if not self.is_credential:
            return f"MIRSAL_SMTP_{', _'.join(names)}"
        return f"the credential's {', '.join(name.lower() for name in names)}"

    @property
    def place(self) -> str:
        """Host and port."""
        return f"{self.host}:{self.port or DEFAULT_PORTS[self.tls]}"

    @property
    def sender(self) -> Mailbox:
        """Who the mail is from: `from_address`, else the user name if that is an address."""
        text = self.from_address or (self.username if "@" in self.username else "mirsal@localhost")
        mailbox = parse_mailbox(text, "MIRSAL_SMTP_FROM")
        return mailbox._replace(name=self.from_name or mailbox.name)

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        if self.username and self.tls == "none" and self.host not in LOOPBACK:
            raise ValueError("a password is sent over TLS only: set MIRSAL_SMTP_TLS")
        try:
            refuse_control_characters(self.from_name, "MIRSAL_SMTP_FROM_NAME")
            sender = self.sender
        except PermanentError as error:
            raise ValueError(str(error)) from error
        if not sender.address.isascii():
            raise ValueError("MIRSAL_SMTP_FROM must be ASCII before the @")
        return self

    @model_validator(mode="after")
    def _is_protected(self) -> Self:
        if self.tls != "none" or self.allow_plaintext or is_local(self.host):
            return self
        fault = (
            f"{self.point_to('TLS')} is none, and mails would go to another machine in plain text: "
            "use starttls or tls"
        )
        if self.is_credential:
            # Its owner cannot have the environment otherwise.
            raise PlaintextRefused(fault)
        refuse_plaintext(fault, is_allowed=False)
        return self
