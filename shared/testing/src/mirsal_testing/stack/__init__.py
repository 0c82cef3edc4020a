"""The whole platform as processes of this machine: `make up`, and `Stack` for tests."""

from mirsal_testing.stack.launch import StackError
from mirsal_testing.stack.stack import Stack

__all__ = ["Stack", "StackError"]
