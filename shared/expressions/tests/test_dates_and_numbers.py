"""The filters `date` and `number`, in every script and zone."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from mirsal_expressions import ExpressionError, render_template

EVENING = "2025-03-05T22:15:07.5Z"


def render(value: object, filters: str) -> str:
    lead = {"locale": "ar-AE", "timeZone": "Asia/Dubai", "phone": None, "fields": {"x": value}}
    return render_template("{{ lead.fields.x | " + filters + " }}", {"lead": lead})


@pytest.mark.parametrize(
    ("value", "filters", "text"),
    [
        (EVENING, "date", "2025-03-05"),
        (EVENING, "date(timeZone=lead.timeZone)", "2025-03-06"),
        (EVENING, 'date("%Y-%m-%d %H:%M:%S %z %Z")', "2025-03-05 22:15:07 +00:00 UTC"),
        (EVENING, 'date("%d/%m/%y %I:%M %p", "Asia/Dubai")', "06/03/25 02:15 AM"),
        (EVENING, 'date("%-d.%-m. %-H:%M", timeZone="Europe/Istanbul")', "6.3. 1:15"),
        (EVENING, 'date("%H:%M %Z", timeZone=lead.phone)', "22:15 UTC"),
        ("2025-03-05T22:15:00+03:30", 'date("%H:%M %z")', "22:15 +03:30"),
        ("2025-03-05T22:15:00-03:30", 'date("%H:%M %z", "UTC")', "01:45 +00:00"),
        ("2025-03-05T01:00:00-03:30", 'date("%z")', "-03:30"),
        ("2025-03-05t22:15z", 'date("%H:%M")', "22:15"),
        ("2025-03-05 22:15:00", 'date("%H:%M %z")', "22:15 +00:00"),
        ("2025-03-05T22:15:00.123456789Z", 'date("%S")', "00"),
        (" 2025-03-05 ", "date", "2025-03-05"),
        ("2025-03-05", 'date("%d %H:%M %p%Z%z", "Asia/Tokyo")', "05 00:00 AM"),
        (date(2024, 2, 29), 'date("%j")', "060"),
        (datetime(2025, 1, 1, 12, tzinfo=UTC), 'date("%I %p")', "12 PM"),
        (datetime(2025, 1, 1, 0, 5), 'date("%I %p %z")', "12 AM +00:00"),  # noqa: DTZ001  # naive
        (
            datetime(2025, 1, 1, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
            'date("%z")',
            "-05:30",
        ),
        (EVENING, 'date("%A %-d %B %Y", locale=lead.locale)', "الأربعاء 5 مارس 2025"),
        (EVENING, 'date("%-d %b %Y", locale="ar", digits="arab")', "٥ مارس ٢٠٢٥"),
        (EVENING, 'date("%A %-d %B", locale="fa-IR", digits="arabext")', "چهارشنبه ۵ مارس"),
        (EVENING, 'date("%a %-d %b %A", locale="tr")', "Çar 5 Mar Çarşamba"),
        (EVENING, 'date("%a %-d %b %B %p", locale="de")', "Wed 5 Mar March PM"),
        (EVENING, 'date("100%%")', "100%"),
        (None, "date", ""),
        ("9999-12-31T23:59:59Z", 'date("%Y", "America/New_York")', "9999"),
        ("0999-01-02", 'date("%Y %-Y")', "0999 999"),
    ],
)
def test_date(value: object, filters: str, text: str) -> None:
    assert render(value, filters) == text


@pytest.mark.parametrize(
    ("value", "filters", "words"),
    [
        ("yesterday", "date", "takes a date such as 2025-03-05"),
        ("2025-02-30", "date", "there is no such date"),
        ("2025-03-05T25:00:00Z", "date", "there is no such date"),
        ("٢٠٢٥-٠٣-٠٥", "date", "takes a date such as"),
        (1741212907, "date", "takes a date such as"),
        (True, "date", "takes a date such as"),
        (["2025-03-05"], "date", "takes a date such as"),
        ("9999-12-31T23:59:59Z", 'date("%Y", "Asia/Dubai")', "out of range in this zone"),
        (EVENING, "date(timeZone=lead.locale)", "the time zone is not known"),
        (EVENING, "date(timeZone=lead.fields.x)", "the time zone is not known"),
        (EVENING, "date(lead.phone)", "the format is a text"),
        (EVENING, "date(timeZone=lead.fields)", "timeZone is a name"),
        (EVENING, "date(locale=lead.fields)", "locale is a language"),
        (EVENING, "date(digits=lead.phone)", 'digits is "latn"'),
    ],
)
def test_date_refuses(value: object, filters: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        render(value, filters)


@pytest.mark.parametrize("zone", ["America", "../UTC", "/etc/passwd", "A" * 65, "A/" * 20, "", "."])
def test_a_zone_from_a_lead_reads_no_other_file(zone: str) -> None:
    lead: dict[str, Any] = {"timeZone": zone, "fields": {"x": EVENING}}
    with pytest.raises(ExpressionError, match="the time zone is not known"):
        render_template("{{ lead.fields.x | date(timeZone=lead.timeZone) }}", {"lead": lead})


@pytest.mark.parametrize(
    ("value", "filters", "text"),
    [
        (1234567.891, "number", "1,234,567.891"),
        (1234567.891, "number(2)", "1,234,567.89"),
        (1234567, "number(2)", "1,234,567.00"),
        (999, "number", "999"),
        (20.0, "number", "20"),
        (2.5, "number(0)", "3"),
        (-2.5, "number(0)", "-3"),
        (0.125, "number(2)", "0.13"),
        (1.005, "number(2)", "1.01"),
        (-0.001, "number(1)", "0.0"),
        ("1234.5", "number(2)", "1,234.50"),
        (" -7 ", "number", "-7"),
        ("١٢٣٤٫٥", "number(1)", "1,234.5"),
        (1234567.5, 'number(2, "arab")', "١٬٢٣٤٬٥٦٧٫٥٠"),
        (1234567.5, 'number(digits="arabext")', "۱٬۲۳۴٬۵۶۷٫۵"),
        (1234567.5, 'number(2, thousands=".", point=",")', "1.234.567,50"),
        (1234567.5, 'number(1, thousands="")', "1234567.5"),
        (1e22, "number", "10,000,000,000,000,000,000,000"),
        (2**70, "number", f"{2**70:,}"),
        (1e-7, "number", "0.0000001"),
        (Decimal("12.340"), "number", "12.340"),
        (None, "number(2)", ""),
    ],
)
def test_number(value: object, filters: str, text: str) -> None:
    assert render(value, filters) == text


@pytest.mark.parametrize(
    ("value", "filters", "words"),
    [
        ("1,234", "number", "takes a number"),
        ("1e999999999", "number", "takes a number"),
        ("abc", "number", "takes a number"),
        ("", "number", "takes a number"),
        (True, "number", "takes a number"),
        ([1], "number", "takes a number"),
        (float("inf"), "number", "takes a number"),
        (float("nan"), "number", "takes a number"),
        (2**5000, "number", "takes a number"),
        (Decimal("1e999999"), "number", "takes a number"),
        (1, "number(lead.locale)", "decimals is a whole number"),
        (1, "number(thousands=lead.locale)", "short texts"),
    ],
)
def test_number_refuses(value: object, filters: str, words: str) -> None:
    with pytest.raises(ExpressionError, match=words):
        render(value, filters)
