# SPDX-License-Identifier: Apache-2.0
#
# Every target first prepares .venv; nothing else has to be installed by hand.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# What `make sim` narrows down; empty means all.
SIM ?= all
TEST ?=
CONFIG ?=
SEED ?=
SEEDS ?=
WAVES ?=
WAVE_CYCLES ?=
# How many simulations run at a time.
JOBS ?= $(shell nproc)

# A recipe reads them as shell variables, so that no character of theirs is special.
export SIM TEST CONFIG SEED SEEDS WAVES WAVE_CYCLES JOBS

BIN := .venv/bin
PYTHON_SOURCES := pymodel host cuda sim cocotb_tests bench examples hatch_build.py
# Eager, because a persistent kernel would block the loading of another.
PYTEST := CUDA_MODULE_LOADING=EAGER $(BIN)/python -m pytest --import-mode=importlib -q --dist worksteal
# A missing suite is an error.
SUITES := pymodel/tests sim/tests $(wildcard host/tests) cuda/tests cocotb_tests
COSIM_OPTIONS = --sim "$${SIM:-all}" -n "$$JOBS" \
	$${TEST:+--case "$$TEST"} $${CONFIG:+--config "$$CONFIG"} $${SEED:+--seed "$$SEED"} \
	$${WAVE_CYCLES:+--wave-cycles "$$WAVE_CYCLES"}

.PHONY: help
help:  ## list the targets
	@echo 'make <target> [SIM=icarus|verilator] [TEST=regex] [CONFIG=name] [SEED=n] [SEEDS=n] [WAVES=1] [WAVE_CYCLES=n] [JOBS=n]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: setup
setup:  ## prepare .venv (every other target does so first)
	@sim/bootstrap.sh

.PHONY: sim
sim: setup  ## run the RTL against the golden model: SIM= TEST= CONFIG= SEED= WAVES= WAVE_CYCLES=
	@case "$$WAVES" in ''|0) waves= ;; *) waves=--waves ;; esac; \
	$(PYTEST) $(COSIM_OPTIONS) $$waves cocotb_tests

.PHONY: test
test: gen-check lint requirements  ## everything: generated files, lint, rules without a test, all suites
	@$(PYTEST) $(COSIM_OPTIONS) $(SUITES)

.PHONY: lint
lint: setup  ## ruff, mypy, imports, wording, and each RTL module alone through both simulators' own checks
	@$(BIN)/ruff check --quiet $(wildcard $(PYTHON_SOURCES))
	@$(BIN)/ruff format --check --quiet $(wildcard $(PYTHON_SOURCES)) \
		|| { echo 'the files above are not formatted; fix with: .venv/bin/ruff format' >&2; exit 1; }
	@$(BIN)/mypy --strict --no-error-summary $(foreach p,pymodel host cuda sim,$(wildcard $(p)/descring_*))
	@for suite in $(SUITES); do \
		MYPYPATH=$$suite:host/tests $(BIN)/mypy --strict --no-error-summary --explicit-package-bases $$suite; \
	done
	@report=$$($(BIN)/lint-imports --no-logo --no-cache 2>&1) || { echo "$$report" >&2; exit 1; }
	@MYPYPATH=bench:pymodel/tests $(BIN)/mypy --strict --no-error-summary --explicit-package-bases \
		bench $(wildcard examples/*.py) hatch_build.py
	@$(BIN)/python -m descring_sim.signoff.words
	@$(BIN)/python -m descring_sim.signoff.lint
	@$(BIN)/descring lint-rtl

.PHONY: gen
gen: setup  ## write the files that are generated from the contract
	@$(BIN)/descring gen

.PHONY: gen-check
gen-check: setup  ## fail if a generated file is stale
	@$(BIN)/descring gen-check

.PHONY: requirements
requirements: setup  ## fail if a rule of the contract lacks a required test
	@$(BIN)/descring requirements --check

.PHONY: mutants
mutants: setup  ## mutate the RTL; the testbenches must kill every mutant
	@$(BIN)/python -m descring_sim.mutation.rtl

.PHONY: formal
formal: setup  ## prove the properties in formal/ for all inputs
	@$(BIN)/python -m descring_sim.formal --jobs "$$JOBS"

.PHONY: formal-mutants
formal-mutants: setup  ## mutate the RTL; the proofs must kill every mutant
	@$(BIN)/python -m descring_sim.mutation.formal --jobs "$$JOBS"

.PHONY: synth
synth: setup  ## synthesise every RTL module: cells, flip-flops, logic depth, no latch, no loop
	@$(BIN)/python -m descring_sim.signoff.synth

# What takes too long for `make test`; one target after the other.
NIGHTLY := campaign ci-snippet conform-proof faults formal formal-mutants host-models host-sanitize \
	mutants-cuda soak synth

.PHONY: nightly
nightly:  ## the long runs that are not part of make test
	@for target in $(NIGHTLY); do $(MAKE) --no-print-directory $$target; done

.PHONY: faults
faults: setup  ## the fault table: 1000 seeds of each fault on Verilator, 63 on Icarus
	@$(BIN)/python -m descring_sim.faults --jobs "$$JOBS"

.PHONY: soak
soak: setup  ## all testbenches with SEEDS fresh seeds on each simulator; the same command continues it
	@$(BIN)/python -m descring_sim.campaign.soak --sim "$${SIM:-all}" --jobs "$$JOBS" \
		$${SEEDS:+--seeds "$$SEEDS"} $${SEED:+--seed "$$SEED"} \
		$${TEST:+--case "$$TEST"} $${CONFIG:+--config "$$CONFIG"}

.PHONY: campaign
campaign: setup  ## random lines against the golden model: 10^7 verilated and cpu, 10^6 Verilator, 10^5 Icarus
	@for run in 'verilated 10000000' 'cpu 10000000' 'verilator 1000000' 'icarus 100000'; do \
		set -- $$run; \
		$(BIN)/descring campaign "$$1" --lines "$$2" --jobs "$$JOBS" $${SEED:+--seed "$$SEED"}; \
	done

.PHONY: conform-proof
conform-proof: setup  ## the conformance kit must reject every wrong implementation under its rule
	@$(BIN)/python -m descring_sim.conform.proof --jobs "$$JOBS"

.PHONY: ci-snippet
ci-snippet: setup  ## the CI snippet of docs/conformance.md, as written, from an empty folder
	@sim/ci_snippet.sh

.PHONY: mutants-host
mutants-host: setup  ## mutate the host runtime; its suite must kill every mutant
	@$(BIN)/python -m descring_sim.mutation.host --jobs "$$JOBS"

.PHONY: mutants-cuda
mutants-cuda: setup  ## mutate the CUDA kernels; runs on the CPU must kill every mutant
	@$(PYTEST) -n "$$JOBS" cuda/mutants

.PHONY: sanitize
sanitize: setup  ## stress the native core under ThreadSanitizer and AddressSanitizer
	@host/native/check/sanitize.sh

.PHONY: host-sanitize
host-sanitize: setup  ## the same at length: 10^4 closings of each call, 10^6 random stores into each region
	@host/native/check/sanitize.sh --nightly

.PHONY: host-models
host-models: setup  ## model checks of the host runtime's protocols (spin), exhaustive at small sizes
	@host/native/models/check.sh --nightly

.PHONY: coverage
coverage: setup  ## line, branch and toggle coverage of the RTL by its testbenches, as HTML
	@$(BIN)/python -m descring_sim.signoff.coverage --jobs "$$JOBS"

.PHONY: timing-diagram
timing-diagram: setup  ## redraw docs/timing.svg from waves of the current RTL
	@$(BIN)/python -m descring_sim.gen.timing_diagram -o docs/timing.svg

.PHONY: bench
bench: setup  ## run the benchmarks in bench/; each verifies the results that it timed
	@for program in bench/*.py; do echo "$$program" >&2; $(BIN)/python "$$program"; done

.PHONY: clean
clean:  ## remove build products, keep .venv
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
