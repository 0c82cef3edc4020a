"""What must hold of the functions that read what clients and leads send: no I/O, no servers.

The first letter of an input says who reads the rest.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from email_worker.addresses import Mailbox, parse_mailbox
from email_worker.headers import encode_mailboxes, encode_text
from gateway.jobs.cutting import Cutter
from gateway.leads.bulk import CsvReader, Line, NdjsonReader, Reader
from gateway.leads.contact import normalise_email, plus_of_query, region_of
from gateway.leads.contact import normalise_phone as normalise_leads_phone
from gateway.paging import Asked, read_cursor
from gateway.problems import Problem
from gateway.sending.addresses import read_address
from mirsal_runtime.failures import PermanentError
from mirsal_runtime.trace_context import child_traceparent, is_traceparent, trace_id_of
from mirsal_runtime.vault.address_index import index_address
from whatsapp_worker.phone import normalise_phone

_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FOLDED: Final = re.compile(r"(?:[^\r\n]*\r\n[ \t])*[^\r\n]*")
_TRACE_ID: Final = re.compile("[0-9a-f]{32}")


def try_reader(data: bytes) -> None:
    """Lets the reader that the first byte names read the rest."""
    if data:
        read = READERS.get(data[:1]) or _BY_NUMBER[data[0] % len(_BY_NUMBER)]
        read(data[1:])


def try_csv(data: bytes) -> None:
    """The lines are the same however the bytes come in, and cut into parts."""
    whole = _read_all(CsvReader(), [data])
    assert _read_all(CsvReader(), [data[at : at + 7] for at in range(0, len(data), 7)]) == whole
    _check_cuts(data, is_csv=True)


def try_ndjson(data: bytes) -> None:
    """As `try_csv`."""
    whole = _read_all(NdjsonReader(), [data])
    assert _read_all(NdjsonReader(), [data[at : at + 7] for at in range(0, len(data), 7)]) == whole
    _check_cuts(data, is_csv=False)


def try_cursor(data: bytes) -> None:
    """A cursor is what this API wrote, or a problem; what was read is written the same again."""
    text = data.decode("latin-1")
    try:
        cursor = read_cursor(text)
    except Problem as problem:
        _check_problem(problem)
        return
    assert read_cursor(cursor.to_text()) == cursor
    for name in ("place", "number"):
        try:
            getattr(Asked(cursor=text), name)
        except Problem as problem:
            _check_problem(problem)


def try_traceparent(data: bytes) -> None:
    """Whatever a caller sends, what is passed on is a traceparent."""
    text = data.decode("latin-1")
    child = child_traceparent(text)
    assert is_traceparent(child), child
    trace_id = trace_id_of(text)
    assert bool(trace_id) is is_traceparent(text)
    if trace_id:
        assert _TRACE_ID.fullmatch(trace_id), trace_id
        assert trace_id_of(child) == trace_id


def try_mailbox(data: bytes) -> None:
    """An address is one, without control characters, and adds no line to a header."""
    text = _as_text(data)
    try:
        mailbox = parse_mailbox(text, "to")
    except PermanentError:
        pass
    else:
        assert not _CONTROL.search(mailbox.address + mailbox.name.replace("\t", " ")), mailbox
        assert not set(mailbox.address) & set("<>,; "), mailbox
        assert mailbox.address.count("@") == 1, mailbox
        _check_header(encode_mailboxes([mailbox, Mailbox("", mailbox.address)], len("To: ")))
        assert parse_mailbox(mailbox.address, "to").address == mailbox.address
        # Whoever can be written to can be listed, and is found then.
        assert index_of("email", read_address("email", mailbox.address)) == index_of(
            "email", mailbox.address
        )
        with suppress(ValueError):
            assert index_of("email", read_address("email", text)) == index_of(
                "email", mailbox.address
            )
    try:
        address = normalise_email(text)
    except ValueError:
        return
    assert not _CONTROL.search(address), address
    assert normalise_email(address) == address


def try_header(data: bytes) -> None:
    """A subject stays one header, whose lines are folded."""
    _check_header(encode_text(_as_text(data), len("Subject: ")))


def try_phone(data: bytes) -> None:
    """A number is digits in one form, which stays what it is."""
    text = _as_text(data)
    for region in ("", "SA"):
        try:
            number = normalise_phone(text, region)
        except PermanentError:
            continue
        assert number.isascii(), number
        assert number.isdecimal(), number
        assert normalise_phone(f"+{number}", region) == number
        assert read_address("whatsapp", f"+{number}") == f"+{number}", number
    plus_of_query(text)
    try:
        kept = normalise_leads_phone(text, region_of(text))
    except ValueError:
        return
    assert normalise_leads_phone(kept, region_of(text)) == kept, kept


def index_of(channel: str, address: str) -> bytes:
    """What lists and connectors compare."""
    return index_address(b"key", channel, address)


def _as_text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _read_all(reader: Reader, chunks: list[bytes]) -> list[Line] | str:
    """The lines, or the detail of the problem."""
    try:
        lines = [line for chunk in chunks for line in reader.feed(chunk)]
        lines += reader.close()
    except Problem as problem:
        _check_problem(problem)
        return str(problem.faults)
    for line in lines:
        assert (line.lead is None) is bool(line.faults), line
    return lines


def _check_cuts(data: bytes, *, is_csv: bool) -> None:
    """The parts are the whole without its header."""
    cutter = Cutter(is_csv=is_csv)
    try:
        pieces = [*cutter.feed(data), *cutter.close()]
    except Problem as problem:
        _check_problem(problem)
        return
    joined = b"".join(piece.body for piece in pieces)
    assert data.endswith(joined)
    assert is_csv or joined == data


def _check_problem(problem: Problem) -> None:
    assert problem.status == 422, problem


def _check_header(value: str) -> None:
    assert _FOLDED.fullmatch(value), value
    assert not _CONTROL.search(value.replace("\r\n", "")), value


READERS: Final[dict[bytes, Callable[[bytes], None]]] = {
    b"c": try_csv,
    b"n": try_ndjson,
    b"p": try_cursor,
    b"t": try_traceparent,
    b"a": try_mailbox,
    b"h": try_header,
    b"f": try_phone,
}
_BY_NUMBER: Final = list(READERS.values())
