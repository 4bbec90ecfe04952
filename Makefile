# The front door; `make help` lists what there is. Paths are relative and quoted: the clone may lie under a path with spaces.
.DEFAULT_GOAL := help
.PHONY: help reproduce why status compare snapshot leaderboard verify stale checkpoints store-verify store-prune export-model export-run tensorboard provenance plan slurm-check rulegraph bench test lint format config env lock clean-env

PYTHON ?= python3
# Rules call plain `python`; nothing needs to be activated.
RUN := PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/python -m
CONFIGFILE = $(if $(EXPERIMENT),--configfile experiments/$(EXPERIMENT).yaml)
EXPERIMENTS := $(sort $(patsubst experiments/%.yaml,%,$(wildcard experiments/*.yaml)))
ifneq ($(EXPERIMENT),)
ifeq ($(filter $(EXPERIMENT),$(EXPERIMENTS)),)
$(error There is no experiment "$(EXPERIMENT)"; experiments/ holds: $(EXPERIMENTS))
endif
endif
PROFILES := $(notdir $(wildcard profiles/*))
ifneq ($(PROFILE),)
ifeq ($(filter $(PROFILE),$(PROFILES)),)
$(error There is no profile "$(PROFILE)"; profiles/ holds: $(PROFILES))
endif
endif

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo 'Settings: EXPERIMENT=$(subst $() ,|,$(EXPERIMENTS)) (default: config.yaml)  CORES=n  PROFILE=slurm  ARGS="-n" (for Snakemake, pytest)'
	@echo '          TORCH=cpu|auto|cu130|... (default: cpu where there is no NVIDIA driver)  PYTHON=python3.11'

reproduce: env ## Run the study (EXPERIMENT, CORES, PROFILE=slurm, ARGS)
	@$(if $(PROFILE),$(RUN) scripts.slurm_wait)
	@$(RUN) snakemake $(if $(PROFILE),--workflow-profile "profiles/$(PROFILE)" )$(if $(CORES),--cores $(CORES)) $(ARGS) $(CONFIGFILE)

plan: env ## Say what a study will cost: jobs, hours, disk (EXPERIMENT, ARGS="--gpus 8 --measured results/OTHER")
	@$(RUN) scripts.plan $(CONFIGFILE) $(ARGS)

slurm-check: env ## Look at the SLURM cluster, print the lines of profiles/slurm that fit it
	@$(RUN) scripts.slurm_check $(ARGS)

why: env ## Say what the next run would do, and why (EXPERIMENT, ARGS="--json")
	@$(RUN) scripts.why $(CONFIGFILE) $(ARGS)

status: env ## Say how far a run is, in a second terminal (EXPERIMENT, ARGS="--watch")
	@$(RUN) scripts.status $(CONFIGFILE) $(ARGS)

compare: env ## Show what changed: A=before B=after (EXPERIMENT, ARGS="--languages"); alone: now against the last kept run
	@$(RUN) scripts.compare $(CONFIGFILE) $(if $(A)$(B),"$(A)") $(if $(B),"$(B)") $(ARGS)

snapshot: env ## Keep the current scores under a name: NAME=before (EXPERIMENT)
	@$(RUN) scripts.snapshot $(CONFIGFILE) --name "$(NAME)" $(ARGS)

leaderboard: env ## Rank all kept runs and current results (ARGS="--markdown")
	@$(RUN) scripts.leaderboard $(ARGS)

verify: env ## Check that results are what they say they are (EXPERIMENT, ARGS="--rerun" makes one again)
	@$(RUN) scripts.verify $(CONFIGFILE) $(ARGS)

stale: env ## List results that no rule makes any more (EXPERIMENT, ARGS="--remove")
	@$(RUN) scripts.stale $(CONFIGFILE) $(ARGS)

checkpoints: env ## List training that was stopped and can go on (ARGS="--remove --days 30 --folder results/.checkpoints")
	@$(RUN) scripts.checkpoints $(ARGS)

store-verify: env ## Check every entry of the store (STORE, or EXPERIMENT whose it is)
	@$(RUN) scripts.verify $(CONFIGFILE) --store $(if $(STORE),"$(STORE)")

store-prune: env ## Remove store entries that nothing used for 30 days (STORE or EXPERIMENT, ARGS="--dry-run --days 7")
	@$(RUN) scripts.store_prune $(CONFIGFILE) $(if $(STORE),--store "$(STORE)") $(ARGS)

export-model: env ## Write a model as a Hugging Face folder with a card: MODEL=models/target/... (EXPERIMENT, ARGS="--output FOLDER")
	@test -n "$(MODEL)" || { echo 'Which model? make export-model MODEL=models/target/...' >&2; exit 2; }
	@$(RUN) scripts.export_model $(CONFIGFILE) "$(MODEL)" $(ARGS)

export-run: env ## Bundle what made a result, without weights: RESULT=models/target/... (EXPERIMENT, ARGS="--output run.zip")
	@test -n "$(RESULT)" || { echo 'Which result? make export-run RESULT=models/target/...' >&2; exit 2; }
	@$(RUN) scripts.export_run $(CONFIGFILE) "$(RESULT)" $(ARGS)

tensorboard: env ## Write training curves as TensorBoard event files (EXPERIMENT, ARGS="--output FOLDER")
	@$(RUN) scripts.tensorboard $(CONFIGFILE) $(ARGS)

provenance: env ## List what a rule's results depend on: RULE=train_target
	@$(RUN) scripts.provenance "$(RULE)" $(ARGS)

rulegraph: env ## Draw the graph of the rules into README.md
	@$(RUN) scripts.rulegraph

bench: env ## Measure a row beside its peers: ROW=step (ARGS="--repeats 3"); alone: the rows, their goals and last records
	@test -f "benchmarks/$(or $(ROW),page).py" || { echo 'There is no row "$(ROW)"; make bench lists them' >&2; exit 2; }
	@$(RUN) benchmarks$(if $(ROW),.$(ROW)) $(ARGS)

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
