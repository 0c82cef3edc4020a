"""The WhatsApp connector."""
