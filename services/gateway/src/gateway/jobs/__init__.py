"""Jobs: bulk calls that go on after their answer, with progress."""
