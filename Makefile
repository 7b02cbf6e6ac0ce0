# SPDX-License-Identifier: Apache-2.0
#
# make demo    the way through in a lab of namespaces: a transfer that outlives address changes
# make demo-graph  a user device's traffic, led through feature peers
# make test    lint, types, unit tests, packet vectors, lab tests
# make bench   the benchmarks (ONLY=name for one)
# make fuzz    a million generated packets through the data plane programs
# make fuzz-diff  100,000 generated packets through XDP, TC and the P4 program on BMv2
# make p4      compile the P4 program anew, after a change to it (needs p4c on the PATH)
# All of them install what is missing first (Debian 12, as root).

SHELL := /bin/sh
PYTHON := .venv/bin/python
PROTOS = $(wildcard moorline/api/v1/*.proto)
# Lab tests of ways through relays, of service graphs, and of gateways and switches: each about a quarter of all.
WAYS = tests/lab/test_relays.py
GRAPHS = $(wildcard tests/lab/test_graph*.py tests/lab/test_feature_peers*.py) tests/lab/test_subscribers.py \
	tests/lab/test_silent_hosts.py tests/lab/test_redirect_and_shortcut.py
SWITCHES = $(wildcard tests/lab/test_switch*.py) tests/lab/test_gateway.py
C_SOURCES = $(wildcard ebpf/*.c ebpf/*.h tools/bench/*.c tools/lab/*.c)

# Whatever the environment says, the bytecode of modules is kept: hundreds of processes are started.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup shell demo demo-graph test lint unit control conformance lab ways graphs switches bench fuzz \
	fuzz-diff p4 stubs format clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup:
	@tools/setup/setup

shell: setup
	@tools/p4runtime-shell/setup

demo: setup
	@$(PYTHON) -m tools.demo

demo-graph: setup
	@$(PYTHON) -m tools.demo.graph

# Most of a lab test is waiting, and labs have names of their own: parts run side by side, the long ones first,
# more than there are processors; with many more, each would only be slower. Each says what it did when it ends.
test: setup
	@$(MAKE) --no-print-directory --jobs=$$(($$(nproc) + 4)) --keep-going --output-sync=target \
		ways lab graphs switches conformance control unit lint

unit: setup
	@$(PYTHON) -m pytest tests/unit --ignore=tests/unit/control

control: setup
	@$(PYTHON) -m pytest tests/unit/control

conformance: setup
	@$(PYTHON) -m pytest tests/conformance

lab: setup
	@tools/p4runtime-shell/setup
	@$(PYTHON) -m pytest tests/lab $(addprefix --ignore=,$(WAYS) $(GRAPHS) $(SWITCHES))

ways: setup
	@$(PYTHON) -m pytest $(WAYS)

graphs: setup
	@$(PYTHON) -m pytest $(GRAPHS)

switches: setup
	@$(PYTHON) -m pytest $(SWITCHES)

lint: setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@clang-format --dry-run -Werror $(C_SOURCES)
	@$(PYTHON) -m mypy

bench: setup
	@$(PYTHON) -m tools.bench $(if $(ONLY),--only $(ONLY))

fuzz: setup
	@$(PYTHON) -m tools.fuzz

fuzz-diff: setup
	@$(PYTHON) -m tools.fuzz.diff

p4: setup
	@$(PYTHON) -m tools.contract

stubs: setup
	@$(PYTHON) -m grpc_tools.protoc -I. --python_out=. --pyi_out=. --grpc_python_out=. $(PROTOS)

format: setup
	@$(PYTHON) -m ruff check --fix-only .
	@$(PYTHON) -m ruff format .
	@clang-format -i $(C_SOURCES)

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
