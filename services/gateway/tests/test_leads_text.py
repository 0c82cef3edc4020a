"""Phone numbers, addresses, and the lines of imports."""

import csv
import io

import orjson
import pytest
from gateway.leads.bulk import LINE_BYTES, CsvReader, Line, NdjsonReader, Reader
from gateway.leads.contact import normalise_email, normalise_phone, region_of
from gateway.leads.schemas import LeadDraft
from gateway.problems import Problem
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("+20 100 123 4567", None, "+201001234567"),
        ("٠١٠٠١٢٣٤٥٦٧", "EG", "+201001234567"),
        ("+٩٦٦٥٠١٢٣٤٥٦٧", None, "+966501234567"),
        ("0100 123 4567", "EG", "+201001234567"),
        ("00201001234567", "DE", "+201001234567"),
        ("\u202a+90 (532) 123-45-67\u202c", None, "+905321234567"),
        ("0100 123 4567", None, "0100 123 4567"),
        (" 4711 ", None, "4711"),
        ("+9 500012458", None, "+9 500012458"),
    ],
)
def test_a_phone_number_becomes_e164_where_it_can(
    text: str, region: str | None, expected: str
) -> None:
    assert normalise_phone(text, region) == expected


@pytest.mark.parametrize("text", ["", "call me", "12", "+20 100 abc", "1" * 50, "1;2;3;4"])
def test_what_is_no_phone_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="phone number"):
        normalise_phone(text, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ahmed@EXAMPLE.com", "Ahmed@example.com"),
        ("أحمد@مثال.إختبار", "أحمد@مثال.إختبار"),
        ("a@b.test", "a@b.test"),
        ("a@localhost", "a@localhost"),
    ],
)
def test_an_address_is_kept(text: str, expected: str) -> None:
    assert normalise_email(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "@b.c", "a b@c.d", "a@b.c, d@e.f", "a@b.c>\r\nRCPT TO:<x@y.z", "a@b..c"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="e-mail"):
        normalise_email(text)


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_address_is_none(blank: str | None) -> None:
    lead = LeadDraft.model_validate({"email": blank, "phone": blank})
    assert (lead.email, lead.phone) == (None, None)


@pytest.mark.parametrize(
    ("locale", "expected"),
    [("ar-EG", "EG"), ("zh-Hant-TW", "TW"), ("pt_br", "BR"), ("ar", None), (None, None)],
)
def test_a_locale_may_name_a_country(locale: str | None, expected: str | None) -> None:
    assert region_of(locale) == expected


def read(reader: Reader, text: bytes, size: int = 1_000_000) -> list[Line]:
    """All lines of `text`, fed in pieces of `size`."""
    lines: list[Line] = []
    for start in range(0, len(text), size):
        lines.extend(reader.feed(text[start : start + size]))
    lines.extend(reader.close())
    return lines


def test_ndjson_lines_stand_for_themselves() -> None:
    text = (
        b'\xef\xbb\xbf{"leadId": "a", "email": "a@example.com"}\r\n'
        b"\n"
        b'{"leadId": "b", "email": "nonsense", "phone": 5}\n'
        b'{"leadId": "c"\n'
        b'{"name": "nobody"}\n'
        b'{"leadId": "d", "fields": {"city": "\\u0000"}}\n'
        b'{"leadId": "e"}'
    )
    lines = read(NdjsonReader(), text)
    assert [line.lead.lead_id for line in lines if line.lead] == ["a", "e"]
    assert [(f.line, f.pointer) for line in lines for f in line.faults] == [
        (3, "/email"),
        (3, "/phone"),
        (4, ""),
        (5, "/leadId"),
        (6, "/fields/city"),
    ]


def test_csv_has_columns_for_all_that_a_lead_has() -> None:
    text = (
        "leadId,name,email,phone,locale,timeZone,tags,"
        "consent.email,consent.whatsapp,city,fields.score\n"
        'a,"محمد, أحمد",a@example.com,+201001234567,ar-EG,Africa/Cairo,new; vip,'
        "yes,false,القاهرة,7\n"
        'b,"two\nlines",,,,,,,,,\n'
        "c,too,few\n"
        "d,,,,,,,maybe,,,\n"
        'e,"open,,,,,,,,,\n'
    ).encode()
    lines = read(CsvReader(), text)
    leads = [line.lead for line in lines if line.lead]
    assert leads[0].model_dump(by_alias=True) == {
        "leadId": "a",
        "name": "محمد, أحمد",
        "email": "a@example.com",
        "phone": "+201001234567",
        "locale": "ar-EG",
        "timeZone": "Africa/Cairo",
        "tags": ("new", "vip"),
        "fields": {"city": "القاهرة", "score": "7"},
        "consent": {"email": True, "whatsapp": False},
    }
    assert leads[1].name == "two\nlines"
    assert leads[1].email is None
    assert [(f.line, f.pointer, f.message) for line in lines for f in line.faults] == [
        (5, "", "has 3 cells, and the header 11"),
        (6, "/consent/email", "Input should be a valid boolean"),
        (7, "", "a quoted value does not end"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"name,email\n", "one of them must be leadId"),
        (b"id,city,city\n", "a name of its own"),
        (b"id,,b\n", "a name of its own"),
        (b"id\n" + b"x" * (LINE_BYTES + 1), "Line 2 is longer"),
        (b"id\n" + b"x" * (LINE_BYTES + 1) + b"\nb\n", "Line 2 is longer"),
        (b'id\n"' + b"x\n" * LINE_BYTES, "The record of line 2 does not end"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(text: bytes, message: str) -> None:
    with pytest.raises(Problem) as caught:
        read(CsvReader(), text)
    assert caught.value.status == 422
    assert message in caught.value.faults[0].message


names = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8)


@given(st.lists(names, max_size=6), st.integers(1, 40))
def test_where_the_chunks_end_does_not_matter(found: list[str], size: int) -> None:
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["leadId", "name"])
    ndjson = b""
    for number, name in enumerate(found):
        writer.writerow([f"l{number}", name])
        ndjson += orjson.dumps({"leadId": f"l{number}", "name": name}) + b"\n"
    for kind, text in ((CsvReader, table.getvalue().encode()), (NdjsonReader, ndjson)):
        assert read(kind(), text, size) == read(kind(), text)
        assert len(read(kind(), text)) == len(found)
