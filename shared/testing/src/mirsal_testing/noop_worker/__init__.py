"""A real connector that does nothing, to measure and test the platform itself."""
