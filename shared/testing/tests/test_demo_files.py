"""The demo's leads and workflow are what they claim to be."""

import re
import unicodedata
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from mirsal_testing.demo.expected import expect_for
from mirsal_testing.demo.story import DemoError, read_leads, read_story
from mirsal_testing.servers.cache import repository_folder

EXAMPLES = (repository_folder() or Path.cwd()) / "examples"
LEADS = EXAMPLES / "leads.csv"
STORY = read_story(LEADS, EXAMPLES / "welcome.workflow.json")
PERSIAN_LETTERS = set("پچژگکی")
TURKISH_LETTERS = set("ığşİĞŞçÇöÖüÜ")


def rows() -> list[dict[str, str]]:
    header, *lines = LEADS.read_text("utf-8").splitlines()
    return [dict(zip(header.split(","), line.split(","), strict=True)) for line in lines]


def test_there_are_200_leads_and_the_first_is_the_acceptance_storys() -> None:
    assert len(STORY.leads) == 200
    assert (STORY.leads[0].name, STORY.leads[0].email) == ("أحمد محمد", "ahmed@example.com")


def test_phones_are_valid_and_in_e164() -> None:
    for lead in STORY.leads:
        number = phonenumbers.parse(lead.phone)
        assert phonenumbers.is_valid_number(number), lead
        assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == lead.phone


def test_nobody_real_can_be_written_to() -> None:
    assert all(re.search(r"@example\.(com|org)$", lead.email) for lead in STORY.leads)


def test_names_come_in_four_scripts() -> None:
    def letters_of(name: str) -> str:
        return unicodedata.name(next(filter(str.isalpha, name))).partition(" ")[0]

    arabic_script = [row for row in rows() if letters_of(row["name"]) == "ARABIC"]
    persian = [row for row in arabic_script if PERSIAN_LETTERS & set(row["name"])]
    turkish = [row for row in rows() if row["locale"].startswith("tr")]
    assert len(arabic_script) >= 80
    assert len(persian) >= 30
    assert len([row for row in turkish if TURKISH_LETTERS & set(row["name"])]) >= 25
    assert len(rows()) - len(arabic_script) - len(turkish) >= 50


def test_places_are_real() -> None:
    for row in rows():
        ZoneInfo(row["timeZone"])
        assert row["city"].strip()
        assert re.fullmatch(r"[a-z]{2}(-[A-Z][a-z]{3})?-[A-Z]{2}", row["locale"])


def test_some_name_shows_whether_html_is_escaped() -> None:
    risky = next(lead for lead in STORY.leads if "&" in lead.name)
    expected = expect_for(risky, STORY.workflow)
    assert "Thompson &amp; Sons" in expected.html
    assert "Thompson & Sons" in expected.body


def test_two_leads_with_one_phone_are_refused(tmp_path: Path) -> None:
    lines = LEADS.read_text("utf-8").splitlines()
    phone = lines[1].split(",")[3]
    twice = lines[2].replace(lines[2].split(",")[3], phone)
    (tmp_path / "leads.csv").write_text("\n".join([*lines[:2], twice]), "utf-8")
    with pytest.raises(DemoError, match="phone"):
        read_leads(tmp_path / "leads.csv")
