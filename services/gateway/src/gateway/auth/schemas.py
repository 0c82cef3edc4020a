"""The caller, as the rest of the gateway sees it."""

from typing import NamedTuple


class Principal(NamedTuple):
    """Whose request it is. `rate_limit_per_minute` takes the place of the address's, if set."""

    key_id: str
    name: str
    workspace: str
    rate_limit_per_minute: int | None = None
