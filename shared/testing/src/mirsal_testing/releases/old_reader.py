"""Run by path, with a release's own packages: reads messages as that release does.

Each line of standard input is `{"topic", "type", "value"}`; each line of output says what was read,
as that release would write it again, or `{"fault"}`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from mirsal_contracts import commands, controls, requests, statuses, timers
from mirsal_contracts.message import Message

MODELS: dict[str, type[Message]] = {
    model.TYPE: model
    for module in (commands, controls, requests, statuses, timers)
    for model in vars(module).values()
    if isinstance(model, type) and issubclass(model, Message) and model.TYPE
}


def read(members: dict[str, Any]) -> dict[str, Any]:
    """What the release makes of one message."""
    model = MODELS.get(members["type"])
    if model is None:
        return {"fault": f"{members['type']} is not known"}
    try:
        return dict(json.loads(model.model_validate_json(members["value"]).to_json()))
    except ValueError as error:
        return {"fault": str(error)}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(read(json.loads(line))) + "\n")
