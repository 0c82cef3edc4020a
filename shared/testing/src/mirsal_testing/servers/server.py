"""What every server handle can do, whether it is embedded, in a container or someone else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class ServerError(Exception):
    """A server did not do what was asked of it; the text says why and what to do."""


class Server(Protocol):
    """One server of the platform: Kafka, PostgreSQL or Valkey.

    Every wait has a deadline; what passes it raises `ServerError` with the end of the log.
    The port, and so `url`, stays the same over `restart()` and over a `kill()` and `start()`.
    """

    @property
    def name(self) -> str:
        """`kafka`, `postgres` or `valkey`."""

    @property
    def url(self) -> str:
        """Kafka: `host:port` for bootstrap. PostgreSQL: a superuser's URL. Valkey: `redis://`."""

    @property
    def pid(self) -> int | None:
        """The main process, or None while none runs (or it is not ours to see)."""

    @property
    def data(self) -> Path | None:
        """The folder whose content outlives the process, or None if it is not on this machine."""

    @property
    def log(self) -> Path | None:
        """The file that its output is appended to, or None if there is none here."""

    async def start(self) -> None:
        """Returns when the server answers. Does nothing if it already does."""

    async def stop(self) -> None:
        """Ends it in good order; SIGKILL if it does not end in time. Data is kept."""

    async def kill(self) -> None:
        """SIGKILL, as a machine that loses power: nothing is flushed by the process."""

    async def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""

    async def resume(self) -> None:
        """SIGCONT after `pause()`."""

    async def restart(self) -> None:
        """`stop()` if it runs, then `start()` on the same port with the same data."""

    async def is_running(self) -> bool:
        """Whether its process exists (paused counts)."""

    async def is_ready(self) -> bool:
        """Whether it answers a request of its own protocol within a second."""
