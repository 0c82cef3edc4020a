"""Where the key-encryption keys are, and how accounts are kept: `MIRSAL_VAULT_*`."""

from pathlib import Path

from pydantic import AliasChoices, Field, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from mirsal_runtime.vault.sharing import EVERYBODY


class VaultSettings(BaseSettings):
    """Read from the environment.

    `keys`, or the content of `keys_file`, are key-encryption keys: `id:base64 of 32 bytes`,
    separated by commas or line ends. The first seals, all open. Without any there is no vault.

    `shared_accounts` (`MIRSAL_SHARED_ACCOUNTS`): which workspaces' nodes may use the environment's
    account: `*`, or their names with commas between them; empty, none.

    A connector looks at an account again `fresh_seconds` after it last did. Of the accounts that
    nobody uses at the moment it keeps `accounts` at most, none longer than `idle_seconds`.
    """

    model_config = SettingsConfigDict(
        env_prefix="MIRSAL_VAULT_", extra="ignore", populate_by_name=True, hide_input_in_errors=True
    )

    keys: SecretStr = SecretStr("")
    keys_file: Path | None = None
    fresh_seconds: PositiveFloat = Field(default=3.0, le=60.0)
    accounts: PositiveInt = 100
    idle_seconds: PositiveFloat = 60.0
    shared_accounts: str = Field(
        default=EVERYBODY, validation_alias=AliasChoices("MIRSAL_SHARED_ACCOUNTS")
    )
