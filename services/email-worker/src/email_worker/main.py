"""The e-mail connector, put together."""

from mirsal_runtime.connector import Connector
from mirsal_runtime.vault.accounts import Accounts

from email_worker.accounts import (
    check_account,
    find_recipients,
    open_mailers,
    send_from_account,
)
from email_worker.mailer import Mailer
from email_worker.params import EmailParams, EmailResult, count_recipients

connector: Connector[EmailParams, EmailResult, Accounts[Mailer]] = Connector(
    name="email",
    params=EmailParams,
    result=EmailResult,
    open=open_mailers,
    send=send_from_account,
    check=check_account,
    count_recipients=count_recipients,
    recipients=find_recipients,
)
