"""A simulator of a mail server, with an inbox."""

from mirsal_testing.simulators.smtp.client import InboxClient, InboxMail
from mirsal_testing.simulators.smtp.mailbox import ReceivedMail
from mirsal_testing.simulators.smtp.rules import SmtpRule, Stage
from mirsal_testing.simulators.smtp.simulator import SmtpSimulator

__all__ = ["InboxClient", "InboxMail", "ReceivedMail", "SmtpRule", "SmtpSimulator", "Stage"]
