"""Writes the dashboards' JSON; with `--check` it only says what is out of date."""

import sys

from mirsal_deploy.dashboards.generated import expected_files, find_stale
from mirsal_deploy.places import ROOT


def main() -> int:
    """Write the files, or with `--check` compare them; the exit code."""
    stale = find_stale(ROOT)
    if "--check" in sys.argv:
        for path in stale:
            sys.stderr.write(f"out of date: {path}; run mirsal_deploy.dashboards\n")
        return 1 if stale else 0
    expected = expected_files()
    for path in stale:
        if path not in expected:
            (ROOT / path).unlink()
            continue
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(expected[path], "utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
