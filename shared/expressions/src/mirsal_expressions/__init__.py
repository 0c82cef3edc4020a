"""Templates and conditions of workflow definitions: the public names. Pure; no logic lives here."""

from mirsal_expressions.conditions import check_condition, evaluate_condition
from mirsal_expressions.faults import ExpressionError, ExpressionFault
from mirsal_expressions.json_values import JsonValue, check_value, render_value
from mirsal_expressions.references import referenced_nodes
from mirsal_expressions.templates import (
    Template,
    check_template,
    compile_template,
    render_template,
)

__all__ = [
    "ExpressionError",
    "ExpressionFault",
    "JsonValue",
    "Template",
    "check_condition",
    "check_template",
    "check_value",
    "compile_template",
    "evaluate_condition",
    "referenced_nodes",
    "render_template",
    "render_value",
]
