"""Topics and API keys of the toy platform: `keys generate` prints one, the rest does nothing."""

import sys

if sys.argv[1:3] == ["keys", "generate"]:
    print("toy-key")  # noqa: T201 - this is what it is for
