"""The WhatsApp connector, put together."""

from mirsal_runtime.connector import Connector
from mirsal_runtime.vault.accounts import Accounts

from whatsapp_worker.accounts import (
    check_account,
    find_recipients,
    open_numbers,
    send_from_account,
)
from whatsapp_worker.cloud_api import CloudApi
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult, count_recipients

connector: Connector[WhatsAppParams, WhatsAppResult, Accounts[CloudApi]] = Connector(
    name="whatsapp",
    params=WhatsAppParams,
    result=WhatsAppResult,
    open=open_numbers,
    send=send_from_account,
    check=check_account,
    count_recipients=count_recipients,
    recipients=find_recipients,
)
