"""Which numbers pass, as what, and that a refusal says what to do."""

import pytest
from mirsal_runtime.failures import PermanentError
from whatsapp_worker.phone import normalise_phone

ACCEPTED = [
    ("+966501234567", "", "966501234567"),
    ("+966 50 123 4567", "", "966501234567"),
    ("+966 (0) 50-123-4567", "", "966501234567"),
    ("00966501234567", "", "966501234567"),
    ("00966501234567", "SA", "966501234567"),
    ("0501234567", "SA", "966501234567"),
    ("501234567", "SA", "966501234567"),
    ("٠٥٠١٢٣٤٥٦٧", "SA", "966501234567"),
    ("+٩٦٦٥٠١٢٣٤٥٦٧", "", "966501234567"),
    ("۰۹۱۲۳۴۵۶۷۸۹", "IR", "989123456789"),
    ("+۹۸ ۹۱۲ ۳۴۵ ۶۷۸۹", "", "989123456789"),
    ("0532 123 45 67", "TR", "905321234567"),
    ("+90 532 123 45 67", "SA", "905321234567"),
    ("\u200e+966501234567\u200f", "", "966501234567"),
    ("\u202a+966 50 123 4567\u202c", "", "966501234567"),
    ("+966\u00a050\u2011123\u20134567", "", "966501234567"),
    ("\uff0b966501234567", "", "966501234567"),
    ("  +966501234567\n", "", "966501234567"),
    ("+15550001111", "", "15550001111"),
    ("+39 06 1234 5678", "", "390612345678"),
]
REFUSED = [
    ("00091523457", "SA", "zeros"),
    ("0501234567", "", "no country code"),
    ("966501234567", "", "no country code"),
    ("+96650123", "", "too short"),
    ("+9665012345678901", "", "too long"),
    ("+999501234567", "", "no phone number"),
    ("", "SA", "not one phone number"),
    ("abc", "SA", "not one phone number"),
    ("+1-800-FLOWERS", "", "not one phone number"),
    ("+966501234567, +966501234568", "", "not one phone number"),
    ("+966501234567 / +966501234568", "", "not one phone number"),
    ("0501234567/0501234568", "SA", "no phone number"),
    ("+966501234567 ext 5", "", "not one phone number"),
    ("lead@example.com", "SA", "not one phone number"),
    ("+" * 70, "", "not one phone number"),
    ("+", "", "not one phone number"),
    ("()", "SA", "no phone number"),
    ("12", "SA", "too short"),
]


@pytest.mark.parametrize(("text", "region", "digits"), ACCEPTED)
def test_accepted(text: str, region: str, digits: str) -> None:
    assert normalise_phone(text, region) == digits


@pytest.mark.parametrize(("text", "region", "fault"), REFUSED)
def test_refused(text: str, region: str, fault: str) -> None:
    with pytest.raises(PermanentError, match=fault) as refused:
        normalise_phone(text, region)
    assert refused.value.code == "invalid_phone"
    assert "+966501234567" in refused.value.message
