"""Faults between processes, for chaos tests."""

from mirsal_testing.faults.sever import sever
from mirsal_testing.faults.tcp_proxy import Direction, TcpProxy

__all__ = ["Direction", "TcpProxy", "sever"]
