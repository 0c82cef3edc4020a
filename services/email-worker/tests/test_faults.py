"""What becomes of an attempt when the mail server breaks off at each step, on real sockets."""

import asyncio
import socket
import struct
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
from email_worker.mailer import Mailer
from email_worker.params import EmailParams, EmailResult
from email_worker.send import send_email
from mirsal_runtime.failures import (
    ActionRequired,
    AttemptFailure,
    OutcomeUnknown,
    PermanentError,
    RetryableError,
    ThrottledError,
)
from mirsal_testing.commands import make_command

REPLIES = {
    "greeting": "220 test",
    "EHLO": "250 test",
    "HELO": "250 test",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go ahead",
    "content": "250 2.0.0 taken",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}
CLOSE, RESET, SILENCE = "close", "reset", "silence"

OpenMailer = Callable[..., Mailer]


class ScriptedServer:
    """A mail server that answers each step as the test says: a reply, or `CLOSE` and the like.

    A reply that ends with "then close" is followed by a FIN. `script` has what is still to come
    for a step; afterwards the step is answered as usual.
    """

    def __init__(self) -> None:
        self.script: dict[str, list[str]] = {}
        self.steps: list[str] = []
        self.lines: list[str] = []
        self.reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.connections = 0
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        with suppress(ConnectionError):
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        step = "greeting"
        while True:
            self.steps.append(step)
            self.reached[step].set()
            answer = (self.script.get(step) or [REPLIES[step]]).pop(0)
            if answer == SILENCE:
                await reader.read()
                return
            if answer == RESET:
                handle: socket.socket = writer.get_extra_info("socket")
                handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if answer in (CLOSE, RESET):
                return
            writer.write(answer.removesuffix("then close").encode() + b"\r\n")
            if answer.endswith("then close"):
                return
            if step == "DATA" and answer.startswith("354"):
                await reader.readuntil(b"\r\n.\r\n")
                step = "content"
            else:
                line = await reader.readline()
                if not line:
                    return
                self.lines.append(line.decode().rstrip())
                step = line[:4].decode().upper()

    async def say(self, line: str, *, close: bool = True) -> None:
        """Say something on all connections without being asked."""
        for writer in self._writers:
            if line:
                writer.write(line.encode() + b"\r\n")
            if close:
                writer.close()
        await asyncio.sleep(0.05)


class Attempt:
    """One attempt; what the server had seen when it was claimed is kept."""

    traceparent = ""

    def __init__(self, server: ScriptedServer, seconds: float = 5.0) -> None:
        self._server = server
        self._seconds = seconds
        self.seen_at_claim: list[list[str]] = []
        self.command = make_command("email")

    async def claim(self) -> float:
        self.seen_at_claim.append(list(self._server.steps))
        return self._seconds


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    scripted = ScriptedServer()
    listener = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    scripted.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield scripted
        await scripted.say("")


async def send(mailer: Mailer, attempt: Attempt, to: str = "ahmed@example.com") -> EmailResult:
    return await send_email(EmailParams(to=to, subject="s", body="b"), attempt, mailer)


async def test_the_claim_stands_between_rcpt_and_data(
    server: ScriptedServer, open_mailer: OpenMailer
) -> None:
    attempt = Attempt(server)
    await send(open_mailer(server.port), attempt)
    assert attempt.seen_at_claim == [["greeting", "EHLO", "MAIL", "RCPT"]]
    assert server.steps == ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "content"]


@pytest.mark.parametrize("fault", [CLOSE, RESET, SILENCE])
@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT"])
async def test_broken_before_the_claim_is_surely_not_sent(
    server: ScriptedServer, open_mailer: OpenMailer, step: str, fault: str
) -> None:
    server.script = {step: [fault]}
    attempt = Attempt(server)
    mailer = open_mailer(server.port, COMMAND_SECONDS=0.1, CONNECT_SECONDS=0.2)
    with pytest.raises(RetryableError):
        await send(mailer, attempt)
    assert not attempt.seen_at_claim
    assert (await send(mailer, attempt)).response == "250 2.0.0 taken"


@pytest.mark.parametrize("fault", [CLOSE, RESET, SILENCE])
async def test_broken_before_the_content_is_surely_not_sent(
    server: ScriptedServer, open_mailer: OpenMailer, fault: str
) -> None:
    server.script = {"DATA": [fault]}
    attempt = Attempt(server, seconds=0.1)
    with pytest.raises(RetryableError, match="no answer to DATA"):
        await send(open_mailer(server.port), attempt)
    assert len(attempt.seen_at_claim) == 1
    assert "content" not in server.steps


@pytest.mark.parametrize(
    "fault", [CLOSE, RESET, SILENCE, "what?", "354 again", "100 odd", "25", "250-half"]
)
async def test_broken_after_the_content_is_unknown(
    server: ScriptedServer, open_mailer: OpenMailer, fault: str
) -> None:
    server.script = {"content": [fault]}
    mailer = open_mailer(server.port)
    with pytest.raises(OutcomeUnknown) as unknown:
        await send(mailer, Attempt(server, seconds=0.1))
    assert unknown.value.code == "smtp_no_last_reply"
    await send(mailer, Attempt(server))
    assert server.connections == 2


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        ("421 4.3.0 closing then close", RetryableError),
        ("421 4.7.0 try again later then close", ThrottledError),
        ("450 4.2.1 too fast", ThrottledError),
        ("451 4.3.0 local error", RetryableError),
        ("452 4.2.2 full", RetryableError),
        ("454 4.7.0 later", RetryableError),
        ("550 5.4.5 quota", ThrottledError),
        ("550 5.7.1 policy", ActionRequired),
        ("554 5.6.0 bad content", PermanentError),
    ],
)
@pytest.mark.parametrize("step", ["DATA", "content"])
async def test_a_refusal_of_the_content_is_definite(
    server: ScriptedServer,
    open_mailer: OpenMailer,
    step: str,
    reply: str,
    kind: type[AttemptFailure],
) -> None:
    server.script = {step: [reply]}
    mailer = open_mailer(server.port)
    with pytest.raises(kind):
        await send(mailer, Attempt(server))
    await send(mailer, Attempt(server))


async def test_any_reply_of_success_is_one(server: ScriptedServer, open_mailer: OpenMailer) -> None:
    server.script = {"content": ["251 2.0.0 forwarded"]}
    assert (await send(open_mailer(server.port), Attempt(server))).response.startswith("251")


async def test_a_reply_to_data_without_sense_is_surely_not_sent(
    server: ScriptedServer, open_mailer: OpenMailer
) -> None:
    server.script = {"DATA": ["250 ok"]}
    with pytest.raises(RetryableError, match="DATA was answered with 250"):
        await send(open_mailer(server.port), Attempt(server))
    assert "content" not in server.steps


@pytest.mark.parametrize("reply", ["500 what?", "502 not here", "504 no such thing"])
async def test_a_server_that_knows_no_ehlo(
    server: ScriptedServer, open_mailer: OpenMailer, reply: str
) -> None:
    server.script = {"EHLO": [reply]}
    await send(open_mailer(server.port), Attempt(server))
    assert server.steps[:3] == ["greeting", "EHLO", "HELO"]


async def test_something_else_at_the_address_of_the_mail_server(
    server: ScriptedServer, open_mailer: OpenMailer
) -> None:
    server.script = {"greeting": ["HTTP/1.1 400 Bad Request then close"]}
    with pytest.raises(RetryableError, match="not SMTP: check MIRSAL_SMTP_HOST, _PORT"):
        await send(open_mailer(server.port), Attempt(server))


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "replyTo"])
async def test_no_byte_beyond_ascii_goes_to_a_server_without_smtputf8(
    server: ScriptedServer, open_mailer: OpenMailer, field: str
) -> None:
    attempt = Attempt(server)
    config = {"to": "a@example.com", "subject": "س", "body": "ب", field: "أحمد@example.com"}
    with pytest.raises(PermanentError, match=f"{field} has letters before its @") as refused:
        await send_email(EmailParams.model_validate(config), attempt, open_mailer(server.port))
    assert refused.value.code == "smtputf8_unavailable"
    assert not attempt.seen_at_claim


@pytest.mark.parametrize(
    ("offers", "options"),
    [
        ("250-test\r\n250 SMTPUTF8", " SMTPUTF8"),
        ("250-test\r\n250-8BITMIME\r\n250 SMTPUTF8", " BODY=8BITMIME SMTPUTF8"),
    ],
)
async def test_a_server_is_asked_only_for_what_it_offers(
    server: ScriptedServer, open_mailer: OpenMailer, offers: str, options: str
) -> None:
    server.script = {"EHLO": [offers]}
    await send(open_mailer(server.port), Attempt(server), to="أحمد@example.com")
    assert f"MAIL FROM:<hello@mirsal.example>{options}" in server.lines


async def test_one_refused_recipient_refuses_the_mail(
    server: ScriptedServer, open_mailer: OpenMailer
) -> None:
    server.script = {"RCPT": ["250 ok", "550 5.1.1 nobody"]}
    mailer, attempt = open_mailer(server.port), Attempt(server)
    params = EmailParams(to="a@example.com", cc="b@example.com", subject="s", body="b")
    with pytest.raises(PermanentError, match=r"the recipient \(cc\)"):
        await send_email(params, attempt, mailer)
    assert not attempt.seen_at_claim
    assert server.steps[-1] == "RSET"
    await send(mailer, attempt)
    assert server.connections == 1


@pytest.mark.parametrize("farewell", ["", "421 4.4.2 idle for too long"])
async def test_a_kept_connection_that_the_server_closed_is_replaced(
    server: ScriptedServer, open_mailer: OpenMailer, farewell: str
) -> None:
    mailer, attempt = open_mailer(server.port), Attempt(server)
    await send(mailer, attempt)
    await server.say(farewell)
    await send(mailer, attempt)
    assert server.connections == 2
    assert Counter(server.steps)["content"] == 2


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("fault", [CLOSE, RESET, SILENCE, "421 4.4.2 idle then close"])
async def test_a_kept_connection_that_dies_before_the_claim_is_replaced_once(
    server: ScriptedServer, open_mailer: OpenMailer, step: str, fault: str
) -> None:
    mailer = open_mailer(server.port, COMMAND_SECONDS=0.1)
    attempt = Attempt(server)
    await send(mailer, attempt)
    server.script = {step: [fault]}
    await send(mailer, attempt)
    assert (server.connections, len(attempt.seen_at_claim)) == (2, 2)

    server.script = {step: [fault, fault]}
    with pytest.raises(RetryableError):
        await send(mailer, attempt)
    assert (server.connections, len(attempt.seen_at_claim)) == (3, 2)


async def test_a_refusal_on_a_kept_connection_is_no_reason_for_another(
    server: ScriptedServer, open_mailer: OpenMailer
) -> None:
    mailer = open_mailer(server.port)
    await send(mailer, Attempt(server))
    server.script = {"RCPT": ["450 4.2.1 too fast"]}
    with pytest.raises(ThrottledError):
        await send(mailer, Attempt(server))
    assert server.connections == 1


@pytest.mark.parametrize("step", ["MAIL", "DATA", "content"])
async def test_a_cancelled_attempt_leaves_no_half_done_connection(
    server: ScriptedServer, open_mailer: OpenMailer, step: str
) -> None:
    server.script = {step: [SILENCE]}
    mailer = open_mailer(server.port, COMMAND_SECONDS=60)
    sending = asyncio.create_task(send(mailer, Attempt(server)))
    async with asyncio.timeout(5):
        await server.reached[step].wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    async with asyncio.timeout(5):
        await send(mailer, Attempt(server))
    assert server.connections == 2
