# `make demo` runs the main job, `make test` passes the tests; both do all set-up on a bare Debian or Ubuntu.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: bench demo test check setup tools

demo: setup
	$(SUDO) $(BIN)/python demo/run.py

test: setup
	$(BIN)/ruff check src tests
	$(BIN)/mypy
	$(SUDO) $(BIN)/pytest

bench: setup
	$(SUDO) $(BIN)/python -m bench

check: setup
	$(BIN)/ruff check src tests
	$(BIN)/mypy

setup: tools $(VENV)/.ready

# nft and ip build the boundary's network; curl, git and openssl are the real clients of the tests.
tools:
	@missing=""; for tool in nft:nftables ip:iproute2 curl:curl git:git openssl:openssl; do \
	  PATH="$$PATH:/usr/sbin:/sbin" command -v "$${tool%%:*}" >/dev/null || missing="$$missing $${tool##*:}"; done; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	if [ -n "$$missing" ]; then $(SUDO) apt-get update -qq && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; fi

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	touch $@
