"""All that a new connector's name decides. Pure."""

import re

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MOST_CHARACTERS = 30


class Names:
    """`sms` → service `sms-worker`, package `sms_worker`, class `Sms`, settings `MIRSAL_SMS_`.

    Raises `ValueError` for what is no name of a node type.
    """

    def __init__(self, name: str) -> None:
        if not _NAME.fullmatch(name) or len(name) > MOST_CHARACTERS:
            raise ValueError(
                f"{name!r} cannot name a connector: up to {MOST_CHARACTERS} of a-z, 0-9 and "
                "single _, beginning with a letter"
            )
        self.name = name
        self.service = f"{name.replace('_', '-')}-worker"
        self.package = f"{name}_worker"
        self.title = "".join(part.capitalize() for part in name.split("_"))
        self.setting = f"MIRSAL_{name.upper()}_"
        self.config_module = f"shared/contracts/src/mirsal_contracts/nodes/{name}.py"

    def fields(self) -> dict[str, str]:
        """What stands for what in the template."""
        return {
            "name": self.name,
            "service": self.service,
            "package": self.package,
            "title": self.title,
            "setting": self.setting,
        }
