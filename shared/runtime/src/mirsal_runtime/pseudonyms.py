"""Leads in traces: a keyed hash stands for the id, which may be an address or a phone number."""

from functools import lru_cache
from hashlib import blake2b

from pydantic import SecretStr


class Pseudonyms:
    """One name for one lead, the same in all processes that have the same key."""

    def __init__(self) -> None:
        self._key = b""

    def set_key(self, key: SecretStr | None) -> None:
        """Without a key leads are not named at all: anybody could try out ids on a plain hash."""
        self._key = b"" if key is None else key.get_secret_value().encode()
        self.of_lead.cache_clear()

    @lru_cache(maxsize=4096)  # noqa: B019 - one object of the process, which lives as long
    def of_lead(self, workspace: str, lead_id: str) -> str:
        """16 characters, or none without a key."""
        if not self._key or not lead_id:
            return ""
        text = f"{workspace}\0{lead_id}".encode("utf-8", "replace")
        return blake2b(text, key=self._key[:64], digest_size=8).hexdigest()
