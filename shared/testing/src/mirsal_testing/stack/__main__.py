"""`python -m mirsal_testing.stack`."""

from mirsal_testing.stack.cli import app

app()
