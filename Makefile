# The front door; `make help` lists what there is. Paths are relative and quoted: the clone may lie under a path with spaces.
.DEFAULT_GOAL := help
.PHONY: help reproduce test lint format config env lock clean-env

PYTHON ?= python3
# Rules call plain `python`; nothing needs to be activated.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m
EXPERIMENTS := $(sort $(patsubst experiments/%.yaml,%,$(wildcard experiments/*.yaml)))
ifneq ($(EXPERIMENT),)
ifeq ($(filter $(EXPERIMENT),$(EXPERIMENTS)),)
$(error There is no experiment "$(EXPERIMENT)"; experiments/ holds: $(EXPERIMENTS))
endif
endif

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo 'Settings: EXPERIMENT=$(subst $() ,|,$(EXPERIMENTS)) (default: config.yaml)  CORES=n  ARGS="-n" (for Snakemake, pytest)'
	@echo '          TORCH=cpu|auto|cu130|... (default: cpu where there is no NVIDIA driver)  PYTHON=python3.11'

reproduce: env ## Run the study (EXPERIMENT, CORES, ARGS)
	@$(RUN) snakemake $(if $(CORES),--cores $(CORES)) $(if $(EXPERIMENT),--configfile experiments/$(EXPERIMENT).yaml) $(ARGS)

test: env ## Run all tests, style and lint checks included (CORES, ARGS)
	@$(RUN) pytest -n $(or $(CORES),logical) --dist loadfile $(ARGS)

lint: env ## Check style and workflow
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) snakefmt --check Snakefile rules
	@$(RUN) snakemake --lint

format: env ## Format all code
	@$(RUN) ruff check --fix --quiet . || true
	@$(RUN) ruff format .
	@$(RUN) snakefmt Snakefile rules

config: env ## Write config.yaml, its schema and its documentation from the models
	@$(RUN) scripts.render_config

env: ## Make .venv from the lock (TORCH, PYTHON)
	@"$(PYTHON)" envs/install.py --torch "$(TORCH)"

lock: env ## Renew envs/*.lock from envs/*.in (ARGS="--upgrade" raises versions)
	@cd envs && "$(CURDIR)/.venv/bin/python" -m uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" $(ARGS) requirements.in -o requirements.lock
	@cd envs && "$(CURDIR)/.venv/bin/python" -m uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" $(ARGS) bootstrap.in -o bootstrap.lock

clean-env: ## Remove .venv
	@rm -rf .venv
