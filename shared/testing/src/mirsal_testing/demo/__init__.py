"""`make demo`: 200 leads through e-mail and WhatsApp, and what really arrived."""
