"""Leads: the people that workflows run for."""
