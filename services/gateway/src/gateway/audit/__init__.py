"""The audit log: who changed or saw what, when and from where, in a chain that shows tampering."""
