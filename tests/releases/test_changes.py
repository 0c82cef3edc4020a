"""Changelog fragments are well-formed, versions agree, and a release is cut of both."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from mirsal_deploy.places import SERVICES
from mirsal_testing.releases.changes import (
    PLATFORM,
    Fragment,
    MalformedFragment,
    next_versions,
    read_fragments,
)
from mirsal_testing.releases.keeping import current_schemas, versions_of
from mirsal_testing.releases.kept import last_release, number_of
from mirsal_testing.releases.versions import read_versions, services_of, write_versions

ROOT = Path(__file__).parents[2]
FRAGMENTS = read_fragments(ROOT, services_of(ROOT))
CURRENT = {"gateway": "0.4.1", "email-worker": "1.2.3", "orchestrator": "0.1.0", PLATFORM: "0.4.0"}


def draft(version: str) -> str:
    """The changelog's next part, as towncrier would write it."""
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--date", "2026-11-23"]
    done = subprocess.run(
        [*command, "--version", version], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_every_fragment_is_in_the_next_changelog() -> None:
    written = " ".join(draft("9.9.9").split())
    assert "## 9.9.9 (2026-11-23)" in written
    assert [each for each in FRAGMENTS if " ".join(each.text.split()) not in written] == []


def test_each_service_has_its_part_of_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    parts = [section["path"] for section in project["tool"]["towncrier"]["section"]]
    assert sorted(parts) == sorted([PLATFORM, *services_of(ROOT)])
    assert set(SERVICES) == set(services_of(ROOT))


@pytest.mark.parametrize(
    ("place", "text", "fault"),
    [
        ("gateway/+a-thing.better.md", "It is better.", "name it"),
        ("gateway/12.added.md", "It is new.", "name it"),
        ("gateway/+A Thing.added.md", "It is new.", "name it"),
        ("+a-thing.added.md", "It is new.", "put it below"),
        ("gatway/+a-thing.added.md", "It is new.", "put it below"),
        ("gateway/+a-thing.added.md", " \n", "one to 3 lines"),
        ("gateway/+a-thing.added.md", "a\nb\nc\nd", "one to 3 lines"),
        ("gateway/+a-thing.added.md", "- It is new.", "without heading or bullet"),
    ],
)
def test_a_malformed_fragment_is_refused(tmp_path: Path, place: str, text: str, fault: str) -> None:
    file = tmp_path / "changes" / place
    file.parent.mkdir(parents=True)
    file.write_text(text, "utf-8")
    with pytest.raises(MalformedFragment, match=fault):
        read_fragments(tmp_path, ["gateway"])


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ([("gateway", "added")], {"gateway": "0.5.0", PLATFORM: "0.5.0"}),
        ([("gateway", "fixed")], {"gateway": "0.4.2", PLATFORM: "0.4.1"}),
        ([("gateway", "removed")], {"gateway": "0.5.0", PLATFORM: "0.5.0"}),
        ([("email-worker", "removed")], {"email-worker": "2.0.0", PLATFORM: "0.5.0"}),
        (
            [("gateway", "fixed"), (PLATFORM, "changed")],
            {"gateway": "0.5.0", "email-worker": "1.3.0", "orchestrator": "0.2.0",
             PLATFORM: "0.5.0"},
        ),
        ([], {}),
    ],
)  # fmt: skip
def test_versions_follow_from_the_fragments(
    fragments: list[tuple[str, str]], expected: dict[str, str]
) -> None:
    read = [Fragment(section, kind, "It.") for section, kind in fragments]  # type: ignore[arg-type]  # kinds as they are
    assert next_versions(read, CURRENT) == CURRENT | expected


def test_the_checkout_has_the_versions_of_the_last_release() -> None:
    """Only `make release` changes them."""
    last = last_release()
    assert read_versions(ROOT)[PLATFORM] == last.version
    now = versions_of(ROOT)
    assert {name: now.get(name) for name in last.notes["packages"]} == last.notes["packages"]
    assert f"## {last.version} ({last.notes['date']})" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_a_new_version_is_written_wherever_one_stands(tmp_path: Path) -> None:
    names = ["pyproject.toml", "docker-compose.yml"]
    for name in SERVICES:
        names += [f"services/{name}/pyproject.toml", f"services/{name}/Dockerfile"]
        names += [f"deploy/k8s/{name}/{each}.yaml" for each in ("kustomization", "migration")]
    for name in ("contracts", "expressions", "runtime", "testing"):
        names += [f"shared/{name}/pyproject.toml"]
    for name in (*names, "shared/testing/Dockerfile"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    old = read_versions(ROOT)
    new = {**old, "gateway": "7.0.1", PLATFORM: "7.1.0"}
    write_versions(tmp_path, old, new)
    assert read_versions(tmp_path) == new
    compose = (tmp_path / "docker-compose.yml").read_text("utf-8")
    assert "mirsal/gateway:7.0.1" in compose
    assert f"mirsal/gateway:{old['gateway']}" not in compose
    assert "mirsal/simulators:7.1.0" in compose
    assert f"mirsal/orchestrator:{old['orchestrator']}" in compose
    deployed = tmp_path / "deploy/k8s/gateway"
    assert "newTag: 7.0.1" in (deployed / "kustomization.yaml").read_text("utf-8")
    assert "gateway-migrate-7-0-1" in (deployed / "migration.yaml").read_text("utf-8")


def test_what_old_readers_do_not_know_is_announced() -> None:
    """A new message type or node member must reach its readers first: a `rollout` fragment says so.

    Older orchestrators put the first to the dead letters, older connectors refuse the second.
    """
    now, last = current_schemas(ROOT), last_release().schemas()
    news = sorted(now.keys() - last.keys()) + [
        f"{name}: {member}"
        for name in sorted(now.keys() & last.keys())
        if name.startswith("config.")
        for member in sorted(now[name]["properties"].keys() - last[name]["properties"].keys())
    ]
    told = " ".join(each.text for each in FRAGMENTS if each.kind == "rollout")
    assert [each for each in news if each.split(": ")[-1].removesuffix(".v1") not in told] == []


def test_releases_are_sorted_as_numbers() -> None:
    assert number_of("0.10.0") > number_of("0.9.9")
