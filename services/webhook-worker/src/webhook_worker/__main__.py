"""`python -m webhook_worker`."""

from webhook_worker.main import main

main()
