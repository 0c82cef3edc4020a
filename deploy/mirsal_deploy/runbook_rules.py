"""What a runbook must be: a page of an alert, with words that somebody at night can rely on.

Its queries, calls and settings are those of the product. Reads files, runs nothing.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from mirsal_deploy.alert_rules import RUNBOOKS
from mirsal_deploy.metric_catalogue import Series, spoken_words
from mirsal_deploy.places import SERVICES
from mirsal_deploy.query_rules import query_faults
from mirsal_deploy.settings_names import CLASSES, names_of

HEADINGS: Final = ("## What it means", "## Look at", "## Do")
OPENAPI: Final = Path("docs/openapi.json")
INDEX: Final = "README"
RELEASING: Final = Path("docs/RELEASING.md")
_SPAN: Final = re.compile(r"`([^`]+)`")
_METRIC: Final = re.compile(r"\b(?:mirsal|automation)_[a-z]")
_CALL: Final = re.compile(r"/api/[^\s\"'`?),]*")
_SETTING: Final = re.compile(r"\bMIRSAL_[A-Z_]+\b")
# As kubectl is told; other folders are in `deploy`, too.
_WORKLOAD: Final = re.compile(rf"\b(deploy|deployment|sts)/({'|'.join(SERVICES)})\b")
_KINDS: Final = {"deploy": "Deployment", "deployment": "Deployment", "sts": "StatefulSet"}
_LINK: Final = re.compile(r"\]\(([^)#:]+)\)")
# A log line's event, an error's code, a field.
_WORD: Final = re.compile(r"[a-z]+(_[a-z]+)+")
_OF_POSTGRESQL: Final = {"max_connections", "synchronous_commit"}
# Of whoever calls, not of a process.
_CALLERS: Final = {"MIRSAL_URL", "MIRSAL_API_KEY"}


def runbook_faults(
    root: Path, alerts: Iterable[str], catalogue: Mapping[str, Series]
) -> Iterator[str]:
    """What is wrong with the pages of these alerts."""
    names = set(alerts)
    pages = {path.stem: path for path in (root / RUNBOOKS).glob("*.md")}
    yield from (f"{name}: has no page in {RUNBOOKS}" for name in sorted(names - pages.keys()))
    strangers = pages.keys() - names - {INDEX}
    yield from (f"{name}.md: is of no alert" for name in sorted(strangers))
    calls = json.loads((root / OPENAPI).read_text("utf-8"))["paths"]
    patterns = [re.compile(re.sub(r"[{][^}]*[}]", "[^/]+", call)) for call in calls]
    settings = {name for classes in CLASSES.values() for name in names_of(classes)} | _CALLERS
    for name, path in sorted(pages.items()):
        text = path.read_text("utf-8")
        if name != INDEX:
            yield from (
                f"{name}.md: has no {head!r}" for head in HEADINGS if f"\n{head}\n" not in text
            )
            yield from (f"{name}.md: {each}" for each in _query_faults(text, catalogue))
        for call in _CALL.findall(text):
            if not any(pattern.fullmatch(call.rstrip("/.;")) for pattern in patterns):
                yield f"{name}.md: calls {call}, which is not there"
        for setting in sorted(set(_SETTING.findall(text)) - settings):
            yield f"{name}.md: speaks of {setting}, which nobody reads"
        yield from (f"{name}.md: {each}" for each in _workload_faults(root, text))
        for link in _LINK.findall(text):
            if not (path.parent / link).is_file():
                yield f"{name}.md: leads to {link}, which is not there"

    releasing = (root / RELEASING).read_text("utf-8")
    yield from (f"{RELEASING.name}: {each}" for each in _workload_faults(root, releasing))


def _workload_faults(root: Path, text: str) -> Iterator[str]:
    """What kubectl is told to look for, and would not find."""
    for kind, name in sorted(set(_WORKLOAD.findall(text))):
        workload = (root / "deploy/k8s" / name / "workload.yaml").read_text("utf-8")
        if f"kind: {_KINDS[kind]}\n" not in workload:
            yield f"speaks of {kind}/{name}, and there is none"


def _query_faults(text: str, catalogue: Mapping[str, Series]) -> Iterator[str]:
    for span in _SPAN.findall(text):
        if _METRIC.search(span):
            yield from query_faults(span, catalogue)
        elif _WORD.fullmatch(span) and span not in spoken_words() | _OF_POSTGRESQL:
            yield f"speaks of {span}, which no code says"
