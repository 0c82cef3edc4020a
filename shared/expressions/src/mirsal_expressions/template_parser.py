"""From a template's source to its tree, with every fault on the way: `{{ }}`, `{% if %}`, `{# #}`,
and a `-` beside a brace, which takes away the white space on that side. Nothing else is a tag."""

import re
from dataclasses import dataclass, field

from mirsal_expressions.faults import ExpressionFault, RefusedError
from mirsal_expressions.members import Path
from mirsal_expressions.template_grammar import ExpressionParser
from mirsal_expressions.template_hints import explain_tag, explain_unexpected
from mirsal_expressions.template_tokens import Tokens
from mirsal_expressions.template_tree import Block, Choice, Expression, Literal, Output, Statement

SOURCE_LIMIT = 256 * 1024
TAGS_LIMIT = 2000
NESTING_LIMIT = 8
FAULTS_SHOWN = 20

_OPENING = re.compile(r"\{(?:\{|%|#)-?")


@dataclass(frozen=True, slots=True)
class ParsedTemplate:
    """The tree of a template, the paths that it reads, and what is wrong with it."""

    source: str
    block: Block
    paths: tuple[tuple[Path, int], ...]
    faults: tuple[ExpressionFault, ...]


def parse_template(source: str) -> ParsedTemplate:
    """Never raises: what cannot be parsed is among the faults."""
    if len(source) > SOURCE_LIMIT:
        message = f"the template is longer than {SOURCE_LIMIT // 1024} Ki characters"
        return ParsedTemplate(source, (), (), (ExpressionFault("too_large", message),))
    parser = _TemplateParser(source)
    parser.parse()
    faults = tuple(refused.fault_in(source) for refused in parser.faults)
    return ParsedTemplate(source, parser.root, tuple(parser.paths), faults)


@dataclass(slots=True)
class _OpenChoice:
    """An `{% if %}` whose `{% endif %}` has not come yet."""

    offset: int
    branches: list[tuple[Expression | None, Block]]
    outer: list[str | Statement]
    has_else: bool = field(default=False)


class _TemplateParser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.root: list[str | Statement] = []
        self.block = self.root
        self.choices: list[_OpenChoice] = []
        self.faults: list[RefusedError] = []
        self.paths: list[tuple[Path, int]] = []

    def parse(self) -> None:
        position, trim, tags = 0, False, 0
        while len(self.faults) < FAULTS_SHOWN:
            opening = _OPENING.search(self.source, position)
            self._add_text(
                self.source[position : opening.start() if opening else None],
                trim,
                opening is not None and opening.group().endswith("-"),
            )
            if opening is None:
                break
            tags += 1
            if tags > TAGS_LIMIT:
                message = f"the template has more than {TAGS_LIMIT} tags"
                self.faults.append(RefusedError("too_large", message, opening.start()))
                return
            position, trim = self._read_tag(opening)
        for choice in self.choices:
            message = "this if is never closed: add {% endif %}"
            self.faults.append(RefusedError("unclosed", message, choice.offset))

    def _add_text(self, text: str, trim_left: bool, trim_right: bool) -> None:
        if trim_left:
            text = text.lstrip()
        if trim_right:
            text = text.rstrip()
        if text:
            self.block.append(text)

    def _read_tag(self, opening: re.Match[str]) -> tuple[int, bool]:
        """Reads one tag; gives where the text goes on and whether its white space is dropped."""
        start = opening.start()
        kind = opening.group()[:2]
        if kind == "{#":
            return self._skip_comment(start)
        closing = "}}" if kind == "{{" else "%}"
        if self.source.find(closing, start + 2) < 0:
            message = (
                f"{kind} is never closed: add {closing};"
                f' to write the braces as text, use {{{{ "{kind}" }}}}'
            )
            self.faults.append(RefusedError("unclosed", message, start))
            return len(self.source), False
        try:
            tokens = Tokens(self.source, opening.end())
            expressions = ExpressionParser(tokens, self.paths)
            if kind == "{{":
                self._read_output(expressions)
            else:
                self._read_statement(expressions, start)
            if tokens.current.text[-2:] != closing or tokens.current.kind != "end":
                raise explain_unexpected(tokens.current)
        except RefusedError as refused:
            self.faults.append(refused)
            end = self.source.find(closing, max(start + 2, refused.offset or 0))
            return (end + 2 if end >= 0 else len(self.source)), False
        return tokens.after, tokens.current.text.startswith("-")

    def _skip_comment(self, start: int) -> tuple[int, bool]:
        end = self.source.find("#}", start + 2)
        if end < 0:
            message = 'the comment is never closed: add #}; to write the braces, use {{ "{#" }}'
            self.faults.append(RefusedError("unclosed", message, start))
            return len(self.source), False
        return end + 2, self.source[end - 1] == "-"

    def _read_output(self, expressions: ExpressionParser) -> None:
        if expressions.tokens.current.kind == "end":
            message = "there is nothing between the braces: name a member such as lead.name"
            raise RefusedError("syntax", message, expressions.tokens.current.offset)
        expression = expressions.read_filtered()
        self.block.append(Output(expression, expression.offset))

    def _read_statement(self, expressions: ExpressionParser, start: int) -> None:
        word = expressions.tokens.advance()
        if word.text == "if":
            # The branch is opened before its test is read, so that a faulty test is one fault.
            self._open(start)
            self._set_test(expressions.read_test())
        elif word.text == "elif":
            self._next_branch(word.offset, "elif")
            self._set_test(expressions.read_test())
        elif word.text == "else":
            self._next_branch(word.offset, "else")
        elif word.text == "endif":
            self._close(word.offset)
        else:
            raise explain_tag(word)

    def _open(self, offset: int) -> None:
        if len(self.choices) >= NESTING_LIMIT:
            message = f"ifs are nested more than {NESTING_LIMIT} deep"
            raise RefusedError("too_deep", message, offset)
        self.choices.append(_OpenChoice(offset, [], self.block))
        self._start_branch(Literal(False, offset))

    def _start_branch(self, test: Expression | None) -> None:
        self.block = []
        self.choices[-1].branches.append((test, self.block))

    def _set_test(self, test: Expression) -> None:
        self.choices[-1].branches[-1] = (test, self.block)

    def _next_branch(self, offset: int, word: str) -> None:
        if not self.choices or self.choices[-1].has_else:
            message = (
                f"this {word} has no if before it"
                if not self.choices
                else (f"this {word} comes after the else: else is the last branch")
            )
            raise RefusedError("syntax", message, offset)
        if word == "else":
            self.choices[-1].has_else = True
        self._start_branch(None if word == "else" else Literal(False, offset))

    def _close(self, offset: int) -> None:
        if not self.choices:
            raise RefusedError("syntax", "this endif has no if before it", offset)
        choice = self.choices.pop()
        self.block = choice.outer
        self.block.append(Choice(tuple(choice.branches)))
