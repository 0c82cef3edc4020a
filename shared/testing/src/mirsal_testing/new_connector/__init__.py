"""`make new-connector NAME=sms`: a connector that works, with its tests, to be filled in."""
