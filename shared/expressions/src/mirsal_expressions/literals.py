"""Text literals of both languages: from what the author wrote to the text that is meant."""

import re

from mirsal_expressions.faults import RefusedError

_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'", "`": "`", "?": "?"}
CURLY_QUOTES = "“”„‟«»‘’‚"


def decode_literal(written: str, offset: int) -> str:
    """The text between the quotes with its escapes resolved; `offset` is where it begins."""
    if "\\" not in written:
        return written

    def decode(match: re.Match[str]) -> str:
        escape = match.group()[1:]
        if len(escape) == 1 and escape in _SIMPLE:
            return _SIMPLE[escape]
        code_point = int(escape[1:], 16) if len(escape) > 1 else -1
        if not 0 <= code_point <= 0x10FFFF or 0xD800 <= code_point <= 0xDFFF:
            message = (
                f'the escape {match.group()} is not known: write \\n, \\t, \\", \\\\ or \\u0645'
            )
            raise RefusedError("syntax", message, offset + match.start())
        return chr(code_point)

    return _ESCAPE.sub(decode, written)
