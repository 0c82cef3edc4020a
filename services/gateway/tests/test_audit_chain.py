"""The chain of the audit log, and what it may hold of values: pure."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateway.audit.chain import BEGINNING, Head, Inspector, Row, link
from gateway.audit.masking import SECRET, find_changes, hide_secrets, mask_lead
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def chain(count: int, head: Head | None = None) -> list[Row]:
    """So many linked rows."""
    rows = [
        Row("w", 0, NOON + timedelta(seconds=number), "key", "k", "crm", "203.0.113.9",
            "lead.saved", f"l{number}", None, {"name": "[text]"}, b"", b"")
        for number in range(count)
    ]  # fmt: skip
    return list(link(rows, head or Head(0, BEGINNING)))


def findings(rows: Sequence[Row], known: Head | None = None) -> list[str]:
    """What is said of the rows."""
    inspector = Inspector(known)
    found = [each.text for row in rows for each in inspector.inspect(row)]
    return found + [each.text for each in inspector.end()]


def changed(rows: list[Row], index: int, **members: Any) -> list[Row]:
    """The rows with one that was written over."""
    return [*rows[:index], rows[index]._replace(**members), *rows[index + 1 :]]


def swapped(rows: list[Row], relink: bool) -> list[Row]:
    """The rows with the contents of two of them exchanged; with their hashes too, if `relink`."""
    one, other = rows[2], rows[4]
    links = {"seq", "previous"} if relink else {"seq", "previous", "hash"}
    keep = [{name: getattr(each, name) for name in links} for each in (one, other)]
    return [*rows[:2], other._replace(**keep[0]), rows[3], one._replace(**keep[1]), *rows[5:]]


def inserted(rows: list[Row]) -> list[Row]:
    """The rows with one more that is linked to the row before it; later ones count on."""
    (new,) = link([rows[0]], Head(rows[2].seq, rows[2].hash))
    return [*rows[:3], new, *(each._replace(seq=each.seq + 1) for each in rows[3:])]


TAMPERED: list[tuple[str, Callable[[list[Row]], list[Row]], str]] = [
    ("after", lambda rows: changed(rows, 3, after={"name": "[number]"}), "row 4 was changed"),
    ("before", lambda rows: changed(rows, 3, before={}), "row 4 was changed"),
    ("time", lambda rows: changed(rows, 3, at=NOON), "row 4 was changed"),
    ("actor", lambda rows: changed(rows, 3, actor_id="x"), "row 4 was changed"),
    ("name", lambda rows: changed(rows, 3, actor_name="x"), "row 4 was changed"),
    ("address", lambda rows: changed(rows, 3, address="x"), "row 4 was changed"),
    ("action", lambda rows: changed(rows, 3, action="lead.read"), "row 4 was changed"),
    ("object", lambda rows: changed(rows, 3, object_id="x"), "row 4 was changed"),
    ("hash", lambda rows: changed(rows, 3, hash=BEGINNING), "row 4 was changed"),
    ("first", lambda rows: rows[1:], "row 1 is missing"),
    ("one", lambda rows: [*rows[:3], *rows[4:]], "row 4 is missing"),
    ("several", lambda rows: [*rows[:2], *rows[5:]], "rows 3 to 5 are missing"),
    ("swapped", lambda rows: swapped(rows, relink=False), "row 3 was changed"),
    ("swapped whole", lambda rows: swapped(rows, relink=True), "row 3 was changed"),
    ("inserted", inserted, "row 5 was changed"),
]


@pytest.mark.parametrize(
    ("tamper", "text"), [each[1:] for each in TAMPERED], ids=[each[0] for each in TAMPERED]
)
def test_what_was_done_to_a_chain_shows(
    tamper: Callable[[list[Row]], list[Row]], text: str
) -> None:
    rows = chain(7)
    assert findings(rows) == []
    assert text in findings(tamper(rows))


def test_a_row_whose_hash_was_made_anew_does_not_fit_the_next() -> None:
    rows = chain(7)
    (forged,) = link([rows[3]._replace(object_id="x")], Head(rows[2].seq, rows[2].hash))
    assert findings([*rows[:3], forged, *rows[4:]]) == ["row 5 does not follow the row before it"]


def test_a_chain_that_was_written_anew_or_cut_off_differs_from_a_known_head() -> None:
    rows = chain(7)
    known = Head(rows[-1].seq, rows[-1].hash)
    assert findings([*rows, *chain(2, known)], known) == []
    assert findings(rows[:3], known) == ["rows 4 to 7 are missing at the end"]
    forged = list(link([each._replace(address="x") for each in rows], Head(0, BEGINNING)))
    assert findings(forged) == []
    assert findings(forged, known) == ["row 7 is not the one that was known"]


def test_a_head_is_read_as_it_was_written() -> None:
    head = Head(7, chain(7)[-1].hash)
    assert Head.parse(str(head)) == head
    for text in ("", "7", "7:", "7:zz", "0:" + "00" * 32, "x:" + "00" * 32, "7:00"):
        with pytest.raises(ValueError, match=r".+"):
            Head.parse(text)


@given(st.integers(1, 12), st.data())
def test_no_row_can_be_left_out_or_moved(count: int, data: st.DataObject) -> None:
    rows = chain(count)
    numbers = data.draw(st.lists(st.sampled_from(range(count)), max_size=count, unique=True))
    other = [rows[number] for number in numbers]
    assert (findings(other) == []) == (other == rows[: len(other)])


def test_of_a_lead_only_types_and_consent_are_told() -> None:
    lead: dict[str, Any] = {
        "name": "أحمد محمد",
        "email": "ahmed@example.com",
        "phone": "+201001234567",
        "locale": "ar-EG",
        "timeZone": None,
        "tags": ["diabetes"],
        "fields": {"city": "القاهرة", "salary": 7, "isOwner": True, "more": {"note": "x"}},
        "consent": {"email": True, "whatsapp": False},
    }
    before, after = find_changes({}, lead)
    assert before == dict.fromkeys(after)
    assert mask_lead(after) == {
        "name": "[text]",
        "email": "[email]",
        "phone": "[phone]",
        "locale": "ar-EG",
        "tags": "[1 items]",
        "fields": {
            "city": "[text]",
            "salary": "[number]",
            "isOwner": "[truth]",
            "more": {"note": "[text]"},
        },
        "consent": {"email": True, "whatsapp": False},
    }


def test_what_looks_like_a_secret_is_hidden() -> None:
    key = "mk_" + "4fQ9aZ" * 8
    given: dict[str, Any] = {
        "name": "crm",
        "password": "hunter2",
        "nested": [{"accessToken": "x", "apiKey": "y", "note": f"it was {key}."}],
        "credentialId": "c1",
        "header": "Bearer abcdefghijkl",
        "pem": "-----BEGIN PRIVATE KEY-----",
        "count": 3,
    }
    assert hide_secrets(given) == {
        "name": "crm",
        "password": SECRET,
        "nested": [{"accessToken": SECRET, "apiKey": SECRET, "note": SECRET}],
        "credentialId": "c1",
        "header": SECRET,
        "pem": SECRET,
        "count": 3,
    }
