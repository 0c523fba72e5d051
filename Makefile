# SPDX-License-Identifier: Apache-2.0
#
# Every target first prepares .venv; nothing else has to be installed by hand.

SHELL := /bin/bash
# -p: a recipe's shell takes no functions, options or start-up files from the environment.
.SHELLFLAGS := -p -eu -o pipefail -c
.DEFAULT_GOAL := help

# What `make sim` narrows down; empty means all. FULL=1: the full tier in place of the quick one.
SIM ?= all
TEST ?=
CONFIG ?=
SEED ?=
SEEDS ?=
ROTATE ?=
FULL ?=
WAVES ?=
WAVE_CYCLES ?=
WB2AXIP ?=
FVIP ?=
VERILOG_AXI ?=
# How many simulations run at a time.
JOBS ?= $(shell nproc)

# A recipe reads them as shell variables, so that no character of theirs is special.
export SIM TEST CONFIG SEED SEEDS ROTATE FULL WAVES WAVE_CYCLES WB2AXIP FVIP VERILOG_AXI JOBS

# What is exported for other programs (PYTEST_ADDOPTS, GIT_DIR, CDPATH, ...) reaches no recipe.
FOREIGN := sim/descring_sim/support/foreign_variables.txt
unexport $(filter-out $(shell sed -n 's/^!//p' $(FOREIGN)),\
	$(filter $(shell sed '/^[\#!]/d; s/\*$$/%/' $(FOREIGN)),$(.VARIABLES)))
export LC_ALL := C.UTF-8

BIN := .venv/bin
PYTHON_SOURCES := pymodel host cuda sim cocotb_tests bench examples docs hatch_build.py
# Eager, because a persistent kernel would block the loading of another.
PYTEST := CUDA_MODULE_LOADING=EAGER $(BIN)/python -m pytest --import-mode=importlib -q
# A missing suite is an error.
UNIT_SUITES := pymodel/tests sim/tests $(wildcard host/tests) cuda/tests
SUITES := $(UNIT_SUITES) cocotb_tests
TIER := $(if $(filter-out 0,$(FULL)),full,quick)
# One seed, so that a change is judged on what it changes; SEED=random draws one.
FIXED_SEED := 637795913
# Runs are handed out one by one, the longest first; tests that share a fixture stay together.
COSIM = $(PYTEST) -n "$$JOBS" --dist load --maxschedchunk=1 --tier $(TIER) --sim "$${SIM:-all}" \
	$${TEST:+--case "$$TEST"} $${CONFIG:+--config "$$CONFIG"} --seed "$${SEED:-$(FIXED_SEED)}" \
	$${WAVE_CYCLES:+--wave-cycles "$$WAVE_CYCLES"}
# FULL=1: the tests marked nightly too.
UNIT = $(PYTEST) -n "$$JOBS" --dist worksteal
UNIT_TIER := $(if $(filter full,$(TIER)),,not nightly)

.PHONY: help
help:  ## list the targets
	@echo 'make <target> [SIM=icarus|verilator] [TEST=regex] [CONFIG=name] [SEED=n|random] [SEEDS=n] [FULL=1] [WAVES=1] [WAVE_CYCLES=n] [JOBS=n]'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16

.PHONY: setup
setup:  ## prepare .venv (every other target does so first)
	@sim/bootstrap.sh

.PHONY: setup-sim
setup-sim:  ## prepare .venv for `make sim` alone, a quarter of what `make setup` installs
	@sim/bootstrap.sh sim

.PHONY: sim
sim: setup-sim  ## run the RTL against the golden model, quick tier: FULL=1 SIM= TEST= CONFIG= SEED= WAVES= WAVE_CYCLES=
	@case "$$WAVES" in ''|0) waves= ;; *) waves=--waves ;; esac; \
	$(COSIM) $$waves cocotb_tests

.PHONY: check
check: setup  ## the inner loop: generated files, lint, types, model and unit suites, one block in Icarus
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line lint-python gen-check check-suites

.PHONY: check-suites
check-suites: setup  ## the suites of make check
	@$(UNIT) -m 'not slow and not nightly' $(UNIT_SUITES)
	@$(COSIM) --sim icarus --case '^desc_ring[.]' cocotb_tests/desc_ring

.PHONY: test
test: setup  ## everything before a change is merged: check, all rules, all suites, quick tier
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=line lint-python lint-rtl gen-check requirements
	@$(UNIT) -m '$(UNIT_TIER)' $(UNIT_SUITES)
	@$(COSIM) cocotb_tests

.PHONY: lint
lint: lint-python lint-rtl  ## lint-python and lint-rtl

.PHONY: lint-rtl
lint-rtl: setup  ## each RTL module alone through both simulators' own checks; slang, verible; part-selects
	@$(BIN)/descring dev elaborate
	@$(BIN)/descring dev lint-others
	@$(BIN)/descring lint-rtl

.PHONY: lint-python
lint-python: setup  ## ruff, mypy, imports, wording
	@$(BIN)/ruff check --quiet $(wildcard $(PYTHON_SOURCES))
	@$(BIN)/ruff format --check --quiet $(wildcard $(PYTHON_SOURCES)) \
		|| { echo 'the files above are not formatted; fix with: .venv/bin/ruff format' >&2; exit 1; }
	@$(BIN)/mypy --strict --no-error-summary $(foreach p,pymodel host cuda sim,$(wildcard $(p)/descring_*))
	@for suite in $(SUITES); do \
		MYPYPATH=$$suite:host/tests:examples/labs $(BIN)/mypy --strict --no-error-summary --explicit-package-bases $$suite; \
	done
	@report=$$($(BIN)/lint-imports --no-logo --no-cache 2>&1) || { echo "$$report" >&2; exit 1; }
	@MYPYPATH=bench:pymodel/tests $(BIN)/mypy --strict --no-error-summary --explicit-package-bases \
		bench $(wildcard examples/*.py) hatch_build.py
	@$(BIN)/mypy --strict --no-error-summary docs/tools/pictures.py docs/tools/check_site.py \
		docs/tools/check_browser.py docs/tools/perfetto_screen.py
	@for folder in vip labs; do \
		MYPYPATH=examples/$$folder $(BIN)/mypy --strict --no-error-summary --explicit-package-bases \
			examples/$$folder; \
	done
	@$(BIN)/descring dev words

.PHONY: gen
gen: setup  ## write the files that are generated from the contract, and the reference pages
	@$(BIN)/descring gen
	@$(BIN)/descring dev reference

.PHONY: gen-check
gen-check: setup  ## fail if a generated file is stale
	@$(BIN)/descring gen-check
	@$(BIN)/descring dev reference --check

.PHONY: requirements
requirements: setup  ## fail if a rule of the contract lacks a required test
	@$(BIN)/descring requirements --check

.PHONY: mutants
mutants: setup  ## mutate the RTL; the testbenches must kill every mutant
	@$(BIN)/descring dev mutants

# How many mutants of each kind `make mutation` draws.
SAMPLE ?= 60
export SAMPLE

.PHONY: mutation
mutation: setup  ## draw SAMPLE mutants each of RTL, Python and C by a seed; the same command continues it: SAMPLE= SEED=
	@failed=; for kind in rtl python c; do \
		$(BIN)/descring dev mutation "$$kind" --sample "$$SAMPLE" --seed "$${SEED:-1}" --jobs "$$JOBS" \
			|| failed+=" $$kind"; \
	done; \
	[ -z "$$failed" ] || { echo "mutation:$$failed" >&2; exit 1; }

.PHONY: formal
formal: setup  ## prove the properties in formal/ for all inputs
	@$(BIN)/descring dev formal --jobs "$$JOBS"

.PHONY: formal-axi
formal-axi: setup  ## prove the AXI ports by properties of others: WB2AXIP=/path/to/wb2axip FVIP=/path/to/SVA-AXI4-FVIP
	@$(BIN)/descring dev formal-axi $${WB2AXIP:+--wb2axip "$$WB2AXIP"} $${FVIP:+--fvip "$$FVIP"}

.PHONY: peers
peers: setup  ## run the device's testbench between the cores of verilog-axi: VERILOG_AXI=/path/to/verilog-axi
	@$(BIN)/descring dev peers $${VERILOG_AXI:+--verilog-axi "$$VERILOG_AXI"}

.PHONY: formal-mutants
formal-mutants: setup  ## mutate the RTL; the proofs must kill every mutant
	@$(BIN)/descring dev mutants-formal --jobs "$$JOBS"

.PHONY: synth
synth: setup  ## synthesise every RTL module: cells, flip-flops, logic depth, no latch, no loop
	@$(BIN)/descring dev synth

.PHONY: pnr
pnr: setup  ## place and route every RTL module, SEEDS seeds each: clock, critical path; continues where it was: SEEDS= JOBS=
	@$(BIN)/descring dev pnr --jobs "$$JOBS" --seeds "$${SEEDS:-5}" --write

# What takes too long for `make test`; one target after the other.
NIGHTLY := campaign ci-snippet conform-proof doc-commands docs-browser engine-compare faults formal formal-mutants \
	guard host-interrupts host-models host-sanitize host-soak labs-ordering mutants mutants-cuda \
	mutants-model pnr reader-fuzz rollouts-stress soak synth test mutation

.PHONY: nightly
nightly:  ## everything in full, with a seed that is drawn and printed
	@seed=$${SEED:-$$(shuf -i 1-2147483646 -n 1)}; echo "nightly: seed $$seed" >&2; \
	for target in $(NIGHTLY); do \
		$(MAKE) --no-print-directory $$target FULL=1 SEED="$$seed"; \
	done

.PHONY: faults
faults: setup  ## the fault table: 1000 seeds of each fault on Verilator, 63 on Icarus
	@$(BIN)/descring dev faults --jobs "$$JOBS"

.PHONY: soak
soak: setup  ## all testbenches with SEEDS fresh seeds on each simulator; the same command continues it
	@$(BIN)/descring dev soak --sim "$${SIM:-all}" --jobs "$$JOBS" \
		--tier "$$(case "$$FULL" in ''|0) echo quick ;; *) echo full ;; esac)" \
		$${SEEDS:+--seeds "$$SEEDS"} $${SEED:+--seed "$$SEED"} \
		$${TEST:+--case "$$TEST"} $${CONFIG:+--config "$$CONFIG"} $${ROTATE:+--rotate}

.PHONY: campaign
campaign: setup  ## random lines against the golden model: 10^7 verilated and cpu, 10^6 Verilator, 10^5 Icarus
	@for run in 'verilated 10000000' 'cpu 10000000' 'verilator 1000000' 'icarus 100000'; do \
		set -- $$run; \
		$(BIN)/descring campaign "$$1" --lines "$$2" --jobs "$$JOBS" $${SEED:+--seed "$$SEED"}; \
	done

.PHONY: conform-proof
conform-proof: setup  ## the conformance kit must reject every wrong implementation under its rule
	@$(BIN)/descring dev conform-proof --jobs "$$JOBS"

.PHONY: reader-fuzz
reader-fuzz: setup  ## 20 000 damaged files for the commands that read one: SEED=
	@$(BIN)/python sim/tests/reader_fuzz.py $${SEED:+--seed "$$SEED"}

.PHONY: ci-snippet
ci-snippet: setup  ## the CI snippet of docs/conformance.md, as written, from an empty folder
	@sim/ci_snippet.sh

.PHONY: mutants-host
mutants-host: setup  ## mutate the host runtime; its suite must kill every mutant
	@$(BIN)/descring dev mutants-host --jobs "$$JOBS"

.PHONY: mutants-model
mutants-model: setup  ## mutate the golden model of the rollout runtime; its suite must kill every mutant
	@$(BIN)/descring dev mutants-model --jobs "$$JOBS"

.PHONY: mutants-cuda
mutants-cuda: setup  ## mutate the CUDA kernels; runs on the CPU must kill every mutant
	@$(BIN)/descring dev mutants-cuda --jobs "$$JOBS"

.PHONY: host-interrupts
host-interrupts: setup  ## 100000 interrupted calls a backend, 1000 closings beside each call, forks, exits
	@DESCRING_INTERRUPTS=10000 DESCRING_CLOSINGS=1000 $(PYTEST) -n "$$JOBS" \
		host/tests/test_interrupts.py host/tests/test_closing.py cuda/tests/test_remote_closing.py

.PHONY: sanitize
sanitize: setup  ## stress the native core under ThreadSanitizer and AddressSanitizer
	@host/native/check/sanitize.sh

.PHONY: host-sanitize
host-sanitize: setup  ## the same at length: 10^4 closings of each call, 10^6 random stores into each region
	@host/native/check/sanitize.sh --nightly

.PHONY: host-soak
host-soak: setup  ## an hour of devices opened, used, interrupted, killed and closed: memory, files and threads stay flat
	@$(BIN)/python bench/host_soak.py --seconds 3600

.PHONY: host-models
host-models: setup  ## model checks of the host runtime's protocols (spin) and of the slab, exhaustive at small sizes
	@sim/bootstrap.sh dev spin
	@host/native/models/check.sh --nightly
	@host/native/check/plain.sh explore 4 3 2

.PHONY: rollouts-stress
rollouts-stress: setup  ## 10^8 rollouts in the native core, 10^7 operations on KV memory and on the slab: SEED=
	@host/native/check/plain.sh slab 10000000
	@host/native/check/plain.sh kv 10000000
	@host/native/check/plain.sh rollouts 100000000 $${SEED:-1}

.PHONY: engine-compare
engine-compare: setup  ## 10^6 tokens and 10^7 draws of the native engine against the golden model, 2^32 roundings, 10^5 damaged records: SEED=
	@host/native/check/plain.sh engine halves
	@host/native/check/plain.sh engine 100000 $${SEED:-1}
	@$(BIN)/python bench/engine_draws.py --draws 10000000 --no-gpu --seed $${SEED:-1}
	@$(BIN)/python host/tests/engine_compare.py --tokens 1000000 --seed $${SEED:-1}

.PHONY: guard
guard: setup  ## no allocation, system call or page fault in the native loops over 10^8 lines; each control is caught
	@host/native/check/plain.sh guard controls
	@host/native/check/plain.sh guard 100000000

.PHONY: coverage
coverage: setup  ## line, branch and toggle coverage of the RTL by its testbenches, as HTML
	@$(BIN)/descring dev coverage --jobs "$$JOBS"

.PHONY: docs
docs:  ## build the documentation site into build/site, without the network, and check every link
	@sim/bootstrap.sh docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs --quiet build --strict
	@$(BIN)/python docs/tools/draw.py --check
	@$(BIN)/python docs/tools/check_site.py build/site
	@echo 'read it at build/site/index.html'

.PHONY: docs-browser
docs-browser: docs  ## open every page of the site in Chromium: two widths, light and dark; overflow, contrast, errors
	@$(BIN)/python docs/tools/check_browser.py build/site

.PHONY: pictures
pictures:  ## draw the diagrams and charts of docs/pictures whose sources have changed
	@sim/bootstrap.sh docs
	@$(BIN)/python docs/tools/draw.py

.PHONY: doc-commands
doc-commands: setup  ## run every command of README, tutorials and guides as printed, the slow ones too
	@DESCRING_DOC_TIER=nightly $(PYTEST) -n "$$JOBS" sim/tests/test_doc_commands.py

.PHONY: timing-diagram
timing-diagram: setup  ## redraw docs/timing.svg from waves of the current RTL
	@$(BIN)/descring dev timing-diagram -o docs/timing.svg

.PHONY: labs
labs: setup  ## six effects of the machine under a ring, each with prediction, controls and a verdict
	@$(BIN)/python examples/labs/all.py

.PHONY: labs-ordering
labs-ordering: setup  ## 10^9 turns of each litmus test of the labs without a forbidden outcome
	@$(BIN)/python examples/labs/memory_ordering.py --turns 1000000000 --only plain

.PHONY: bench
bench: setup  ## run the benchmarks in bench/; each verifies the results that it timed
	@for program in bench/*.py; do echo "$$program" >&2; $(BIN)/python "$$program"; done

.PHONY: clean
clean:  ## remove build products, keep .venv
	@rm -rf build .pytest_cache .mypy_cache .ruff_cache .hypothesis
