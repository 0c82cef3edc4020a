"""The one error of filters."""


class UnsuitableError(ValueError):
    """A value or an argument that a filter cannot work on; the message says what it takes."""
