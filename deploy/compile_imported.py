"""Compiles what these modules import, in this environment, and nothing else.

Run when an image is built: a process then starts quickly on a read-only file system, and the image
holds no byte code that nobody loads. By content and not by time, so that each build gives the same.
"""

import importlib
import py_compile
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    """Import the modules, then compile each source file that it took."""
    for name in names:
        importlib.import_module(name)
    places = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    for place in sorted({place for place in places if place}):
        if place.endswith(".py") and Path(place).is_relative_to(sys.prefix):
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(place, doraise=True, invalidation_mode=mode)


if __name__ == "__main__":
    main(sys.argv[1:])
