"""Simulators of the providers, on real sockets: the judges of what arrived, and how often.

`mirsal_testing.simulators.whatsapp` and `mirsal_testing.simulators.smtp` hold them.
"""
