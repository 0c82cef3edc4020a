"""The WhatsApp connector, put together."""

from mirsal_runtime.connector import Connector

from whatsapp_worker.cloud_api import CloudApi, open_cloud_api
from whatsapp_worker.params import WhatsAppParams, WhatsAppResult
from whatsapp_worker.send import send_whatsapp

connector: Connector[WhatsAppParams, WhatsAppResult, CloudApi] = Connector(
    name="whatsapp",
    params=WhatsAppParams,
    result=WhatsAppResult,
    open=open_cloud_api,
    send=send_whatsapp,
)
