"""What is run, how often and at which pace; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from mirsal_contracts.nodes.code import CodeConfig
from pydantic import BaseModel

from mirsal_testing.commands import command_message, make_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirsal_runtime.broker import Outgoing

Language = Literal["python", "javascript"]
LANGUAGES: Final[tuple[Language, ...]] = ("python", "javascript")
RUN_SECONDS: Final = 5.0
LEAD: Final = {
    "lead": {"id": "ahmed", "name": "أحمد محمد", "phone": "+201001234567", "locale": "ar-EG"},
    "visits": [3, 1, 4, 1, 5, 9, 2, 6],
}
_CODES: Final[dict[Language, str]] = {
    "python": """
def main(input):
    lead = input["lead"]
    score = sum(input["visits"]) * 2
    print("scored", lead["id"])
    return {"greeting": "أهلاً " + lead["name"].split()[0], "score": score, "hot": score > 50}
""",
    "javascript": """
function main(input) {
  const { lead, visits } = input;
  const score = visits.reduce((sum, each) => sum + each, 0) * 2;
  console.log("scored", lead.id);
  return { greeting: "أهلاً " + lead.name.split(" ")[0], score, hot: score > 50 };
}
""",
}


_ENDLESS: Final[dict[Language, tuple[str, ...]]] = {
    "python": (
        "def main(input):\n    while True: pass",
        "import time\ndef main(input): time.sleep(60)",
    ),
    "javascript": (
        "function main(input) { while (true); }",
        "async function main(input) { await new Promise(done => setTimeout(done, 60000)) }",
    ),
}
TIME_OUT_SECONDS: Final = 0.5


class Pace(BaseModel):
    """So many runs of one language: at `rate` a second, or as fast as they are taken."""

    language: Language
    count: int
    rate: float | None = None

    def due(self, number: int) -> float:
        """When the n-th is due, in seconds after the first."""
        return number / self.rate if self.rate else 0.0


def code_in(language: Language) -> str:
    """The code that is run: a few lines that score a lead."""
    return _CODES[language]


def make_messages(pace: Pace) -> dict[str, Outgoing]:
    """The commands, by id, as the orchestrator would send them."""
    # A busy machine shall make a run slow, not failed.
    return _commands(pace.language, [code_in(pace.language)] * pace.count, RUN_SECONDS)


def make_endless(language: Language) -> dict[str, Outgoing]:
    """Commands whose code ends by its limit alone: it computes, or it sleeps."""
    return _commands(language, _ENDLESS[language], TIME_OUT_SECONDS)


def _commands(language: Language, codes: Sequence[str], seconds: float) -> dict[str, Outgoing]:
    commands = []
    for code in codes:
        config = {
            "language": language,
            "code": code,
            "input": LEAD,
            "limits": {"seconds": seconds},
        }
        rendered = CodeConfig.model_validate(config).model_dump(by_alias=True)
        commands.append(make_command("code", rendered))
    return {command.command_id: command_message(command) for command in commands}
