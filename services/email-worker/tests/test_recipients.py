"""Whom a mail is written to, as the daily cap counts and lists of addresses compare them."""

from typing import Any

import pytest
from email_worker.accounts import find_recipients
from email_worker.main import connector
from email_worker.message import recipients_of
from email_worker.params import EmailParams


@pytest.mark.parametrize(
    ("config", "recipients"),
    [
        ({}, 0),
        ({"to": "a@example.com"}, 1),
        ({"to": "a@example.com", "cc": "b@example.com"}, 2),
        ({"to": "a@example.com", "cc": ["b@example.com"], "bcc": ["c@example.com", " "]}, 3),
        ({"to": "a@example.com", "bcc": [f"{n}@example.com" for n in range(50)]}, 51),
    ],
)
def test_every_recipient_counts(config: dict[str, Any], recipients: int) -> None:
    params = EmailParams.model_validate({"subject": "s", "body": "b", **config})
    assert connector.count_recipients is not None
    assert connector.count_recipients(params) == recipients


@pytest.mark.parametrize(
    ("config", "addresses"),
    [
        ({}, ()),
        ({"to": "Sara <S@EXAMPLE.com>"}, ("S@example.com",)),
        ({"to": "a@Bücher.example", "cc": "b@example.com"},
         ("a@xn--bcher-kva.example", "b@example.com")),
        ({"to": "a@example.com", "bcc": ["b@example.com"], "replyTo": "c@example.com"},
         ("a@example.com", "b@example.com")),
    ],
)  # fmt: skip
def test_recipients_are_as_lists_compare_them(
    config: dict[str, Any], addresses: tuple[str, ...]
) -> None:
    params = EmailParams.model_validate({"subject": "s", "body": "b", **config})
    assert recipients_of(params) == addresses
    assert connector.recipients is find_recipients
