"""What the gateway says of itself and of the platform: without a key, so without secrets."""
