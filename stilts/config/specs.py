"""Specs: for each rule, all that can change its result and nothing else.

One method a rule, named like it. Paths, threads and batch splitting are in no spec. The workflow passes a spec as one
canonical JSON string, which is what the script parses and what is written beside the result.
"""

from __future__ import annotations

from typing import Any

from stilts.budget.training import example_of, phases_of
from stilts.config.claims import claims
from stilts.config.models import Recipe
from stilts.config.recipes import starts_first
from stilts.config.study import Study, parts_of
from stilts.config.training import altered
from stilts.provenance.environment import TRAINING, locked_versions
from stilts.tasks.benchmarks import EXPORTED, benchmark_of, benchmarks
from stilts.tasks.published import averaged, published
from stilts.tasks.spec import TaskSpec

# What only people read of a task; it reaches the report and nothing else.
READ_BY_PEOPLE = {"description", "licence", "citation", "url", "notes"}
# What only the stages up to `prepare` read, what only those after it read, and the group that only averages use.
OF_SOME_STAGES = {"source", "columns", "choices", "label_values", "quirks", "languages", "group"}
OF_SOME_STAGES |= {"train_task", "train_chain", "model_of", "variant", "more_sources", "union", "translations"}
JUDGED = "metrics"
# What of a recipe says how the task of a step is drawn.
MIXING = {"sampling", "temperature", "examples_cap"}
# What a task cannot do without, said of the keys that are left out.
BLANK = {"description": "", "source": {}, "group": "text", "metrics": []}


def slim(task: TaskSpec, *keep: str) -> dict[str, Any]:
    """Return a task without what only people read, and of what only some stages read the keys to keep.

    Keys at their default are left out as well: `TaskSpec.model_validate` fills them in again.
    """
    dropped = (READ_BY_PEOPLE | OF_SOME_STAGES | {JUDGED}) - set(keep)
    return BLANK | {k: v for k, v in task.model_dump(exclude_defaults=True).items() if k not in dropped}


class Specs:
    """The specs of one study."""

    def __init__(self, study: Study):
        self.study, self.config, self.grid = study, study.config, study.grid

    def make_world(self) -> dict:
        """The settings of the mini world."""
        return self.config.world.model_dump() | {"source_language": self.config.source_language}

    def fetch(self, task: str) -> dict:
        """Where a task's raw files come from."""
        spec = self.study.task(task)
        # A task without test sets, that is only trained on, is read in the source language alone.
        manifold = "test" in spec.source.splits or spec.retrieval or spec.kind == "masked_lm"
        return {
            "task": self._without_path(task, "source", "more_sources"),
            "provider": self.config.provider,
            "languages": self.study.languages(task) if manifold else [self.study.source_language(task)],
            "source_language": self.study.source_language(task),
        }

    def make_translation(self, task: str, language: str) -> dict:
        """Which training rows the mini world says in another language."""
        return {"world": self.make_world(), "task": task, "language": language}

    def fetch_backbone(self, backbone: str) -> dict:
        """Which weights are fetched."""
        return self.study.backbone(backbone).model_dump(include={"source", "id", "revision"})

    def prepare(self, task: str) -> dict:
        """How a task's examples are read from its raw files."""
        keep = ("source", "more_sources", "union", "columns", "choices", "label_values", "quirks")
        return self.fetch(task) | {"task": self._without_path(task, *keep)}

    def _without_path(self, task: str, *keep: str) -> dict[str, Any]:
        """Return what `slim` does; a folder of the user's is no setting: the rule's inputs are the files below it."""
        raw = slim(self.study.task(task), *keep)
        return raw | {"source": {key: value for key, value in raw["source"].items() if key != "path"}}

    def train_tokenizer(self, backbone: str) -> dict:
        """How a stand-in's vocabulary is learnt."""
        return self.study.backbone(backbone).pretraining.model_dump(
            include={"vocabulary", "character_coverage", "tokenizer_lines", "max_positions"}
        )

    def tokenize(self, backbone: str, task: str) -> dict:
        """How a task is tokenised."""
        return {"kind": self.study.task(task).kind}

    def pretrain(self, backbone: str, seed: int) -> dict:
        """How a stand-in is pretrained."""
        made = self.study.backbone(backbone).pretraining
        raw = made.model_dump(exclude={"corpus", "seed", "vocabulary", "character_coverage", "tokenizer_lines"})
        return {"pretraining": raw, "seed": seed}

    def randomise(self, backbone: str, seed: int) -> dict:
        """Which untrained weights are drawn."""
        return {"seed": seed}

    def train_intermediate(self, backbone: str, recipe: str, seed: int) -> dict:
        """How a recipe is trained."""
        made, phase = self.study.recipe(recipe), self.config.intermediate
        alone = len(made.tasks) == 1
        own = {t: altered(phase.of(t), made.training).model_dump() for t in made.tasks}
        spec = {
            "tasks": [{"task": slim(self.study.task(t), JUDGED), "settings": own[t]} for t in made.tasks],
            # One optimizer and one selection for all tasks: several tasks share the phase's, not the first task's.
            "settings": own[made.tasks[0]] if alone else altered(phase.defaults, made.training).model_dump(),
            "mixing": {"examples_cap": 1} if alone else made.model_dump(include=MIXING),
            "seed": seed,
            "source_language": self.config.source_language,
        }
        if self.config.model_files == "compact":
            spec["model_files"] = "compact"
        if made.translated:
            spec["translated"] = {"languages": made.translated, "source_rows": made.source_rows}
        if made.masked_lm:
            spec["masked_lm"] = self._co_training(made)
        return spec

    def _co_training(self, made: Recipe) -> dict:
        """How a recipe's masked-LM steps are made; lengths and batch sizes are those of the corpus in the phase."""
        how = made.masked_lm
        settings = altered(self.config.intermediate.of(how.corpus), made.training)
        languages = self.study.languages(how.corpus) if how.languages == "all" else how.languages
        return {
            **how.model_dump(exclude={"languages"}),
            "languages": sorted(languages),
            **settings.model_dump(include={"batch_size", "max_length"}),
        }

    def train_target(self, recipe: str, target: str, depth: str, seed: int) -> dict:
        """How a target is trained on top of an encoder."""
        phase = self.config.target
        spec = {
            "task": slim(self.study.task(target), JUDGED),
            "dev_task": slim(self.study.task(self.study.dev_task(target)), JUDGED),
            "settings": phase.of(target).model_dump(),
            "depth": depth if depth == "full" else int(depth),
            "seed": seed,
            "source_language": self.config.source_language,
            "blind": recipe == "blind",
        }
        if self.config.model_files == "compact":
            # No prediction sees the difference where all of them read the matrices as bfloat16.
            spec |= {"model_files": "compact", "half": set(self.config.budget.precisions) == {"bf16"}}
        steps = self.study.chain(target)
        if steps:
            spec["chain"] = [
                {"task": slim(self.study.task(t), JUDGED), "settings": phase.of(t).model_dump()} for t in steps
            ]
        return spec

    def predict(self, recipe: str, target: str, point: str) -> dict:
        """How a target is predicted at a budget point."""
        settings = self.config.target.of(self.study.owner(target))
        _, cut, precision = parts_of(point)
        return {
            "task": slim(self.study.task(target), JUDGED),
            "dev_task": slim(self.study.task(self.study.dev_task(target)), JUDGED),
            "settings": {"pooling": settings.pooling, "doc_stride": settings.doc_stride},
            "max_length": settings.max_length if cut == "full" else min(settings.max_length, int(cut)),
            "precision": precision,
            "source_language": self.config.source_language,
            "blind": recipe == "blind",
        }

    def embed(self, target: str, point: str) -> dict:
        """How the sentences of a target are embedded at a budget point: as a dual encoder was trained to, or swept."""
        retrieval, dual = self.config.retrieval, self.study.task(target).dual
        settings = self.config.target.of(self.study.owner(target)) if dual else retrieval
        _, cut, precision = parts_of(point)
        length = settings.max_length if cut == "full" else min(settings.max_length, int(cut))
        if dual:
            lengths = {"max_length": length, "query_length": min(settings.query_length, length)}
            dev = {"dev_task": self.study.dev_task(target), "source_language": self.config.source_language}
            return {"pooling": settings.pooling, "precision": precision, **lengths, **dev}
        sweep = {"layers": retrieval.layers, "pooling": retrieval.pooling}
        return {**sweep, "max_length": length, "precision": precision}

    def mine(self, target: str) -> dict:
        """How nearest neighbours are searched."""
        return {"kind": self.study.task(target).kind}

    def score(self, backbone: str, recipe: str, target: str, point: str, seed: int) -> dict:
        """Which rows a score file gets."""
        spec = {
            "experiment": self.config.experiment,
            "backbone": backbone,
            "recipe": recipe,
            "target": target,
            "budget_point": point,
            "seed": seed,
            "task": slim(self.study.task(target), "variant", JUDGED),
            "controls": bool(self.grid.controls) and seed in self.grid.control_seeds,
        }
        if self.study.task(target).swept:
            spec["retrieval"] = self.config.retrieval.model_dump(include={"pooling"})
        return spec

    def count_costs(self) -> dict:
        """What is counted: the work of each target at each budget point, and of every training run."""
        return {"experiment": self.config.experiment, **self._trained(), "targets": self._counted()}

    def profile_budget(self, backbone: str, target: str) -> dict:
        """What is measured of a target, and how; threads and queries change what the clock says."""
        task = self.study.task(target)
        return {
            "experiment": self.config.experiment,
            "backbone": backbone,
            "target": target,
            "labels": task.labels,
            "layer": str(self.config.retrieval.layer) if task.swept else "",
            "points": self.study.points_of(target),
            "how": {p: self._how(target, p) for p in self.study.points_of(target)},
            "queries": self.config.budget.queries,
            "threads": self.config.runtime.threads,
        }

    def costs(self) -> dict:
        """Which training runs the costs of training and of recipes are made of."""
        return self._trained() | {"targets": {t: self._target(t) for t in self.grid.targets}}

    def trained_places(self) -> list[str]:
        """Return the places below models/ of every training run, and of the backbones that are measured."""
        spec = self.count_costs()
        pairs = [(b, t, p) for b in spec["backbones"] for t, made in spec["targets"].items() for p in made["points"]]
        return list(dict.fromkeys([*(p.place for p in phases_of(spec)), *(example_of(spec, *x) for x in pairs)]))

    def _trained(self) -> dict:
        g, starts = self.grid, starts_first(self.config, self.grid.recipes)
        seeds = sorted({*g.seeds, *(g.control_seeds if g.controls else [])})
        return {
            "backbones": {b: {str(s): self.study.pretraining_seed(b, s) for s in seeds} for b in g.backbones},
            "starts": {r: self.study.start(r) for r in starts if self.study.recipe(r).tasks},
            **g.model_dump(include={"recipes", "seeds", "controls", "control_seeds"}),
        }

    def _target(self, target: str) -> dict:
        owner = self.study.owner(target) if self.study.tuned(target) else ""
        return {"owner": owner, "kind": self.study.task(target).kind, "points": self.study.points_of(target)}

    def _counted(self) -> dict:
        return {
            t: self._target(t)
            | {"labels": self.study.task(t).labels, "how": {p: self._how(t, p) for p in self.study.points_of(t)}}
            for t in self.grid.targets
        }

    def _how(self, target: str, point: str) -> dict:
        """Return how a target is read at a budget point: lengths, precision, pooling."""
        whole = self.embed(target, point) if self.study.task(target).retrieval else self.predict("", target, point)
        return {k: v for k, v in whole.items() if k not in ("task", "dev_task", "source_language", "blind")}

    def summarise(self) -> dict:
        """Which tables are made, and the cells they must hold."""
        return {
            "experiment": self.config.experiment,
            "source_language": self.config.source_language,
            "language_names": self.study.language_names(),
            "backbones": list(self.grid.backbones),
            "targets": [
                slim(self.study.task(t), "group", "variant", JUDGED) | {"languages": self.study.languages(t)}
                for t in self.grid.targets
            ],
            "recipes": list(self.grid.recipes),
            "controls": list(self.grid.controls),
            "seeds": list(self.grid.seeds),
            "control_seeds": list(self.grid.control_seeds),
            "budget_points": {t: self.study.points_of(t) for t in self.grid.targets},
            "retrieval_layer": self.config.retrieval.layer,
            "retrieval_pooling": self.config.retrieval.pooling,
            "benchmarks": self._benchmarks(),
            "published": self._published(),
        }

    def curves(self) -> dict:
        """Which scores and costs the curves over the budget are made of."""
        return self._measured("axis", "scale", "window")

    def claims(self) -> dict:
        """Which claims are tested, on which scores and costs, and how."""
        settings = ("axis", "scale", "window", "budgets", "examples", "languages", "alpha", "margin")
        return self._measured(*settings) | {
            "claims": [claim.model_dump(exclude_defaults=True) for claim in claims()],
            "stand_in": self.config.provider == "mini",
        }

    def _measured(self, *settings: str) -> dict:
        """Return which runs there are, how their scores are named, and some settings of the budget."""
        tasks = [self.study.task(t) for t in self.grid.targets]
        return {
            "experiment": self.config.experiment,
            "source_language": self.config.source_language,
            "backbones": list(self.grid.backbones),
            "targets": [
                {"task": t.task, "kind": t.kind, "variant": t.variant, "languages": self.study.languages(t.task)}
                for t in tasks
            ],
            "recipes": list(self.grid.recipes),
            "seeds": list(self.grid.seeds),
            "budget_points": {t.task: self.study.points_of(t.task) for t in tasks},
            "retrieval_layer": self.config.retrieval.layer,
            "retrieval_pooling": self.config.retrieval.pooling,
            "budget": self.config.budget.model_dump(include=set(settings)),
        }

    def _benchmarks(self) -> list[dict]:
        """Return the benchmarks that have a target in the grid; the mini world has no official languages."""
        real = self.config.provider != "mini"
        return [
            {
                "benchmark": b.benchmark,
                "title": b.title,
                "members": [
                    {"task": m.task, "group": m.group, "languages": sorted(m.languages) if real else []}
                    for m in b.members
                ],
            }
            for b in benchmarks()
            if {m.task for m in b.members} & {*self.grid.targets}
        ]

    def _published(self) -> list[list]:
        """Return published values of the grid's targets, and means over some of them; nothing of real data stands
        beside artificial languages.
        """
        real, here = self.config.provider != "mini", {*self.grid.targets}
        return [list(row) for row in published() if real and averaged(row) <= here]

    def check(self) -> dict:
        """Which published numbers an experiment is held against: those of raw encoders, which take no training."""
        raw = {t for t in self.grid.targets if not self.study.tuned(t)}
        return {"published": [row for row in self._published() if row[1] in raw]}

    def export(self, benchmark: str, backbone: str, recipe: str, point: str) -> dict:
        """Which predictions make a submission to a benchmark."""
        members = self.study.submitted(benchmark, point)
        here = {m.task for m in members}
        real = self.config.provider != "mini"
        return {
            "members": [
                {
                    "name": m.name,
                    "task": slim(self.study.task(m.task), "label_values"),
                    "languages": m.languages if real else self.study.languages(m.task),
                }
                for m in members
            ],
            "absent": {m.name: self._absent(m.task) for m in benchmark_of(benchmark).members if m.task not in here},
            "recipes": self.study.candidates(recipe),
            "place": [backbone, point],
            "layer": self.config.retrieval.layer,
        }

    def _absent(self, target: str) -> str:
        if target not in self.grid.targets:
            return "not in this experiment"
        kind = self.study.task(target).kind
        return "not under this budget" if kind in EXPORTED else "evaluate.py reads no file of it"

    def figures(self) -> dict:
        """What is drawn, and the models whose training is."""
        places = [part for t in self.grid.targets for part in self.study.points_of(t)]
        return {
            **self._trained(),
            "source_language": self.config.source_language,
            "targets": list(self.grid.targets),
            "backbones": list(self.grid.backbones),
            "points": list(dict.fromkeys(places)),
            "stand_in": any(self.study.backbone(b).source == "pretrain" for b in self.grid.backbones),
            "made_up": self.config.provider == "mini",
            "budget": self.config.budget.model_dump(include={"axis", "scale", "alpha"}),
            "models": [
                {key: getattr(phase, key) for key in ("place", "phase", "backbone", "recipe", "target", "depth")}
                for phase in phases_of(self.count_costs())
            ],
        }

    def report(self) -> dict:
        """What the report says beside the tables."""
        tasks = sorted({*self.grid.targets, *(t for r in self.grid.recipes for t in self.study.read_by(r))})
        return self.summarise() | {
            "title": self.config.title,
            "stand_in": any(self.study.backbone(b).source == "pretrain" for b in self.grid.backbones),
            "tasks": [self.study.task(t).model_dump() for t in tasks],
            "provider": self.config.provider,
            "notes": list(self.study.notes),
            # Other versions are other models: the page is made again in any case.
            "versions": {p: locked_versions()[p] for p in (*TRAINING, "tokenizers")},
            "settings": self.config.model_dump(
                include={"backbones", "recipes", "intermediate", "target", "budget", "retrieval"}, exclude_none=True
            ),
        }
