# `make demo` runs the main job, `make test` passes the tests; both do all set-up on a bare Debian or Ubuntu.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

PEERS := .venv-peers
MITMPROXY := mitmproxy==11.0.2
# The tests' clients that are no packages of the system: pip's into an environment of their own, npm's beside them.
CLIENTS := .venv-clients
# The documentation's site.
SITE := .venv-site
# What the action installs, fetched once: its tests install it without a network.
WHEELS := .wheels
LINT = $(BIN)/ruff format -q --check src tests bench demo && $(BIN)/ruff check -q src tests bench demo && $(BIN)/mypy

# Coverage-guided fuzzing: libFuzzer under Python, in an environment of its own.
DEEP := .venv-deep
ATHERIS := atheris==3.0.0
SECONDS ?= 600

.PHONY: bench bench-tools check deep demo demo-tools more-tools setup site test tools

demo: demo-tools $(VENV)/.ready
	$(SUDO) $(BIN)/python demo/run.py

test: setup
	$(LINT)
	$(SUDO) $(BIN)/pytest

# Side by side with squid, mitmproxy and bubblewrap.
bench: bench-tools setup $(PEERS)/.ready
	$(SUDO) env MITMDUMP=$(CURDIR)/$(PEERS)/bin/mitmdump $(BIN)/python -m bench $(BENCH)

# The verifier against changes nobody thought of, for so many SECONDS; exits with 1 on a finding, kept in .fuzz.
deep: $(DEEP)/.ready
	$(DEEP)/bin/python -m tests.fuzz.deep $(SECONDS)

# The documentation, strictly: a link that leads nowhere is an error. In site/, for any web server or none.
site: $(SITE)/.ready
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet

check: demo-tools $(VENV)/.ready
	$(LINT)

setup: tools more-tools $(VENV)/.ready $(CLIENTS)/.ready $(WHEELS)/.ready $(SITE)/.ready

# What is wanted, as PROBE:PACKAGE; a probe is a command or a path, and one of several, with commas, is enough.
# nft and ip build the boundary's network; curl is the demo's client.
DEMO_TOOLS := nft:nftables ip:iproute2 curl:curl /etc/ssl/certs/ca-certificates.crt:ca-certificates
# The tests' real clients, and servers for them from packages that start no service on this machine. What runs in
# the boundary is another user, who may not reach the interpreter of the tests: pip is the system's.
TEST_TOOLS := $(DEMO_TOOLS) wget:wget git:git openssl:openssl ssh:openssh-client sshd,dropbear:dropbear-bin \
  redis-cli:redis-tools redis-server,redis-check-rdb:redis-tools node:nodejs npm:npm \
  /usr/lib/python3/dist-packages/pip:python3-pip sudo:sudo

# More clients, each with its own idea of whom to trust; a test of one that is not there says so.
MORE_TOOLS := ruby:ruby php:php-cli gnutls-cli:gnutls-bin java:default-jdk-headless certutil:libnss3-tools \
  chromium:chromium

BENCH_TOOLS := squid:squid-openssl bwrap:bubblewrap go,/usr/local/go/bin/go:golang-go

tools:
	$(call install,$(TEST_TOOLS))

more-tools:
	-$(call install,$(MORE_TOOLS))

demo-tools:
	$(call install,$(DEMO_TOOLS))

# squid's package would start a service on this machine: not while there is a policy that says no.
bench-tools:
	@command -v squid >/dev/null || [ -e /usr/sbin/policy-rc.d ] || \
	  { printf '#!/bin/sh\nexit 101\n' | $(SUDO) tee /usr/sbin/policy-rc.d >/dev/null; \
	    $(SUDO) chmod 755 /usr/sbin/policy-rc.d; touch .policy-rc.d; }
	$(call install,$(BENCH_TOOLS))
	@[ ! -e .policy-rc.d ] || { $(SUDO) rm -f /usr/sbin/policy-rc.d; rm .policy-rc.d; }

# Asks apt only for what is missing, and for nothing if all is there.
define install
@missing=""; PATH="$$PATH:/usr/sbin:/sbin"; \
for want in $(1); do found=""; \
  for probe in $$(echo "$${want%:*}" | tr , ' '); do \
    case $$probe in /*) [ -e "$$probe" ];; *) command -v "$$probe" >/dev/null;; esac && found=yes; done; \
  [ "$$found" ] || missing="$$missing $${want##*:}"; done; \
$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
[ -z "$$missing" ] || { echo "installing:$$missing"; $(SUDO) apt-get update -qq && \
  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 $$missing >/dev/null; }
endef

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -r requirements.lock
	$(BIN)/pip install -q --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q src
	touch $@

# Of the system's Python: what runs in the boundary may not reach another one. Without npm's, their tests say so.
$(CLIENTS)/.ready: tests/peers/clients.txt
	/usr/bin/python3 -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install -q -r tests/peers/clients.txt
	for name in ws@8 deno@2 bun@1; do npm install --silent --no-audit --no-fund --prefix $(CLIENTS) $$name \
	  || echo "no $$name: its tests are skipped"; done
	touch $@

$(WHEELS)/.ready: action/requirements.lock | $(VENV)/.ready
	$(BIN)/pip download -q --require-hashes --no-deps --only-binary :all: -d $(WHEELS) -r action/requirements.lock
	touch $@

$(PEERS)/.ready:
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install -q $(MITMPROXY)
	touch $@

$(DEEP)/.ready: requirements.lock
	$(PYTHON) -m venv $(DEEP)
	$(DEEP)/bin/pip install -q -r requirements.lock $(ATHERIS)
	$(DEEP)/bin/pip install -q --no-deps --no-build-isolation -e .
	touch $@

$(SITE)/.ready: requirements-site.lock
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/pip install -q -r requirements-site.lock
	touch $@
