"""Grafana's dashboards as code; `python -m mirsal_deploy.dashboards` writes their JSON."""
