"""Which addresses pass, as what, and that a refusal says what to do."""

import pytest
from email_worker.addresses import Mailbox, parse_mailbox
from mirsal_runtime.failures import PermanentError

ACCEPTED = {
    "ahmed@example.com": Mailbox("", "ahmed@example.com"),
    "  ahmed@example.com ": Mailbox("", "ahmed@example.com"),
    "\u200fahmed@example.com\u200e": Mailbox("", "ahmed@example.com"),
    "<ahmed@example.com>": Mailbox("", "ahmed@example.com"),
    "Ahmed <ahmed@example.com>": Mailbox("Ahmed", "ahmed@example.com"),
    "أحمد محمد <ahmed@example.com>": Mailbox("أحمد محمد", "ahmed@example.com"),
    '"Mohammed, Ahmed" <ahmed@example.com>': Mailbox("Mohammed, Ahmed", "ahmed@example.com"),
    r'"a \"b\" \\" <ahmed@example.com>': Mailbox('a "b" \\', "ahmed@example.com"),
    "o'brien+tag@example.co.uk": Mailbox("", "o'brien+tag@example.co.uk"),
    "sales@مثال.إختبار": Mailbox("", "sales@xn--mgbh0fb.xn--kgbechtv"),
    "info@bücher.example": Mailbox("", "info@xn--bcher-kva.example"),
    "أحمد@example.com": Mailbox("", "أحمد@example.com"),
    "root@localhost": Mailbox("", "root@localhost"),
    "lead@shop.test": Mailbox("", "lead@shop.test"),
}
REFUSED = [
    "",
    "ahmed",
    "@example.com",
    "ahmed@",
    "ahmed@@example.com",
    "ahmed@example..com",
    "ahmed@-example.com",
    ".ahmed@example.com",
    "ah med@example.com",
    "ahmed@example.com.",
    "a@example.com,b@example.com",
    "a@example.com b@example.com",
    "x" * 65 + "@example.com",
    "a@" + "x" * 64 + ".com",
    "a@" + "x." * 130 + "com",
    "a" * 2000,
    '"quoted local"@example.com',
    "ahmed@[127.0.0.1]",
]


@pytest.mark.parametrize(("text", "mailbox"), ACCEPTED.items())
def test_accepted(text: str, mailbox: Mailbox) -> None:
    assert parse_mailbox(text, "to") == mailbox


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(PermanentError) as refused:
        parse_mailbox(text, "cc[3]")
    assert refused.value.code == "invalid_address"
    assert refused.value.message.startswith("cc[3] ")


def test_two_addresses_are_named_as_such() -> None:
    with pytest.raises(PermanentError, match="more than one address: give one"):
        parse_mailbox("a@example.com, b@example.com", "to")


@pytest.mark.parametrize(
    "character", ["\r", "\n", "\x00", "\x0b", "\x1c", "\x7f", "\x85", "\u2028"]
)
def test_control_character_is_named(character: str) -> None:
    with pytest.raises(PermanentError, match=f"U\\+{ord(character):04X}") as refused:
        parse_mailbox(f"ahmed@example.com{character}", "to")
    assert refused.value.code == "invalid_header"
