"""Mail servers of credentials: nothing of the environment's account, and public addresses only."""

import socket
from collections.abc import Callable
from typing import Any

import pytest
from email_worker.accounts import settings_for
from email_worker.mailer import open_mailer
from email_worker.settings import SmtpSettings
from mirsal_contracts.credentials import ACCOUNT, Account
from mirsal_runtime.failures import ActionRequired, AttemptFailure
from mirsal_testing.simulators.smtp import SmtpSimulator

MakeSettings = Callable[..., SmtpSettings]
SECRET = "s3cr3t-p4ssw0rd"


def account(**members: Any) -> Account:
    return ACCOUNT.validate_python({"type": "smtp", "host": "mail.example", **members})


def test_an_account_has_nothing_of_the_environments(make_settings: MakeSettings) -> None:
    own = make_settings(
        25, USERNAME="own", PASSWORD=SECRET, FROM_NAME="Own", CA_FILE="/ca.pem", CONNECTIONS=3
    )
    made = settings_for(account(username="theirs@acme.example"), own)
    assert made.place == "mail.example:587"
    assert (made.tls, made.ca_file, made.from_name) == ("starttls", None, "")
    assert made.sender.address == "theirs@acme.example"
    assert made.password.get_secret_value() == ""
    assert (made.connections, made.public_only) == (3, True)
    full = {"username": "a", "password": "p", "from": "b@acme.example", "fromName": "B"}
    made = settings_for(account(**full, port=2525, tls="tls"), own)
    assert made.place == "mail.example:2525"
    assert (made.username, made.password.get_secret_value()) == ("a", "p")
    assert made.sender == ("B", "b@acme.example")


def test_a_credential_sends_nothing_in_plain_text(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_settings(25)
    with pytest.raises(ActionRequired, match="the credential's tls is none") as refused:
        settings_for(account(tls="none"), own)
    assert refused.value.code == "credential_refused"
    assert "MIRSAL" not in str(refused.value), "whose credential it is has no environment"
    monkeypatch.setenv("MIRSAL_ALLOW_PLAINTEXT", "true")
    assert settings_for(account(tls="none"), make_settings(25)).tls == "none"


@pytest.mark.parametrize("wrong", [{"from": "no address"}, {"from": "müller@example.com"}])
def test_an_account_that_cannot_work_is_refused_without_being_shown(
    make_settings: MakeSettings, wrong: dict[str, str]
) -> None:
    with pytest.raises(ActionRequired) as refused:
        settings_for(account(username="a", password=SECRET, **wrong), make_settings(25))
    assert refused.value.code == "credential_refused"
    assert SECRET not in str(refused.value)
    assert "MIRSAL" not in str(refused.value), "it is not the environment that has to be changed"


async def test_an_account_reaches_no_private_network_unless_the_installation_says_so(
    server: SmtpSimulator, make_settings: MakeSettings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.05)
        theirs = account(host="localhost", port=canary.getsockname()[1], tls="none")
        async with open_mailer(settings_for(theirs, make_settings(25))) as mailer:
            with pytest.raises(ActionRequired) as refused:
                await mailer.check()
        assert refused.value.code == "smtp_address_refused"
        with pytest.raises(TimeoutError):
            canary.accept()
    theirs = account(host="localhost", port=server.port, tls="none")
    own = make_settings(25, PRIVATE_HOSTS="true")
    async with open_mailer(settings_for(theirs, own)) as mailer:
        await mailer.check()


async def test_what_is_wrong_with_an_account_is_said_in_its_own_words(
    server: SmtpSimulator, make_settings: MakeSettings
) -> None:
    """The simulator offers no STARTTLS."""
    theirs = account(host="localhost", port=server.port, tls="starttls")
    settings = settings_for(theirs, make_settings(25, PRIVATE_HOSTS="true"))
    async with open_mailer(settings) as mailer:
        with pytest.raises(AttemptFailure, match="correct the credential's tls"):
            await mailer.check()
    assert settings.point_to("HOST", "PORT") == "the credential's host, port"
    assert make_settings(25).point_to("HOST", "PORT") == "MIRSAL_SMTP_HOST, _PORT"
