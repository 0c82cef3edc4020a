"""The e-mail connector, put together."""

from mirsal_runtime.connector import Connector

from email_worker.mailer import Mailer, open_mailer
from email_worker.params import EmailParams, EmailResult
from email_worker.send import send_email

connector: Connector[EmailParams, EmailResult, Mailer] = Connector(
    name="email",
    params=EmailParams,
    result=EmailResult,
    open=open_mailer,
    send=send_email,
)
