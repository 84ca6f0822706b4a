# `make up`: a cluster and a real report. `make test`: everything. `make help`: the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
STAMP := $(VENV)/.stamp-$(shell cat requirements/dev.txt pyproject.toml | cksum | cut -d' ' -f1)
LOCAL := python3 hack/localcluster
LOCK := --quiet --generate-hashes --no-annotate --no-header --no-emit-index-url
# The image's Python: what is fetched for it is fetched by another, which would misjudge markers.
IMAGE_LOCK := $(LOCK) --python-version 3.11.2 --python-platform linux
# What `make up` needs where no Docker engine answers, and what tests need besides.
APT_UP := mmdebstrap openssl golang-go
APT := postgresql postgresql-client mariadb-server mariadb-client pgbouncer redis-server redis-tools prometheus prometheus-alertmanager jq sysstat procps \
       poppler-utils libreoffice-calc-nogui libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 \
       fonts-dejavu-core fonts-liberation2 fonts-symbola openssh-sftp-server chromium chromium-driver npm iptables
# For tests that need a Docker engine, where none answers.
ENGINE := docker.io slirp4netns

export PATH := $(BIN):$(PATH)

.PHONY: help up examples up-cluster down mail forward test test-docker check docs crontable unit integration test-lifecycle test-network test-kueue venv packages lock image reproducible licences release audit logs demo env bench fmt fuzz chart-check test-monitoring pictures

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# Docker and Python are enough for these, on a Mac with its old make as well: one line, no packages.
up: ## cluster, image, chart, demo data, and a real report at the end
	@hack/with-docker || hack/packages $(APT_UP); exec python3 hack/up.py

examples: venv up ## the reports of docs/examples on that cluster: an HTTP API, Parquet from S3, waiting, days off, a check
	$(BIN)/python hack/examples.py

up-cluster: ## the local cluster alone
	@hack/with-docker || hack/packages $(APT_UP); exec $(LOCAL) up

mail: ## the demo's mails again, the newest one whole
	@python3 -m hack.mail

down: ## remove the local cluster and all that belongs to it
	$(LOCAL) down

forward: venv ## admin API, Redis and Postgres on localhost: 3000, 6379, 5432
	@$(BIN)/python hack/forward.py

test-docker: packages venv ## `make up` over a Docker engine and kind, the end-to-end tests there; an engine of its own where none answers
	@python3 -m hack.engine test

test: packages venv check crontable integration ## everything: lint, types, unit, integration, end to end

check: venv ## lint, types, layers, drift, unit tests
	@ruff check .
	ruff format --check .
	mypy
	mypy --config-file tests/mypy.ini tests hack
	lint-imports --no-cache >/dev/null || lint-imports
	python -m report_operator.crd --check
	python -m hack.docs --check
	zensical build --strict --clean
	pytest -q -n 2 tests/unit tests/contract/test_corpus_models.py tests/contract/test_corpus_preview.py

docs: venv ## the documentation as a site in out/site; a page that is stale or a link that is dead fails
	@python -m hack.docs --check
	zensical build --strict --clean

crontable: venv ## slots as robfig/cron itself computes them, made anew and compared
	hack/crontable/check

integration: venv ## against the real cluster (brought up if it is not), end to end, the runbook
	@if $(LOCAL) status >/dev/null 2>&1; then was_up=1; else was_up=; fi
	finish() { code=$$?; [ -n "$$was_up" ] || $(LOCAL) down; exit $$code; }
	trap finish EXIT
	python3 hack/up.py
	$(BIN)/python hack/examples.py
	$(BIN)/python -m hack.testbed.go_programs
	eval "$$($(LOCAL) env)"
	# What waits for whole minutes runs beside the rest, whose two workers it hardly slows down.
	minutes=$$(mktemp)
	pytest -q -n 2 --dist worksteal -m minutes tests/integration >"$$minutes" 2>&1 & beside=$$!
	pytest -q -n 2 --dist worksteal --durations=20 -m "not minutes" \
	    tests/integration tests/attacks tests/contract/test_corpus_api_server.py tests/e2e && code=0 || code=$$?
	wait $$beside || code=$$?
	cat "$$minutes"; rm "$$minutes"
	[ $$code = 0 ] || exit $$code
	pytest -q tests/runbook

chart-check: packages venv ## kubeconform, kube-score and checkov over the chart: each finding mended or explained
	@python -m hack.chart_check

test-lifecycle: packages venv ## upgrade, rollback, uninstall, drain, dead leader: a cluster of its own (15 minutes)
	@export ADAF_CLUSTER=$${ADAF_CLUSTER:-lifecycle}
	trap '$(LOCAL) down' EXIT
	$(LOCAL) up
	eval "$$($(LOCAL) env)"
	pytest -q -s -n 0 --timeout 1800 tests/lifecycle

test-network: packages venv ## NetworkPolicies enforced: who gets through and who does not, a cluster of its own (8 minutes, the first time more)
	@export ADAF_CLUSTER=$${ADAF_CLUSTER:-network} DOCKER_HOST=unix:///dev/null  # the local node, not kind
	trap '$(LOCAL) down' EXIT
	$(BIN)/python hack/up.py --no-demo
	eval "$$($(LOCAL) env)"
	pytest -q -s -n 0 tests/network

test-kueue: packages venv ## runs that a real Kueue lets start, on a control plane of its own (6 minutes to build at first)
	@pytest -q -n 0 tests/kueue

test-monitoring: packages venv ## alerts and dashboards under the real Prometheus operator, on the cluster of make up (the first time it is built: 10 minutes)
	@$(BIN)/python hack/up.py --no-demo
	$(BIN)/python -m hack.monitoring
	eval "$$($(LOCAL) env)"
	pytest -q -s -n 0 tests/monitoring

pictures: venv ## the dashboards for docs/images, drawn from the Prometheus of make test-monitoring (10 minutes)
	@$(BIN)/python -m hack.dashboard_pictures

fuzz: venv ## 10,000 hostile objects at a running operator, on a control plane of its own
	@FUZZ_OBJECTS=$${FUZZ_OBJECTS:-10000} pytest -q -s --timeout 3600 tests/integration/operator/test_hostile.py -k hostile_objects

venv: $(STAMP) ## the development environment

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "making $(VENV)"
	[ -x $(BIN)/pip ] || { hack/packages python3-venv; python3 -m venv --clear $(VENV); }
	[ -x $(BIN)/uv ] || $(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	$(BIN)/python -m compileall -q operator report_runner  # started often, as in the image
	rm -f $(VENV)/.stamp-*
	touch $(STAMP)

packages: ## Debian packages that tests and builds need
	@hack/packages $(APT_UP) $(APT) $(ENGINE)

lock: venv ## pin the dependencies anew
	uv pip compile $(LOCK) --universal --python-version 3.11 pyproject.toml --all-extras --group dev -o requirements/dev.txt
	uv pip compile $(IMAGE_LOCK) -c requirements/dev.txt pyproject.toml --all-extras -o requirements/image.txt
	uv pip compile $(IMAGE_LOCK) requirements/build.in -o requirements/build.txt
	uv pip compile $(LOCK) --universal --python-version 3.11 requirements/chart-check.in -o requirements/chart-check.txt
	uv pip compile $(IMAGE_LOCK) requirements/demo-mail.in -o requirements/demo-mail.txt
	uv pip compile $(LOCK) --python-version 3.11 requirements/audit.in -o requirements/audit.txt

image: ## build the images
	@hack/with-docker || hack/packages $(APT_UP); exec python3 -m hack.image build

reproducible: packages ## each image built twice from nothing: the same digest
	python3 -m hack.image.reproduce

licences: packages ## THIRD_PARTY_LICENSES.md, made anew from the images
	python3 -m hack.release.licences --write

release: packages ## images, chart, SBOMs, licences, provenance and checksums in dist/
	python3 -m hack.release $(RELEASE)

audit: venv ## known flaws of dependencies, where their data can be reached
	@[ -x .venv-audit/bin/pip-audit ] || python3 -m venv .venv-audit
	uv pip install --quiet --python .venv-audit/bin/python --require-hashes -r requirements/audit.txt
	python -m hack.release.audit

logs: ## follow the operator's log
	@eval "$$($(LOCAL) env)"
	kubectl -n report-scheduler logs -f deploy/report-scheduler-adaf-report-scheduler

demo: up ## the same as up

env: ## print what a shell needs: eval "$$(make -s env)"
	@$(LOCAL) env

bench: venv ## schedules beside kubectl, PDF speed, the API over a million runs and thousands of schedules, latencies, a million rows
	@python -m hack.bench.schedules || true
	python -m hack.bench.pdf || true
	python -m hack.bench.api || true
	python -m hack.bench.fleet || true
	python -m hack.bench.latency || true
	python -m hack.bench.rows || true

fmt: venv ## format
	@ruff check --fix --quiet . || true
	ruff format .
