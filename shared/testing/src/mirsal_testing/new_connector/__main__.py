"""`python -m mirsal_testing.new_connector NAME`: writes into the checkout that it runs from."""

import sys
from pathlib import Path

from mirsal_testing.new_connector.names import Names
from mirsal_testing.new_connector.scaffold import ScaffoldRefused, scaffold
from mirsal_testing.servers.cache import repository_folder


def main(arguments: list[str]) -> int:
    """The exit code; what was written, and what comes next, goes to the standard output."""
    if len(arguments) != 1:
        sys.stderr.write("say how it is called: make new-connector NAME=sms\n")
        return 2
    root = repository_folder() or Path.cwd()
    try:
        names = Names(arguments[0])
        written = scaffold(root, names)
    except (ScaffoldRefused, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"  {path.relative_to(root)}\n" for path in written)
    sys.stdout.write(
        f"services/{names.service} is there. Next: its config in {names.config_module}, its "
        f"provider in provider.py, then make test ARGS=services/{names.service}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
