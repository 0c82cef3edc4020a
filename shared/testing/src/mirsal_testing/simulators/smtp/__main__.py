"""`python -m mirsal_testing.simulators.smtp`"""

from mirsal_testing.simulators.process import run
from mirsal_testing.simulators.smtp.settings import SmtpSimulatorSettings

if __name__ == "__main__":
    run(SmtpSimulatorSettings().make_simulator())
