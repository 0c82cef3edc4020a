"""Named SQL statements from `.sql` files."""

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def load_queries(package: str, filename: str = "queries.sql") -> dict[str, str]:
    """The statements of a package's SQL file, by name.

    Each statement follows a line `-- name: <name>`. Raises `ValueError` for a file without one.
    """
    text = files(package).joinpath(filename).read_text("utf-8")
    parts = _NAME.split(text)
    if len(parts) < 3:
        raise ValueError(f"{package}/{filename} has no '-- name:' line")
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
