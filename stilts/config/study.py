"""The study a configuration describes: which arms there are, and the one spec each rule's result depends on.

A spec holds all that can change the result of its rule and nothing else: paths, threads and batch splitting are not
in it. The workflow passes it as one canonical JSON string.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

from stilts.config.load import resolve_task
from stilts.config.models import Backbone, Config, Recipe, Training
from stilts.errors import UserError, did_you_mean
from stilts.tasks.spec import TaskSpec

# What only people read of a task; it reaches the report and nothing else.
READ_BY_PEOPLE = {"description": "", "licence": "", "citation": "", "url": "", "notes": ""}


def slim(task: TaskSpec, keep: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a task without what only people read, and without its source and languages unless kept."""
    raw = task.model_dump() | READ_BY_PEOPLE
    blank = {
        "source": {},
        "columns": {},
        "choices": [],
        "label_values": {},
        "quirks": [],
        "languages": [],
        "train_task": None,
    }
    return {k: blank[k] if k in blank and k not in keep else v for k, v in raw.items()}


class Study:
    """One experiment: names of its arms, and specs by rule."""

    def __init__(self, config: Config):
        self.config, self.grid = config, config.grid
        self.root = f"results/{config.experiment}"
        self._check_languages()

    @cache  # noqa: B019 (one study a process)
    def task(self, name: str) -> TaskSpec:
        """Return a task as this experiment reads it."""
        return resolve_task(self.config, name)

    @cached_property
    def trained(self) -> list[str]:
        """Targets that are fine-tuned."""
        return [t for t in self.grid.targets if not self.task(t).retrieval]

    @cached_property
    def retrieved(self) -> list[str]:
        """Targets scored straight from sentence embeddings."""
        return [t for t in self.grid.targets if self.task(t).retrieval]

    def backbone(self, name: str) -> Backbone:
        """Return a backbone by name."""
        return self.config.backbones[name]

    def recipe(self, name: str) -> Recipe:
        """Return a recipe by name."""
        return self.config.recipes[name]

    def languages(self, task: str) -> list[str]:
        """Return the languages a task is evaluated in (text tasks: read in), the source language first where it has it."""
        spec, source = self.task(task), self.config.source_language
        if self.config.provider == "mini":
            have = list(self.config.world.languages)
            if spec.kind == "bitext_retrieval":
                have.remove(source)
        else:
            have = spec.languages or [source]
        if self.config.languages != "all" and spec.kind != "masked_lm":
            have = [k for k in have if k in self.config.languages or k == source]
        return sorted(have, key=lambda k: (k != source, k))

    def _check_languages(self) -> None:
        if self.config.languages == "all":
            return
        known = {
            k
            for t in self.grid.targets
            for k in (self.task(t).languages if self.config.provider != "mini" else self.config.world.languages)
        }
        for language in self.config.languages:
            if language not in known:
                raise UserError(
                    f'languages: no target has data in "{language}".{did_you_mean(language, known)} There are: {", ".join(sorted(known))}.'
                )

    def train_task(self, target: str) -> str:
        """Return the task whose training split tunes a target."""
        return self.task(target).train_task or target

    def dev_task(self, target: str) -> str:
        """Return the task on whose source-language validation split a target is selected: its own where it has one."""
        own = self.task(target)
        here = self.config.provider == "mini" or self.config.source_language in (
            own.languages or [self.config.source_language]
        )
        return target if "validation" in own.source.splits and here else self.train_task(target)

    def corpora(self) -> list[str]:
        """Return the text tasks that backbones are pretrained on."""
        return sorted({b.pretraining.corpus for b in map(self.backbone, self.grid.backbones) if b.pretraining})

    def recipes_of(self, target: str) -> list[str]:
        """Return the recipes of the grid."""
        return list(self.grid.recipes)

    def controls_of(self, target: str) -> list[str]:
        """Return the controls a target has: a tagger and a retriever have no second input to hide."""
        blind = self.task(target).kind in ("pair_classification", "multiple_choice", "span_extraction")
        return [c for c in self.grid.controls if c != "blind" or blind]

    def points_of(self, target: str) -> list[str]:
        """Return the budget points of a target: depth x max length x precision. Retrieval sweeps layers instead of depths."""
        budget = self.config.budget
        depths = ["full"] if self.task(target).retrieval else budget.depths
        return [f"d{d}-l{n}-{p}" for d in depths for n in budget.max_lengths for p in budget.precisions]

    def arms(self, target: str) -> list[tuple[str, str, int]]:
        """Return (backbone, recipe, seed) of every run of a target, controls last."""
        runs = [(b, r, s) for b in self.grid.backbones for r in self.recipes_of(target) for s in self.grid.seeds]
        return runs + [
            (b, c, s) for b in self.grid.backbones for c in self.controls_of(target) for s in self.grid.control_seeds
        ]

    # Specs, one function a rule. ---------------------------------------------------------------------------------

    def spec_make_world(self) -> dict:
        """The settings of the mini world."""
        return self.config.world.model_dump() | {"source_language": self.config.source_language}

    def spec_fetch(self, task: str) -> dict:
        """Where a task's raw files come from."""
        spec = self.task(task)
        return {
            "task": slim(spec, ("source",)),
            "provider": self.config.provider,
            "languages": self.languages(task),
            "source_language": self.config.source_language,
        }

    def spec_fetch_backbone(self, backbone: str) -> dict:
        """Which weights are fetched."""
        return self.backbone(backbone).model_dump(include={"source", "id", "revision"})

    def spec_prepare(self, task: str) -> dict:
        """How a task's examples are read from its raw files."""
        return self.spec_fetch(task) | {
            "task": slim(self.task(task), ("source", "columns", "choices", "label_values", "quirks"))
        }

    def spec_train_tokenizer(self, backbone: str) -> dict:
        """How a stand-in's vocabulary is learnt."""
        return self.backbone(backbone).pretraining.model_dump(
            include={"vocabulary", "character_coverage", "tokenizer_lines", "max_positions"}
        )

    def spec_tokenize(self, backbone: str, task: str) -> dict:
        """How a task is tokenised."""
        return {"kind": self.task(task).kind}

    def spec_pretrain(self, backbone: str, seed: int) -> dict:
        """How a stand-in is pretrained."""
        raw = self.backbone(backbone).pretraining.model_dump(
            exclude={"corpus", "vocabulary", "character_coverage", "tokenizer_lines"}
        )
        raw["training"] = {k: raw["training"][k] for k in _OPTIMIZER}
        return {"pretraining": raw, "seed": seed}

    def spec_randomise(self, backbone: str, seed: int) -> dict:
        """Which untrained weights are drawn."""
        return {"seed": seed}

    def spec_train_intermediate(self, backbone: str, recipe: str, seed: int) -> dict:
        """How a recipe is trained."""
        made = self.recipe(recipe)
        return {
            "tasks": [
                {"task": slim(self.task(t)), "settings": _settings(self.config.intermediate.of(t))} for t in made.tasks
            ],
            "mixing": made.model_dump(exclude={"tasks"}) if len(made.tasks) > 1 else {"examples_cap": 1},
            "seed": seed,
            "source_language": self.config.source_language,
        }

    def spec_train_target(self, recipe: str, target: str, depth: str, seed: int) -> dict:
        """How a target is trained on top of an encoder."""
        return {
            "task": slim(self.task(target)),
            "dev_task": slim(self.task(self.dev_task(target))),
            "settings": _settings(self.config.target.of(target)),
            "depth": depth if depth == "full" else int(depth),
            "seed": seed,
            "source_language": self.config.source_language,
            "blind": recipe == "blind",
        }

    def spec_predict(self, recipe: str, target: str, point: str) -> dict:
        """How a target is predicted at a budget point."""
        settings = self.config.target.of(target)
        cut = point.split("-")[1].removeprefix("l")
        return {
            "task": slim(self.task(target)),
            "dev_task": slim(self.task(self.dev_task(target))),
            "settings": {"pooling": settings.pooling, "doc_stride": settings.doc_stride},
            "max_length": settings.max_length if cut == "full" else min(settings.max_length, int(cut)),
            "source_language": self.config.source_language,
            "blind": recipe == "blind",
        }

    def spec_embed(self, point: str) -> dict:
        """How sentences are embedded at a budget point."""
        retrieval = self.config.retrieval
        cut = point.split("-")[1].removeprefix("l")
        length = retrieval.max_length if cut == "full" else min(retrieval.max_length, int(cut))
        return {"layers": retrieval.layers, "pooling": retrieval.pooling, "max_length": length}

    def spec_mine(self, target: str) -> dict:
        """How nearest neighbours are searched."""
        return {"kind": self.task(target).kind}

    def spec_score(self, backbone: str, recipe: str, target: str, point: str, seed: int) -> dict:
        """Which rows a score file gets."""
        spec = {
            "experiment": self.config.experiment,
            "backbone": backbone,
            "recipe": recipe,
            "target": target,
            "budget_point": point,
            "seed": seed,
            "task": slim(self.task(target)),
            "source_language": self.config.source_language,
            "controls": bool(self.grid.controls) and seed in self.grid.control_seeds,
        }
        if self.task(target).retrieval:
            spec["retrieval"] = self.config.retrieval.model_dump(include={"layer", "pooling"})
        return spec

    def spec_summarise(self) -> dict:
        """Which tables are made, and the cells they must hold."""
        return {
            "experiment": self.config.experiment,
            "title": self.config.title,
            "stand_in": any(self.backbone(b).source == "pretrain" for b in self.grid.backbones),
            "source_language": self.config.source_language,
            "language_names": self.language_names(),
            "backbones": list(self.grid.backbones),
            "targets": [slim(self.task(t)) | {"languages": self.languages(t)} for t in self.grid.targets],
            "recipes": list(self.grid.recipes),
            "controls": list(self.grid.controls),
            "seeds": list(self.grid.seeds),
            "control_seeds": list(self.grid.control_seeds),
            "budget_points": {t: self.points_of(t) for t in self.grid.targets},
            "retrieval_layer": self.config.retrieval.layer,
            "retrieval_pooling": self.config.retrieval.pooling,
        }

    def spec_report(self) -> dict:
        """What the report says beside the tables."""
        tasks = sorted({*self.grid.targets, *(t for r in self.grid.recipes for t in self.recipe(r).tasks)})
        return self.spec_summarise() | {
            "tasks": [self.task(t).model_dump() for t in tasks],
            "provider": self.config.provider,
            "settings": self.config.model_dump(
                include={"backbones", "recipes", "intermediate", "target", "budget", "retrieval"}
            ),
        }

    def language_names(self) -> dict[str, str]:
        """Return names of the artificial languages; real codes speak for themselves."""
        if self.config.provider != "mini":
            return {}
        from stilts.miniworld.languages import LANGUAGES

        return {code: LANGUAGES[code].name for code in self.config.world.languages}


_OPTIMIZER = (
    "learning_rate", "warmup_ratio", "weight_decay", "max_grad_norm", "adam_beta1", "adam_beta2", "adam_epsilon", "dropout"
)  # fmt: skip


def _settings(training: Training) -> dict[str, Any]:
    return training.model_dump()
