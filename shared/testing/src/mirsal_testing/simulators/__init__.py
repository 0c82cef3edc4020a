"""Simulators of the providers, on real sockets: the judges of what arrived, and how often.

`whatsapp`, `smtp`, `bigquery` and `sheets` in here hold them.
"""
