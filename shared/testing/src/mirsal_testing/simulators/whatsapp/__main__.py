"""`python -m mirsal_testing.simulators.whatsapp`"""

from mirsal_testing.simulators.process import run
from mirsal_testing.simulators.whatsapp.settings import WhatsAppSimulatorSettings

if __name__ == "__main__":
    run(WhatsAppSimulatorSettings().make_simulator())
