"""Connections to the mail server: kept for the next mail, closed before they grow stale."""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path

from aiosmtplib import SMTP, SMTPException
from mirsal_runtime.call_spans import server_attributes
from mirsal_runtime.failures import AttemptFailure, ThrottledError

from email_worker import smtp
from email_worker.message import Mail
from email_worker.settings import SmtpSettings

GOODBYE_SECONDS = 1.0
BUSY_SECONDS = 5.0


class Envelope:
    """A mail whose recipients the server has accepted: only its content is left to be written."""

    def __init__(self, connection: SMTP, mail: Mail, secret: str) -> None:
        self._connection = connection
        self._mail = mail
        self._secret = secret

    async def write(self, seconds: float) -> str:
        """Write the content; the server's last reply. For what it raises see `smtp.write`."""
        return hide(self._secret, await smtp.write(self._connection, self._mail.content, seconds))


class Mailer:
    """Lends connections to the mail server, at most `settings.connections` at once."""

    def __init__(self, settings: SmtpSettings, tls: ssl.SSLContext | None) -> None:
        self.sender = settings.sender
        self.server = server_attributes(settings.host, settings.port, "smtp")
        self.settings = settings
        self._tls = tls
        self._slots = asyncio.Semaphore(settings.connections)
        self._kept: deque[tuple[float, SMTP]] = deque()
        self._reaper: asyncio.TimerHandle | None = None
        self._goodbyes: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open_envelope(self, mail: Mail, *, patience: float) -> AsyncIterator[Envelope]:
        """Have the server accept the sender and every recipient of `mail`.

        Raises `ThrottledError` if all connections stay in use for `patience` seconds, else as
        `smtp.connect` and `smtp.address` do. The connection is kept afterwards, unless it is
        broken; a mail that was not written is withdrawn from it.
        """
        async with self._slot(patience), self._secretive() as secret:
            connection = await self._offer(mail)
            try:
                yield Envelope(connection, mail, secret)
            except Exception:
                await self._withdraw(connection)
                raise
            except BaseException:
                connection.close()
                raise
            self._keep(connection)

    async def check(self) -> None:
        """Connect, log in, and leave. Raises as `smtp.connect` does."""
        connection = await smtp.connect(self.settings, self._tls)
        await _quit(connection)

    async def close(self) -> None:
        """Take leave of the server, within a second or two."""
        if self._reaper is not None:
            self._reaper.cancel()
        while self._kept:
            self._say_goodbye(self._kept.popleft()[1])
        if self._goodbyes:
            await asyncio.wait(self._goodbyes)

    @asynccontextmanager
    async def _secretive(self) -> AsyncIterator[str]:
        """Failures without the password, which a server may repeat at any step."""
        secret = self.settings.password.get_secret_value()
        try:
            yield secret
        except AttemptFailure as failure:
            failure.message = hide(secret, failure.message)
            failure.args = (f"{failure.code}: {failure.message}",)
            raise

    @asynccontextmanager
    async def _slot(self, patience: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(patience):
                await self._slots.acquire()
        except TimeoutError:
            raise ThrottledError(
                "smtp_busy",
                "the mail server is slow, and all connections to it are in use: if it allows more, "
                "set MIRSAL_SMTP_CONNECTIONS higher",
                retry_after=BUSY_SECONDS,
            ) from None
        try:
            yield
        finally:
            self._slots.release()

    async def _offer(self, mail: Mail) -> SMTP:
        """A connection on which `mail` is accepted.

        A kept one that turns out to be dead, or that the server wants to close, is replaced, once.
        """
        kept = self._take()
        if kept is not None:
            try:
                return await self._address(kept, mail)
            except AttemptFailure:
                if kept.is_connected:
                    raise
        return await self._address(await smtp.connect(self.settings, self._tls), mail)

    async def _address(self, connection: SMTP, mail: Mail) -> SMTP:
        try:
            await smtp.address(connection, self.settings, mail)
        except AttemptFailure:
            await self._withdraw(connection)
            raise
        except BaseException:
            connection.close()
            raise
        return connection

    async def _withdraw(self, connection: SMTP) -> None:
        """Make the connection fit for another mail, if it still lives."""
        fit = False
        try:
            with suppress(SMTPException):
                await connection.rset(timeout=GOODBYE_SECONDS)
                fit = True
        finally:
            if fit:
                self._keep(connection)
            else:
                connection.close()

    def _take(self) -> SMTP | None:
        """The connection that was used last: so those that are not needed grow old."""
        while self._kept:
            connection = self._kept.pop()[1]
            if connection.is_connected:
                return connection
        return None

    def _keep(self, connection: SMTP) -> None:
        if not connection.is_connected:
            return
        now = asyncio.get_running_loop().time()
        self._kept.append((now + self.settings.idle_seconds, connection))
        if self._reaper is None:
            self._wake_reaper()

    def _wake_reaper(self) -> None:
        loop = asyncio.get_running_loop()
        self._reaper = loop.call_at(self._kept[0][0], self._reap) if self._kept else None

    def _reap(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._kept and self._kept[0][0] <= now:
            self._say_goodbye(self._kept.popleft()[1])
        self._wake_reaper()

    def _say_goodbye(self, connection: SMTP) -> None:
        task = asyncio.create_task(_quit(connection))
        self._goodbyes.add(task)
        task.add_done_callback(self._goodbyes.discard)


def hide(secret: str, text: str) -> str:
    """The text without the secret, if there is one."""
    return text.replace(secret, "[secret]") if secret else text


@asynccontextmanager
async def open_mailer(settings: SmtpSettings) -> AsyncIterator[Mailer]:
    """A mailer, which is closed at the end."""
    tls = None if settings.tls == "none" else await asyncio.to_thread(_trust, settings.ca_file)
    mailer = Mailer(settings, tls)
    try:
        yield mailer
    finally:
        await mailer.close()


@lru_cache(maxsize=8)
def _trust(ca_file: Path | None) -> ssl.SSLContext:
    """Shared by all accounts: reading a system's authorities takes megabytes and milliseconds."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


async def _quit(connection: SMTP) -> None:
    with suppress(SMTPException):
        await connection.quit(timeout=GOODBYE_SECONDS)
    connection.close()
