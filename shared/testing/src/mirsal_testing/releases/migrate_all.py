"""Run by path, with a release's own packages: the migrations named as arguments, in one process."""

from __future__ import annotations

import runpy
import sys

if __name__ == "__main__":
    for module in sys.argv[1:]:
        runpy.run_module(f"{module}.migrate", run_name="__main__")
