"""The messages that Mirsal's services exchange."""
