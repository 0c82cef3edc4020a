"""The program that atheris runs: `python -m tests.fuzz.harness TARGET [options of libFuzzer]`.

It ends with another status than 0, and the input in a file, where a target raises anything.
"""

import sys
from importlib import import_module
from typing import Final

import atheris

# By target: the packages that are watched for coverage, and the function that takes an input.
TARGETS: Final = {
    "templates": (["mirsal_expressions"], "tests.fuzz.expressions", "try_template"),
    "conditions": (["mirsal_expressions"], "tests.fuzz.expressions", "try_condition"),
    "readers": (
        ["gateway", "email_worker", "whatsapp_worker", "email_validator"],
        "tests.fuzz.readers",
        "try_reader",
    ),
    "planted": (["tests"], "tests.fuzz.planted", "try_planted"),
}


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    watched, module, function = TARGETS[sys.argv[1]]
    with atheris.instrument_imports(include=watched):
        target = getattr(import_module(module), function)
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
