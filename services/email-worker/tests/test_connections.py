"""Kept connections, TLS, the login, and that the password shows up nowhere."""

import asyncio
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

import pytest
from email_worker import mailer as mailer_module
from email_worker.addresses import Mailbox
from email_worker.mailer import Mailer
from email_worker.message import Mail, build_mail
from email_worker.params import EmailParams
from email_worker.settings import SmtpSettings
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    RetryableError,
    ThrottledError,
)
from mirsal_runtime.plaintext import PlaintextRefused
from mirsal_testing.simulators.smtp import SmtpSimulator
from mirsal_testing.simulators.smtp.certificate import Certificate
from pydantic import ValidationError

SECRET = "s3cr3t-p4ssw0rd"

OpenMailer = Callable[..., Mailer]
MakeSettings = Callable[..., SmtpSettings]


def a_mail(number: int = 0) -> Mail:
    return build_mail(
        EmailParams(to=f"lead{number}@example.com", subject="s", body="b"),
        sender=Mailbox("", "hello@mirsal.example"),
        command_id=f"c{number}",
        now=datetime.now(UTC),
    )


async def deliver(mailer: Mailer, number: int = 0) -> None:
    async with mailer.open_envelope(a_mail(number), patience=5.0) as envelope:
        await envelope.write(5.0)


class Peers:
    """A proxy in front of a mail server that counts connections."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.opened = self.now_open = self.most_open = 0
        self.left = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        self.now_open += 1
        self.most_open = max(self.most_open, self.now_open)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
        self.now_open -= 1
        self.left.set()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


async def test_connections_are_kept_and_limited(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    peers = Peers(server.port)
    async with await asyncio.start_server(peers.serve, "127.0.0.1", 0) as proxy:
        mailer = open_mailer(proxy.sockets[0].getsockname()[1], CONNECTIONS=3)
        await asyncio.gather(*(deliver(mailer, number) for number in range(20)))
        assert (peers.opened, peers.most_open) == (3, 3)
        await deliver(mailer)
        assert peers.opened == 3
        assert len(server.messages) == 21
        await mailer.close()


async def test_who_finds_no_connection_free_comes_back_later_and_loses_no_retry(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    mailer = open_mailer(server.port, CONNECTIONS=1)
    async with mailer.open_envelope(a_mail(), patience=5.0) as envelope:
        with pytest.raises(ThrottledError) as busy:
            async with mailer.open_envelope(a_mail(1), patience=0.01):
                pytest.fail("there is only one connection")
        await envelope.write(5.0)
    assert busy.value.code == "smtp_busy"
    await deliver(mailer, 2)
    assert len(server.messages) == 2


async def test_an_idle_connection_is_closed_before_the_server_would(
    server: SmtpSimulator, open_mailer: OpenMailer
) -> None:
    peers = Peers(server.port)
    async with await asyncio.start_server(peers.serve, "127.0.0.1", 0) as proxy:
        mailer = open_mailer(proxy.sockets[0].getsockname()[1], IDLE_SECONDS=0.1)
        await deliver(mailer)
        async with asyncio.timeout(5):
            await peers.left.wait()
        await deliver(mailer)
        assert peers.opened == 2
        await mailer.close()


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_and_login(
    security: Literal["starttls", "tls"], certificate: Certificate, make_settings: MakeSettings
) -> None:
    context = certificate.server_context()
    async with SmtpSimulator(
        security=security, tls_context=context, users={"mirsal": SECRET}
    ) as server:
        make_settings(
            server.port,
            TLS=security,
            CA_FILE=certificate.authority,
            USERNAME="mirsal",
            PASSWORD=SECRET,
        )
        async with mailer_module.open_mailer(SmtpSettings()) as mailer:
            await deliver(mailer)
        (mail,) = server.messages
        assert mail.tls
        assert mail.user == "mirsal"


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    security: Literal["starttls", "tls"], certificate: Certificate, make_settings: MakeSettings
) -> None:
    async with SmtpSimulator(security=security, tls_context=certificate.server_context()) as server:
        make_settings(server.port, TLS=security)
        async with mailer_module.open_mailer(SmtpSettings()) as mailer:
            with pytest.raises(ActionRequired, match="CERTIFICATE_VERIFY_FAILED") as refused:
                await deliver(mailer)
        assert refused.value.code == "smtp_tls_refused"
        assert not server.messages


async def test_tls_where_the_server_has_none(
    server: SmtpSimulator, make_settings: MakeSettings
) -> None:
    for security, code in (("starttls", "smtp_tls_unavailable"), ("tls", "smtp_tls_refused")):
        make_settings(server.port, TLS=security)
        async with mailer_module.open_mailer(SmtpSettings()) as mailer:
            with pytest.raises(ActionRequired) as refused:
                await deliver(mailer)
        assert refused.value.code == code


async def test_a_server_that_demands_tls(certificate: Certificate, open_mailer: OpenMailer) -> None:
    context = certificate.server_context()
    async with SmtpSimulator(security="starttls", tls_context=context) as server:
        with pytest.raises(ActionRequired) as refused:
            await deliver(open_mailer(server.port))
    assert refused.value.code == "smtp_tls_required"


async def test_a_login_refused(open_mailer: OpenMailer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with SmtpSimulator(users={"mirsal": "another"}) as server:
        mailer = open_mailer(server.port, USERNAME="mirsal", PASSWORD=SECRET)
        with pytest.raises(ActionRequired) as refused:
            await deliver(mailer)
    assert refused.value.code == "smtp_login_refused"
    assert SECRET not in everything_said(refused.value) + caplog.text
    assert SECRET not in repr(mailer.__dict__)


async def test_what_the_server_repeats_of_the_login_is_dropped(open_mailer: OpenMailer) -> None:
    async with SmtpSimulator(users={"mirsal": SECRET}) as server:
        server.fail_next("auth", 535, f"5.7.8 wrong: {SECRET}", times=9)
        with pytest.raises(ActionRequired) as refused:
            await deliver(open_mailer(server.port, USERNAME="mirsal", PASSWORD=SECRET))
    assert SECRET not in everything_said(refused.value)


async def test_a_login_that_fails_for_now(open_mailer: OpenMailer) -> None:
    async with SmtpSimulator(users={"mirsal": SECRET}) as server:
        server.fail_next("auth", 454, "4.7.0 temporary authentication failure", times=9)
        with pytest.raises(RetryableError):
            await deliver(open_mailer(server.port, USERNAME="mirsal", PASSWORD=SECRET))


async def test_a_server_that_knows_no_login(
    certificate: Certificate, make_settings: MakeSettings
) -> None:
    """aiosmtpd offers AUTH on TLS only, unless it has been told otherwise."""
    async with SmtpSimulator(
        security="starttls", tls_context=certificate.server_context()
    ) as server:
        settings = make_settings(server.port, USERNAME="mirsal", PASSWORD=SECRET)
        with pytest.raises(ActionRequired) as refused:
            await deliver(Mailer(settings, None))
    assert refused.value.code == "smtp_login_unavailable"


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"HOST": "mail.example.com", "USERNAME": "u"}, "over TLS only"),
        ({"FROM": "not an address"}, "MIRSAL_SMTP_FROM"),
        ({"FROM": "أحمد@example.com"}, "must be ASCII"),
        ({"FROM_NAME": "a\nb"}, "MIRSAL_SMTP_FROM_NAME"),
        ({"TLS": "maybe"}, "starttls"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_the_start(
    make_settings: MakeSettings, variables: dict[str, str], reason: str
) -> None:
    with pytest.raises(ValidationError, match=reason) as refused:
        make_settings(25, **variables, PASSWORD=SECRET)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "sender"),
    [
        ({"FROM": "a@b.example"}, Mailbox("", "a@b.example")),
        ({"FROM": "أحمد <a@b.example>"}, Mailbox("أحمد", "a@b.example")),
        ({"FROM": "x <a@b.example>", "FROM_NAME": "مرسال"}, Mailbox("مرسال", "a@b.example")),
        ({"FROM": "", "USERNAME": "u@c.example"}, Mailbox("", "u@c.example")),
        ({"FROM": ""}, Mailbox("", "mirsal@localhost")),
    ],
)
def test_the_sender(
    make_settings: MakeSettings, variables: dict[str, str], sender: Mailbox
) -> None:
    assert make_settings(25, **variables).sender == sender


@pytest.mark.parametrize(
    ("host", "tls"),
    [("127.0.0.1", "none"), ("localhost", "none"), ("smtp.example.com", "starttls")],
)
def test_tls_is_off_for_this_machine_only(
    monkeypatch: pytest.MonkeyPatch, host: str, tls: str
) -> None:
    monkeypatch.setenv("MIRSAL_SMTP_HOST", host)
    assert SmtpSettings().tls == tls


def test_mails_leave_this_machine_in_plain_text_by_a_word_only(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PlaintextRefused, match=r"MIRSAL_SMTP_TLS .*MIRSAL_ALLOW_PLAINTEXT=true"):
        make_settings(25, HOST="mail.example.com")
    assert make_settings(25, HOST="mail.example.com", TLS="starttls").tls == "starttls"
    monkeypatch.setenv("MIRSAL_ALLOW_PLAINTEXT", "true")
    assert make_settings(25, HOST="mail.example.com", TLS="none").tls == "none"


def everything_said(error: AttemptFailure) -> str:
    return "".join(traceback.format_exception(error)) + repr(error.__dict__)
