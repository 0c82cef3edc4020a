"""Dead letters: what nobody could deal with, found, read and replayed."""
