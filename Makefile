# Every target does its own set-up, in virtual environments of its own. `make help` lists them.
PYTHON ?= python3
VENV := .venv
JOBS ?= 2
BIN := $(VENV)/bin
CLIENTS := hub-0.24 hub-0.30 hub-0.36 hub-1.0 hub-1 hub-2 models
PIP := -m pip install -q --disable-pip-version-check --require-hashes
UV := $(BIN)/uv pip compile -q --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header

.PHONY: help demo serve test test-fast tools clients conformance lint format policy soak bench wheel lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/runtime.stamp: requirements/runtime.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) -r requirements/runtime.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/runtime.stamp requirements/dev.txt requirements/opa-bridge.txt
	$(BIN)/python $(PIP) -r requirements/dev.txt
	-$(BIN)/python $(PIP) --no-deps --ignore-requires-python -r requirements/opa-bridge.txt
	@touch $@

.venvs/bench-olah.stamp: requirements/bench-olah.txt
	$(PYTHON) -m venv .venvs/bench-olah
	.venvs/bench-olah/bin/python $(PIP) -r requirements/bench-olah.txt
	@touch $@

.venvs/%.stamp: requirements/client-%.txt
	$(PYTHON) -m venv .venvs/$*
	.venvs/$*/bin/python $(PIP) -r requirements/client-$*.txt
	@touch $@

demo: $(VENV)/runtime.stamp ## the product in one screen: a sample hub, the gateway, a real client (no network)
	$(BIN)/gateway demo

serve: $(VENV)/runtime.stamp ## run the gateway on 127.0.0.1:8080 before huggingface.co
	$(BIN)/gateway serve --listen 127.0.0.1:8080 --state .state --profile balanced

tools: ## the pinned opa into .tools/bin; as root git-lfs, aria2, wget, node, chromium …; the Node packages of conformance/
	@PYTHON=$(PYTHON) tools/get-opa.sh || { [ "$(CI)" != "true" ]; }
	@CI=$(CI) tools/get-programs.sh

clients: $(VENV)/dev.stamp $(CLIENTS:%=.venvs/%.stamp) ## the client libraries that the tests run, each in an environment of its own

conformance: clients tools ## run every client and write docs/conformance.md and docs/refusals.md
	$(BIN)/python -m conformance.refusals --write
	$(BIN)/python -m conformance run --write

test: clients tools ## every test, with real clients and a real OPA server
	$(BIN)/python -m pytest -p no:cacheprovider -q -n $(JOBS) --dist loadfile

test-fast: $(VENV)/dev.stamp ## the tests that need no client environments and no OPA server
	$(BIN)/python -m pytest -p no:cacheprovider -q -m "not clients and not opa_server and not soak"

lint: $(VENV)/dev.stamp ## style, types, import contracts, spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell gateway rego config docs README.md CONTRIBUTING.md CHANGELOG.md

format: $(VENV)/dev.stamp ## rewrite the code in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

policy: $(VENV)/dev.stamp ## the Rego tests and samples, without any other binary
	$(BIN)/gateway policy test

soak: $(VENV)/dev.stamp ## kill -9 at random moments: GATEWAY_SOAK_ROUNDS rounds (100)
	GATEWAY_SOAK_ROUNDS=$${GATEWAY_SOAK_ROUNDS:-100} $(BIN)/python -m pytest -p no:cacheprovider -q -m soak --timeout 3000

bench: $(VENV)/dev.stamp .venvs/hub-2.stamp .venvs/bench-olah.stamp ## every benchmark; prints ratios against a baseline of the same run
	$(BIN)/python -m benchmarks

wheel: $(VENV)/dev.stamp ## build the wheel into dist/
	$(BIN)/python -m build --no-isolation --wheel --outdir dist .

lock: $(VENV)/dev.stamp ## compile the hashed requirement files again
	for name in runtime dev bench-olah $(CLIENTS:%=client-%); do \
	  $(UV) requirements/$$name.in -o requirements/$$name.txt; done

clean: ## drop environments, caches and build results
	rm -rf $(VENV) .venvs .tools dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
