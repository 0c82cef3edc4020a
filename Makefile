# The commands of this repository. `make` alone lists them; all need nothing but Python 3.11 or newer.

VENV_PYTHON := .venv/bin/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz fuzz-expressions up down status logs clean lint bench chaos rolling release guests setup validate-deploy dry-run images smoke

demo: setup ## 200 leads through e-mail, WhatsApp and a sheet on real servers, and what arrived
	@$(VENV_PYTHON) -m mirsal_testing.demo $(ARGS)

test: setup ## all tests (ARGS="-k words" for some)
	@$(VENV_PYTHON) -m mirsal_testing.stack fetch
	@$(VENV_PYTHON) -m pytest $(ARGS)

up: setup ## start the platform on this machine; URLs and key go to .mirsal/env
	@$(VENV_PYTHON) -m mirsal_testing.stack up

down: setup ## end the platform; data and logs stay
	@$(VENV_PYTHON) -m mirsal_testing.stack down

status: setup ## which processes run
	@$(VENV_PYTHON) -m mirsal_testing.stack status

logs: setup ## follow the logs of all processes (ARGS=gateway for one)
	@$(VENV_PYTHON) -m mirsal_testing.stack logs $(ARGS)

clean: setup ## end the platform and remove its data and logs
	@$(VENV_PYTHON) -m mirsal_testing.stack clean

lint: setup ## style, types and import rules
	@scripts/lint

validate-deploy: setup ## Dockerfiles, docker-compose.yml and deploy/k8s; fetches its own tools
	@PYTHONPATH=deploy $(VENV_PYTHON) -m mirsal_deploy.validate

dry-run: setup ## apply deploy/k8s to a real kube-apiserver, without effect; builds it once, for many minutes
	@PYTHONPATH=deploy $(VENV_PYTHON) -m mirsal_deploy.dry_run

images: setup ## each service's image, with Docker or else buildah
	@PYTHONPATH=deploy $(VENV_PYTHON) -m mirsal_deploy.images $(ARGS)

smoke: setup ## the demo with all services in containers, from those images
	@PYTHONPATH=deploy $(VENV_PYTHON) -m mirsal_deploy.smoke

bench: setup ## how fast it is, beside the raw ceiling of the same machine
	@$(VENV_PYTHON) -m mirsal_testing.bench $(ARGS)

chaos: setup ## every process killed under load, for longer than in `make test`
	@MIRSAL_CHAOS_SECONDS=$${MIRSAL_CHAOS_SECONDS:-300} $(VENV_PYTHON) -m pytest -s tests/chaos $(ARGS)

fuzz: setup ## thousands of calls that the OpenAPI document suggests, and sequences of them
	@MIRSAL_FUZZ_EXAMPLES=$${MIRSAL_FUZZ_EXAMPLES:-30} $(VENV_PYTHON) -m pytest -s services/gateway/tests/test_fuzz.py $(ARGS)

fuzz-expressions: setup ## templates, conditions and readers of texts under a coverage-guided fuzzer, 10 minutes each
	@MIRSAL_FUZZ_SECONDS=$${MIRSAL_FUZZ_SECONDS:-600} $(VENV_PYTHON) -m pytest -s tests/fuzz $(ARGS)

rolling: setup ## the last release and this version replace each other under load, in many orders
	@MIRSAL_ROLLS=$${MIRSAL_ROLLS:-4} $(VENV_PYTHON) -m pytest -s tests/chaos/test_rolling_deploy.py $(ARGS)

release: setup ## a release of this commit: versions, changelog, golden messages; committing is yours
	@$(VENV_PYTHON) -m mirsal_testing.releases

guests: setup ## build the interpreters that run customers' code (the other commands do it too)
	@$(VENV_PYTHON) -m code_runner.build

new-connector: setup ## a new connector that works (NAME=sms), to be filled in
	@$(VENV_PYTHON) -m mirsal_testing.new_connector $(NAME)
	@scripts/bootstrap --lock

setup: ## install what all other commands need (they do it themselves)
	@scripts/bootstrap

help:
	@echo "Mirsal. Commands:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
