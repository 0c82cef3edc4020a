"""One file a step; see mirsal_runtime.migrations."""
