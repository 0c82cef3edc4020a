"""The `mirsal` helpers: the same answers in both languages."""

import json
from pathlib import Path
from typing import Any

import pytest
from code_runner.rehearsal import Machine

CASES = json.loads((Path(__file__).parent / "data" / "helpers.json").read_text("utf-8"))
CODES = {
    "python": """
import mirsal
def main(input):
    def tried(call, *arguments):
        try:
            return call(*arguments)
        except ValueError:
            return None
    return {
        "phone": [tried(mirsal.normalise_phone, *given) for given, _ in input["phone"]],
        "date": [tried(mirsal.parse_date, given) for given, _ in input["date"]],
        "arabic": [mirsal.normalise_arabic(given) for given, _ in input["arabic"]],
        "ascii": [mirsal.to_ascii_digits(given) for given, _ in input["ascii"]],
        "digits": [mirsal.to_arabic_digits(given) for given, _ in input["digits"]],
    }
""",
    "javascript": """
function main(input) {
  const tried = (call) => { try { return call() } catch { return null } };
  return {
    phone: input.phone.map(([given]) => tried(() => mirsal.normalisePhone(...given))),
    date: input.date.map(([given]) => tried(() => mirsal.parseDate(given))),
    arabic: input.arabic.map(([given]) => mirsal.normaliseArabic(given)),
    ascii: input.ascii.map(([given]) => mirsal.toAsciiDigits(given)),
    digits: input.digits.map(([given]) => mirsal.toArabicDigits(given)),
  };
}
""",
}


@pytest.mark.parametrize("language", CODES)
async def test_the_helpers_say_what_the_table_says(machine: Machine, language: str) -> None:
    ran = await machine.run(language, CODES[language], CASES)
    wanted: dict[str, Any] = {
        name: [answer for _, answer in pairs] for name, pairs in CASES.items()
    }
    assert ran.verdict.result == wanted, ran


@pytest.mark.parametrize("language", CODES)
async def test_a_month_may_come_first(machine: Machine, language: str) -> None:
    codes = {
        "python": "import mirsal\ndef main(i): return mirsal.parse_date(i, day_first=False)",
        "javascript": "function main(i) { return mirsal.parseDate(i, { dayFirst: false }) }",
    }
    ran = await machine.run(language, codes[language], "3/12/2026")
    assert ran.verdict.result == "2026-03-12"
