"""What a condition may contain, and what it reads; written anew for the CEL library, which bounds
no cost. What could grow or run long is left out, such as `map`; the rest is bounded by `Cost`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mirsal_expressions.cel_hints import explain_call, explain_name, explain_node
from mirsal_expressions.cel_patterns import SIZE_LIMIT, check_pattern, measure_pattern
from mirsal_expressions.cel_tokens import Token
from mirsal_expressions.faults import RefusedError
from mirsal_expressions.members import ROOTS, Member, Path

SOURCE_LIMIT: Final = 2000
DEPTH_LIMIT: Final = 32
LOOPS_LIMIT: Final = 3
MEMBERS_LIMIT: Final = 32

# The library's size() counts bytes, so Arabic letters count twice: ours counts characters.
RENAMED: Final = {"size": "mirsal_size"}
OWN_FUNCTIONS: Final = frozenset(["size", "lower", "upper", "trim"])
CONVERSIONS: Final = frozenset(["int", "double", "string", "timestamp", "duration", "type"])
LOOPS: Final = frozenset(["all", "exists", "exists_one", "existsOne", "filter"])
_MOMENT_METHODS: Final = (
    *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
    *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
)
METHODS: Final = frozenset(["contains", "startsWith", "endsWith", *_MOMENT_METHODS])
_TYPES: Final = frozenset(["bool", "int", "double", "string", "list", "map"])
_CONSTANTS: Final = frozenset(["true", "false", "null", "in"])
# Words that the library cannot read after a dot.
_WORDS: Final = frozenset(
    (
        *("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import"),
        *("in", "let", "loop", "null", "package", "namespace", "return", "true", "var", "void"),
        "while",
    )
)
_PAIRS: Final = {")": "(", "]": "[", "}": "{"}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one evaluation costs, apart from the size of the values that it reads."""

    operations: int
    literals: int
    loops_deep: int
    additions: int
    pattern_steps: int


@dataclass(slots=True)
class Bracket:
    """An open bracket; that of a loop brings a variable along."""

    opening: str
    offset: int
    variable: str | None


class Examiner:
    """One pass over the tokens. Raises RefusedError at the first thing that is not allowed."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.position = 0
        self.written: list[tuple[str, int]] = []
        self.paths: list[tuple[Path, int]] = []
        self.functions: set[str] = set()
        self.patterns: list[tuple[str, int]] = []
        self.brackets: list[Bracket] = []
        self.loops_deep = 0
        self.pattern_steps = 0
        self.literals = 0

    def examine(self) -> None:
        if self._peek().kind == "end":
            message = 'the condition is empty: write for example lead.fields.city == "Dubai"'
            raise RefusedError("syntax", message, 0)
        while self._peek().kind != "end":
            self._step()
        if self.brackets:
            bracket = self.brackets[-1]
            message = f"this {bracket.opening} is never closed"
            raise RefusedError("unclosed", message, bracket.offset)

    def cost(self) -> Cost:
        texts = [text for text, _ in self.written]
        operations = sum(not text[0].isalnum() and text[0] not in '"_,)]}' for text in texts)
        return Cost(
            operations=operations + 1,
            literals=self.literals,
            loops_deep=self.loops_deep,
            additions=texts.count("+"),
            pattern_steps=self.pattern_steps,
        )

    def _step(self) -> None:
        token = self._peek()
        if token.kind == "name":
            self._read_name()
        elif token.kind == "string":
            self.literals += 1
            self._write(token.text)
        elif token.text == ".":
            self._read_selection()
        elif token.text in "([{":
            self._open()
        elif token.text in ")]}":
            self._close()
        else:
            self.literals += token.kind == "number"
            self._write(token.text)

    def _read_name(self) -> None:
        token = self._peek()
        following = self._peek(1).text
        if following == "{":
            message = "objects of a named type do not exist here"
            raise RefusedError("syntax", message, token.offset)
        if token.text in _CONSTANTS:
            self._write(token.text)
        elif following == "(":
            self._read_call()
        elif token.text in ROOTS:
            self._read_path()
        elif token.text in _TYPES or token.text in self._variables():
            self._write(token.text)
        else:
            raise explain_name(token)

    def _read_call(self) -> None:
        token = self._peek()
        if token.text == "has":
            self._read_has()
        elif token.text in OWN_FUNCTIONS or token.text in CONVERSIONS:
            self._write_function(token)
        else:
            raise explain_call(token, is_method=False)

    def _read_has(self) -> None:
        """`has(a.b)`; a name that CEL cannot write after a dot becomes `("b" in a)`."""
        start = len(self.written)
        self._write("has")
        self._open()
        if self._peek().kind != "name" or self._peek(1).text not in (".", "["):
            message = "has() takes a member: has(lead.fields.city)"
            raise RefusedError("syntax", message, self._peek().offset)
        if self._peek().text in ROOTS:
            self._read_path()
        else:
            self._read_name()
            while self._peek().text in (".", "["):
                self._read_selection()
        last = [text for text, _ in self.written[-3:]]
        if last[0] == "[" and last[2] == "]":
            name = self.written[-2]
            del self.written[-3:]
            self.written[start : start + 2] = [("(", name[1]), name, ("in", name[1])]

    def _read_path(self) -> None:
        """A path from a root, as far as its members are literal."""
        root = self._peek()
        members: list[Member] = [root.text]
        self._write(root.text)
        while True:
            member = self._literal_member()
            if member is None:
                break
            if len(members) >= MEMBERS_LIMIT:
                message = f"more than {MEMBERS_LIMIT} members in a row"
                raise RefusedError("too_deep", message, self._peek().offset)
            members.append(member)
            self._read_selection()
        if root.text == "nodes":
            explain_node(members, self.tokens, self.position)
        self.paths.append((tuple(members), root.offset))

    def _literal_member(self) -> str | None:
        mark, name, after = self._peek(), self._peek(1), self._peek(2)
        if mark.text == "." and name.kind == "name":
            called = after.text == "("
            return None if called else name.text
        if mark.text == "[" and name.kind == "string" and after.text == "]":
            return name.value
        return None

    def _read_selection(self) -> None:
        """`.name`, `.method(` or `["name"]` after an operand."""
        if self._peek().text == "[":
            self._open()
            if self._literal_end():
                self._step()
                self._close()
            return
        dot, name = self._peek(), self._peek(1)
        if not self._after_operand() or name.kind != "name":
            message = 'the name of a member follows the dot; an unusual name is written ["so"]'
            raise RefusedError("syntax", message, dot.offset)
        if self._peek(2).text == "(":
            self._write(".")
            self._read_method()
        elif name.text in _WORDS or not name.text.isascii():
            quoted = json.dumps(name.text, ensure_ascii=False)
            self.written += [("[", dot.offset), (quoted, name.offset), ("]", name.offset)]
            self.position += 2
        else:
            self._write(".")
            self._write(name.text)

    def _literal_end(self) -> bool:
        return self._peek().kind == "string" and self._peek(1).text == "]"

    def _read_method(self) -> None:
        name = self._peek()
        if name.text in LOOPS:
            self._write(name.text)
            self._open_loop(name)
        elif name.text == "matches":
            self._read_pattern(name)
        elif name.text in METHODS or name.text in OWN_FUNCTIONS:
            self._write_function(name)
        else:
            raise explain_call(name, is_method=True)

    def _open_loop(self, name: Token) -> None:
        variable = self._peek(1)
        taken = {*ROOTS, *_TYPES, *_CONSTANTS, *_WORDS}
        usable = variable.kind == "name" and variable.text.isascii() and variable.text not in taken
        if not usable or self._peek(2).text != ",":
            message = f'{name.text} takes a name and a test: lead.tags.{name.text}(t, t == "vip")'
            raise RefusedError("syntax", message, variable.offset)
        self._open(variable.text)
        self._write(variable.text)

    def _read_pattern(self, name: Token) -> None:
        pattern = self._peek(2)
        if pattern.kind != "string" or self._peek(3).text != ")":
            message = 'matches takes one text, as written here: matches("^05[0-9]{8}$")'
            raise RefusedError("pattern", message, pattern.offset)
        if self._variables():
            message = "matches cannot stand in a loop: use contains, startsWith or endsWith"
            raise RefusedError("pattern", message, name.offset)
        wrong = check_pattern(pattern.value)
        self.pattern_steps += measure_pattern(pattern.value)
        if wrong is None and self.pattern_steps > SIZE_LIMIT:
            wrong = "the patterns of this condition are too large together"
        if wrong:
            raise RefusedError("pattern", wrong, pattern.offset)
        self.patterns.append((pattern.value, pattern.offset))
        self._write("matches")

    def _open(self, variable: str | None = None) -> None:
        token = self._peek()
        self.brackets.append(Bracket(token.text, token.offset, variable))
        loops = len(self._variables())
        self.loops_deep = max(self.loops_deep, loops)
        if len(self.brackets) > DEPTH_LIMIT or loops > LOOPS_LIMIT:
            message = f"nested too deeply: at most {DEPTH_LIMIT} brackets and {LOOPS_LIMIT} loops"
            raise RefusedError("too_deep", message, token.offset)
        self._write(token.text)

    def _close(self) -> None:
        token = self._peek()
        if not self.brackets or self.brackets[-1].opening != _PAIRS[token.text]:
            message = f"this {token.text} closes nothing"
            raise RefusedError("syntax", message, token.offset)
        self.brackets.pop()
        self._write(token.text)

    def _variables(self) -> list[str]:
        return [bracket.variable for bracket in self.brackets if bracket.variable]

    def _after_operand(self) -> bool:
        if not self.written:
            return False
        text = self.written[-1][0]
        return text in (")", "]", "}") or text[0] in '"_' or text[0].isalpha()

    def _write_function(self, name: Token) -> None:
        written = RENAMED.get(name.text, name.text)
        self.functions.add(written)
        self._write(written)

    def _peek(self, ahead: int = 0) -> Token:
        return self.tokens[min(self.position + ahead, len(self.tokens) - 1)]

    def _write(self, text: str) -> None:
        self.written.append((text, self._peek().offset))
        self.position += 1
