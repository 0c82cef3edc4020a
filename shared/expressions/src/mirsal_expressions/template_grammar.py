"""The grammar inside a tag: members, literals, filters, and the tests of an `if`."""

from mirsal_expressions.faults import RefusedError
from mirsal_expressions.filters import FILTERS, Filter
from mirsal_expressions.members import ROOTS, Member, Path, describe_unknown_root
from mirsal_expressions.template_hints import (
    CALL,
    explain_arguments,
    explain_filter,
    explain_hyphen,
    explain_unexpected,
)
from mirsal_expressions.template_logic import (
    COMPARISONS,
    Both,
    Comparison,
    Contains,
    Either,
    IsDefined,
    Not,
)
from mirsal_expressions.template_tokens import Token, Tokens, read_number, read_string
from mirsal_expressions.template_tree import Expression, Filtered, Literal, Look
from mirsal_expressions.unsuitable import UnsuitableError

MEMBERS_LIMIT = 32
FILTERS_LIMIT = 16
DEPTH_LIMIT = 16
OPERATORS_LIMIT = 100

_CONSTANTS = {
    **{"true": True, "True": True, "false": False, "False": False},
    **{"null": None, "none": None, "None": None},
}
_RESERVED = frozenset(["and", "or", "not", "in", "is", "if", "else"])


class ExpressionParser:
    """Reads the expression of one tag; adds each path read, with its offset, to `paths`."""

    def __init__(self, tokens: Tokens, paths: list[tuple[Path, int]]) -> None:
        self.tokens = tokens
        self.paths = paths
        self.depth = 0
        self.operators = 0

    def read_filtered(self) -> Expression:
        """An operand and its filters: what stands in `{{ }}`."""
        expression = self._read_operand()
        count = 0
        while self.tokens.accept("|"):
            count += 1
            if count > FILTERS_LIMIT:
                message = f"more than {FILTERS_LIMIT} filters in a row"
                raise RefusedError("too_deep", message, self.tokens.current.offset)
            expression = self._read_filter(expression)
        return expression

    def read_test(self) -> Expression:
        """What stands after `{% if`."""
        self._deepen()
        expression = self._read_conjunction()
        while self.tokens.current.text == "or":
            offset = self._read_operator()
            expression = Either(expression, self._read_conjunction(), offset)
        self.depth -= 1
        return expression

    def _read_conjunction(self) -> Expression:
        expression = self._read_negation()
        while self.tokens.current.text == "and":
            offset = self._read_operator()
            expression = Both(expression, self._read_negation(), offset)
        return expression

    def _read_negation(self) -> Expression:
        if self.tokens.current.text != "not":
            return self._read_comparison()
        self._deepen()
        offset = self._read_operator()
        expression = Not(self._read_negation(), offset)
        self.depth -= 1
        return expression

    def _read_comparison(self) -> Expression:
        tokens = self.tokens
        left = self.read_filtered()
        operator = tokens.current
        if operator.kind == "symbol" and operator.text in COMPARISONS:
            tokens.advance()
            return Comparison(left, operator.text, self.read_filtered(), operator.offset)
        if tokens.accept("in"):
            return Contains(left, self.read_filtered(), operator.offset)
        if tokens.accept("not"):
            if not tokens.accept("in"):
                raise RefusedError("syntax", "write not in", operator.offset)
            found = Contains(left, self.read_filtered(), operator.offset)
            return Not(found, operator.offset)
        if tokens.accept("is"):
            negated = tokens.accept("not")
            if not tokens.accept("defined"):
                message = "is asks one thing only: is defined, or is not defined"
                raise RefusedError("syntax", message, operator.offset)
            defined = IsDefined(left, operator.offset)
            return Not(defined, operator.offset) if negated else defined
        return left

    def _read_operator(self) -> int:
        self.operators += 1
        token = self.tokens.advance()
        if self.operators > OPERATORS_LIMIT:
            message = f"a test has at most {OPERATORS_LIMIT} and, or, not"
            raise RefusedError("too_deep", message, token.offset)
        return token.offset

    def _deepen(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_LIMIT:
            message = f"nested more than {DEPTH_LIMIT} deep"
            raise RefusedError("too_deep", message, self.tokens.current.offset)

    def _read_filter(self, subject: Expression) -> Expression:
        name = self.tokens.current
        known = FILTERS.get(name.text) if name.kind == "name" else None
        if known is None:
            raise explain_filter(name)
        self.tokens.advance()
        arguments = self._read_arguments(known) if self.tokens.accept("(") else {}
        _check_arguments(known, arguments, name.offset)
        return Filtered(subject, known, arguments, name.offset)

    def _read_arguments(self, known: Filter) -> dict[str, Expression]:
        tokens = self.tokens
        arguments: dict[str, Expression] = {}
        while not tokens.accept(")"):
            if arguments and not tokens.accept(","):
                raise explain_unexpected(tokens.current)
            first = tokens.current
            name = None
            if first.kind == "name" and first.text in known.parameters:
                name = tokens.advance().text
                if not tokens.accept("="):
                    raise explain_unexpected(tokens.current)
            elif len(arguments) < len(known.parameters):
                name = known.parameters[len(arguments)]
            if name is None or name in arguments:
                raise explain_arguments(known, first.offset)
            arguments[name] = self._read_operand()
        return arguments

    def _read_operand(self) -> Expression:
        tokens, token = self.tokens, self.tokens.current
        if token.kind == "string":
            return Literal(read_string(tokens.advance()), token.offset)
        if token.kind == "number":
            return Literal(read_number(tokens.advance()), token.offset)
        if token.kind == "name" and token.text not in _RESERVED:
            tokens.advance()
            if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text], token.offset)
            return self._read_look(token)
        if tokens.accept("("):
            return self._read_parenthesis()
        if tokens.accept("-") and tokens.current.kind == "number":
            return Literal(-read_number(tokens.advance()), token.offset)
        raise explain_unexpected(token)

    def _read_parenthesis(self) -> Expression:
        # A test is read only inside an if, where the depth is never 0.
        inside_test = self.depth > 0
        self._deepen()
        expression = self.read_test() if inside_test else self.read_filtered()
        self.depth -= 1
        if not self.tokens.accept(")"):
            raise explain_unexpected(self.tokens.current)
        return expression

    def _read_look(self, root: Token) -> Expression:
        tokens = self.tokens
        if root.text not in ROOTS:
            if tokens.current.text == "(":
                raise RefusedError("forbidden_call", CALL, root.offset)
            raise RefusedError("unknown_name", describe_unknown_root(root.text), root.offset)
        members: list[Member] = [root.text]
        last = root
        while tokens.current.text in (".", "["):
            if len(members) >= MEMBERS_LIMIT:
                message = f"more than {MEMBERS_LIMIT} members in a row"
                raise RefusedError("too_deep", message, tokens.current.offset)
            last, member = self._read_member()
            members.append(member)
        if tokens.current.text == "-":
            hyphen = explain_hyphen(tokens.source, tuple(members[:-1]), last)
            if hyphen:
                raise hyphen
        path = tuple(members)
        self.paths.append((path, root.offset))
        return Look(path, root.offset)

    def _read_member(self) -> tuple[Token, Member]:
        tokens = self.tokens
        if tokens.accept("."):
            token = tokens.current
            if token.kind == "name":
                return tokens.advance(), token.text
            if token.kind == "number" and token.text.isdecimal():
                return tokens.advance(), int(read_number(token))
            message = 'the name of a member follows the dot; an unusual name is written ["so"]'
            raise RefusedError("syntax", message, token.offset)
        tokens.accept("[")
        token = tokens.current
        member = self._read_index(token)
        if not tokens.accept("]"):
            raise explain_unexpected(tokens.current)
        return token, member

    def _read_index(self, first: Token) -> Member:
        tokens = self.tokens
        if first.kind == "string":
            return read_string(tokens.advance())
        sign = -1 if tokens.accept("-") else 1
        if tokens.current.kind == "number" and tokens.current.text.isdecimal():
            return sign * int(read_number(tokens.advance()))
        message = 'in brackets stands a name in quotes or a number: ["first name"], [0]'
        raise RefusedError("syntax", message, first.offset)


def _check_arguments(known: Filter, arguments: dict[str, Expression], offset: int) -> None:
    for name in known.required:
        if name not in arguments:
            message = f'{known.name} needs its {name}: {known.name}("...")'
            raise RefusedError("filter", message, offset)
    if known.check is None:
        return
    literals = {
        name: argument.constant
        for name, argument in arguments.items()
        if isinstance(argument, Literal)
    }
    try:
        known.check(**literals)
    except UnsuitableError as error:
        raise RefusedError("filter", f"{known.name}: {error}", offset) from None
