"""The study a configuration describes: its tasks, languages, arms and budget points."""

from __future__ import annotations

from functools import cache, cached_property

from stilts.config.brought import files_of, folder_of, without_missing
from stilts.config.load import resolve_task
from stilts.config.models import Backbone, Config, Recipe
from stilts.config.recipes import translated_rows, translations
from stilts.errors import UserError, did_you_mean
from stilts.tasks.arms import BEST, runs_of
from stilts.tasks.benchmarks import EXPORTED, Member, benchmark_of, benchmarks
from stilts.tasks.languages import canonical
from stilts.tasks.spec import TaskSpec


def parts_of(point: str) -> tuple[str, str, str]:
    """Return depth, max length ("full" or a number in digits) and precision of a budget point."""
    depth, length, precision = point.split("-")
    return depth.removeprefix("d"), length.removeprefix("l"), precision


class Study:
    """One experiment: the names of all its arms, derived from a configuration."""

    def __init__(self, config: Config):
        config, self.notes = without_missing(config)
        self.config = self._with_codes(config)
        self.grid = self.config.grid
        self.root = f"results/{config.experiment}"
        self._check_languages()

    def _with_codes(self, config: Config) -> Config:
        """Return the configuration with the task files' codes for languages that it calls otherwise (`zh_cn`)."""
        if config.languages == "all" or config.provider == "mini":
            return config
        known = {k for t in config.grid.targets for k in resolve_task(config, t).languages}
        codes = {k: k if k in known else canonical(k) for k in config.languages}
        self.notes += [f"languages: {k} is read as {code}" for k, code in codes.items() if k != code]
        return config.model_copy(update={"languages": list(dict.fromkeys(codes.values()))})

    def local(self, task: str) -> str:
        """Return the user's folder that a task is read from; empty where there is none."""
        return folder_of(self.config, task)

    def local_files(self, task: str) -> list[str]:
        """Return the user's files that a task is read from; empty where there are none."""
        return files_of(self.config, task)

    @cache  # noqa: B019 (one study a process)
    def task(self, name: str) -> TaskSpec:
        """Return a task as this experiment reads it."""
        return resolve_task(self.config, name)

    def owner(self, target: str) -> str:
        """Return the target whose tuned model is used for a target: itself, or the one its `model_of` names."""
        return self.task(target).model_of or target

    def tuned(self, target: str) -> bool:
        """Whether a target reads a tuned model; otherwise the encoder of a recipe embeds it."""
        return self.task(self.owner(target)).trainable

    @cached_property
    def trained(self) -> list[str]:
        """Targets that are fine-tuned, those that lend their model to a target of the grid included."""
        return list(dict.fromkeys(self.owner(t) for t in self.grid.targets if self.tuned(t)))

    def models(self) -> list[tuple[str, str, str, str, int]]:
        """Return (backbone, recipe, target, depth, seed) of every tuned model that the grid's targets read."""
        wanted = [
            (b, r, self.owner(t), parts_of(point)[0], s)
            for t in self.grid.targets
            if self.tuned(t)
            for b, r, s, point in self.runs(t)
        ]
        return list(dict.fromkeys(wanted))

    def pretraining_seed(self, backbone: str, seed: int) -> int | None:
        """Return the seed that a backbone of the workflow's own is pretrained with for a seed of the grid."""
        made = self.backbone(backbone).pretraining if self.backbone(backbone).source == "pretrain" else None
        return None if made is None else seed if made.seed is None else made.seed

    def backbone(self, name: str) -> Backbone:
        """Return a backbone by name."""
        return self.config.backbones[name]

    def recipe(self, name: str) -> Recipe:
        """Return a recipe by name."""
        return self.config.recipes[name]

    def start(self, recipe: str) -> str:
        """Return the recipe whose encoder a recipe starts from; `none` is the backbone."""
        return self.recipe(recipe).after or "none"

    def translations(self, recipe: str) -> list[str]:
        """Return the tasks that hold a recipe's translated rows: by task of the recipe, then by language."""
        return list(translated_rows(self.recipe(recipe)))

    def texts(self, recipe: str) -> list[str]:
        """Return the text that a recipe reads for masked-LM co-training: one task or none."""
        made = self.recipe(recipe)
        return [made.masked_lm.corpus] if made.masked_lm else []

    def read_by(self, recipe: str) -> list[str]:
        """Return every task whose data a recipe reads, those of the recipes it comes after first."""
        before = self.read_by(self.recipe(recipe).after) if self.recipe(recipe).after else []
        own = [*self.recipe(recipe).tasks, *self.translations(recipe), *self.texts(recipe)]
        return list(dict.fromkeys([*before, *own]))

    def languages(self, task: str) -> list[str]:
        """Return the languages a task is evaluated in (text tasks: read in), the source language first."""
        spec, source = self.task(task), self.config.source_language
        if task in translations(self.config):
            return [self.source_language(task)]
        if self.config.provider == "mini":
            have = list(self.config.world.languages)
            if spec.swept:
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
        there = ", ".join(sorted(known))
        for language in self.config.languages:
            if language not in known:
                hint = did_you_mean(language, known)
                raise UserError(f'languages: no target has data in "{language}".{hint} There are: {there}.')

    def source_language(self, task: str) -> str:
        """Return the language of a task's training rows: a translation has its own."""
        return translations(self.config).get(task, (None, self.config.source_language))[1]

    def chain(self, target: str) -> list[str]:
        """Return the tasks that a target's model is tuned on before its own training task."""
        return self.task(self.owner(target)).train_chain

    def train_task(self, target: str) -> str:
        """Return the task whose training split tunes a target."""
        owner = self.owner(target)
        return self.task(owner).train_task or owner

    def dev_task(self, target: str) -> str:
        """Return the task on whose source-language validation split a target is selected: its own where it has one."""
        target = self.owner(target)
        own = self.task(target)
        here = self.config.provider == "mini" or self.config.source_language in (
            own.languages or [self.config.source_language]
        )
        return target if "validation" in own.source.splits and here else self.train_task(target)

    def corpora(self) -> list[str]:
        """Return the text tasks that backbones are pretrained on."""
        return sorted({b.pretraining.corpus for b in map(self.backbone, self.grid.backbones) if b.pretraining})

    def points_of(self, target: str) -> list[str]:
        """Return the budget points of a target: depth x max length x precision; bitext sweeps layers, not depths."""
        budget = self.config.budget
        depths = budget.depths if self.task(target).trainable else ["full"]
        return [f"d{d}-l{n}-{p}" for d in depths for n in budget.max_lengths for p in budget.precisions]

    def runs(self, target: str) -> list[tuple[str, str, int, str]]:
        """Return (backbone, recipe, seed, budget point) of every score of a target, controls last."""
        g, kind = self.grid, self.task(target).kind
        axes = (g.backbones, g.recipes, g.seeds, g.controls, g.control_seeds)
        return runs_of(kind, self.points_of(target), *axes)

    def candidates(self, recipe: str) -> list[str]:
        """Return the recipes that an arm draws on: all of the grid for best-per-target, else itself."""
        return list(self.grid.recipes) if recipe == BEST else [recipe]

    def submitted(self, benchmark: str, point: str) -> list[Member]:
        """Return the members of a benchmark that the grid has under a budget and a submission has a form for."""
        here = [m for m in benchmark_of(benchmark).members if m.task in self.grid.targets]
        return [m for m in here if self.task(m.task).kind in EXPORTED and point in self.points_of(m.task)]

    def submissions(self) -> list[tuple[str, str, str, str, int]]:
        """Return (benchmark, backbone, recipe, budget point, seed) of every submission that holds anything."""
        g = self.grid
        recipes = [*g.recipes, *([BEST] if len(g.recipes) > 1 else [])]
        points = list(dict.fromkeys(p for t in g.targets for p in self.points_of(t)))
        return [
            (b.benchmark, backbone, r, p, s)
            for b in benchmarks()
            for p in points
            if self.submitted(b.benchmark, p)
            for backbone in g.backbones
            for r in recipes
            for s in g.seeds
        ]

    def language_names(self) -> dict[str, str]:
        """Return names of the artificial languages; real codes speak for themselves."""
        if self.config.provider != "mini":
            return {}
        from stilts.miniworld.languages import LANGUAGES

        return {code: LANGUAGES[code].name for code in self.config.world.languages}
