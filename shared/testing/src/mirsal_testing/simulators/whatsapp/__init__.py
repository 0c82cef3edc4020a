"""A simulator of the WhatsApp Cloud API."""

from mirsal_testing.simulators.whatsapp.client import WhatsAppSimulatorClient
from mirsal_testing.simulators.whatsapp.record import Call
from mirsal_testing.simulators.whatsapp.rules import WhatsAppRule
from mirsal_testing.simulators.whatsapp.simulator import WhatsAppSimulator
from mirsal_testing.simulators.whatsapp.templates import Template

__all__ = ["Call", "Template", "WhatsAppRule", "WhatsAppSimulator", "WhatsAppSimulatorClient"]
