"""A fault that random bytes do not find in a lifetime, and coverage finds in a second."""


def try_planted(data: bytes) -> None:
    """Raises for one beginning, each byte of which is a branch of its own."""
    first, second, third = data[:1] == b"{", data[1:2] == b"{", data[2:3] == b"!"
    if first:  # noqa: SIM102  # one branch a byte is what coverage sees
        if second:  # noqa: SIM102  # as above
            if third:  # noqa: SIM102  # as above
                if data[3:4] == b"}":  # noqa: SIM102  # as above
                    if data[4:5] == b"}":
                        raise AssertionError("the planted fault was found")
