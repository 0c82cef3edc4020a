-- Run as the role `gateway`, in its schema. The roles without `mirsal_` are what the other services'
-- releases before act as.

SELECT have_role(reader)
  FROM unnest(ARRAY['mirsal_email_worker', 'mirsal_whatsapp_worker', 'mirsal_sheets_worker',
                    'mirsal_webhook_worker']) AS reader;
GRANT USAGE ON SCHEMA gateway
   TO mirsal_email_worker, mirsal_whatsapp_worker, mirsal_sheets_worker, mirsal_webhook_worker;

-- A barrier: no function of a reader's own is shown a row before the view has chosen it.
CREATE OR REPLACE VIEW published_credentials WITH (security_barrier = true) AS
SELECT credential.workspace, credential.credential_id, credential.type, credential.revision,
       credential.sealed, credential.data_key, key.key_id, key.wrapped
  FROM credentials AS credential
  JOIN workspace_keys AS key ON key.id = credential.data_key
 WHERE credential.type = CASE current_user
                              WHEN 'mirsal_email_worker' THEN 'smtp'
                              WHEN 'mirsal_whatsapp_worker' THEN 'whatsapp'
                              WHEN 'mirsal_sheets_worker' THEN 'google'
                              WHEN 'email_worker' THEN 'smtp'
                              WHEN 'whatsapp_worker' THEN 'whatsapp'
                              WHEN 'sheets_worker' THEN 'google'
                         END;
GRANT SELECT ON published_credentials
   TO mirsal_email_worker, mirsal_whatsapp_worker, mirsal_sheets_worker;
GRANT SELECT ON published_webhook_endpoints, published_webhook_wishes TO mirsal_webhook_worker;
