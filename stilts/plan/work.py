"""The work of one job: floating-point operations, memory, what it leaves on disk. From the configuration alone.

Training costs three forward passes, or less below frozen layers (`stilts/budget/flops.py`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from inspect import signature
from pathlib import Path

from stilts.budget.flops import (
    Shape,
    forward_flops,
    head_flops,
    head_training_flops,
    parameters,
    shape_of,
    training_flops,
)
from stilts.config.models import Recipe
from stilts.config.study import Study
from stilts.config.training import Training, altered
from stilts.miniworld.settings import SIZES
from stilts.plan.sizes import Size, Sizes

# Where the weights do not lie yet: XLM-R's two sizes, told apart by their layers.
BASE = Shape(layers=12, hidden=768, ffn=3072, vocabulary=250002, positions=514)
LARGE = Shape(layers=24, hidden=1024, ffn=4096, vocabulary=250002, positions=514)
TRAINED = 24  # bytes a parameter: weights, gradients, two moments, the best weights so far, room to save them (fp32)
LOADED = 8  # bytes a parameter: weights on file and in the model
PROGRAM = 1500  # MB of a process with torch, and of the two Snakemakes around it
ROW = 2000  # bytes a row of a table that is read, changed and written
GPU_RULES = ("pretrain", "train_intermediate", "train_target", "predict", "embed", "profile_budget")


@cache
def _asked_of(rule: str) -> tuple[str, ...]:
    """Return the wildcards that the work of a rule's jobs depends on."""
    method = getattr(Works, f"_{rule}", None)
    return tuple(signature(method).parameters)[1:] if method else ()


def threads_of(study: Study, rule: str, wildcards: Mapping[str, str]) -> int:
    """Return the CPU threads of a job: those of the settings; pretraining has a process for each shard of a batch."""
    runtime = study.config.runtime
    if rule != "pretrain" or runtime.gpus:
        return runtime.threads
    return max(runtime.threads, study.backbone(wildcards["backbone"]).pretraining.shards)


@dataclass(frozen=True)
class Work:
    """flops: of the encoder and its head; items: rows that are read; memory: MB; disk: bytes that stay."""

    flops: float = 0.0
    items: float = 0.0
    memory: float = PROGRAM
    disk: float = 0.0


class Works:
    """The work of the jobs of one study."""

    def __init__(self, study: Study, root: Path | None = None):
        self.study, self.root, self.sizes = study, root, Sizes(study, root)

    def of(self, rule: str, wildcards: Mapping[str, str]) -> Work:
        """Return the work of a job; a rule that nothing is known of costs a moment."""
        return self._once(rule, *(wildcards[name] for name in _asked_of(rule)))

    @cache  # noqa: B019 (one study a process; Snakemake asks again at every round of its scheduler)
    def _once(self, rule: str, *values: str) -> Work:
        method = getattr(self, f"_{rule}", None)
        return method(*values) if method else Work(items=1000)

    @cache  # noqa: B019 (one study a process)
    def shape(self, backbone: str, depth: str = "full") -> Shape:
        """Return the sizes of a backbone: of its weights if they are there, else by its layers."""
        made = self.study.backbone(backbone)
        if made.pretraining:
            p = made.pretraining
            shape = Shape(p.layers, p.hidden_size, p.ffn_size, p.vocabulary, p.max_positions + 2)
        else:
            shape = self._fetched(backbone) or (LARGE if "large" in made.id or made.layers == LARGE.layers else BASE)
        layers = shape.layers if depth == "full" else int(depth)
        return Shape(layers, shape.hidden, shape.ffn, shape.vocabulary, shape.positions)

    def _fetched(self, backbone: str) -> Shape | None:
        path = self.root and self.root / "models" / "pretrained" / backbone / "fetched" / "config.json"
        try:
            return shape_of(json.loads(path.read_text(encoding="utf-8"))) if path else None
        except (OSError, ValueError, KeyError):
            return None

    # --- data

    def _rows(self, task: str) -> float:
        study, backbone = self.study, self.study.grid.backbones[0]
        tests = len(study.languages(task)) * self.sizes.of(task, "test", backbone).examples
        return self.sizes.of(task, "train", backbone).examples + tests

    def _make_world(self) -> Work:
        world = self.study.config.world
        rows = sum((SIZES | world.sizes).values()) * len(world.languages)
        return Work(items=rows, disk=rows * 200)

    def _fetch(self, task: str) -> Work:
        return Work(items=self._rows(task), disk=self._rows(task) * 150)

    def _fetch_backbone(self, backbone: str) -> Work:
        return Work(items=1000, disk=4 * _count(self.shape(backbone)))

    def _prepare(self, task: str) -> Work:
        rows = self._rows(task)
        return Work(items=rows, memory=PROGRAM + rows * ROW / 1e6, disk=rows * 150)

    def _train_tokenizer(self, backbone: str) -> Work:
        return Work(items=1e6, memory=PROGRAM + 1000, disk=1e6)

    def _tokenize(self, backbone: str, task: str) -> Work:
        rows, size = self._rows(task), self.sizes.of(task, "train", backbone)
        disk = rows * size.sequences * size.tokens * 8
        return Work(items=rows, memory=PROGRAM + (rows * ROW + 2 * disk) / 1e6, disk=disk)

    # --- models

    def _pretrain(self, backbone: str) -> Work:
        made = self.study.backbone(backbone).pretraining
        shape, tokens = self.shape(backbone), made.steps * made.batch_tokens
        length = min(made.max_positions, 128)
        flops = training_flops(shape, tokens, tokens * length) + head_training_flops(
            "masked_lm", shape, tokens * made.mask_probability, shape.vocabulary
        )
        work, shared = self._trained(shape, flops), 4 * (made.shards + 1) * _count(shape) * (made.shards > 1)
        return replace(work, memory=work.memory + shared / 1e6)

    def _randomise(self, backbone: str) -> Work:
        return Work(
            items=1000,
            memory=PROGRAM + LOADED * _count(self.shape(backbone)) / 1e6,
            disk=4 * _count(self.shape(backbone)),
        )

    def _train_intermediate(self, backbone: str, recipe: str) -> Work:
        made, shape = self.study.recipe(recipe), self.shape(backbone)
        alone, flops, steps = len(made.tasks) == 1, 0.0, 0.0
        for task in made.tasks:
            settings = _altered(self.study, task, made)
            cap = math.inf if alone else made.examples_cap
            rows = float(made.source_rows) + len(made.translated)
            size = self._cut(self.sizes.of(task, "train", backbone), settings, cap)
            steps += rows * settings.epochs * size.examples / settings.batch_size
            flops += rows * self._passes(shape, size, settings) + self._evaluations(shape, size, settings)
        if made.masked_lm:
            settings = _altered(self.study, made.masked_lm.corpus, made)
            share = made.masked_lm.rate / (1 - made.masked_lm.rate)
            tokens = steps * share * settings.batch_size * min(settings.max_length, 128)
            flops += training_flops(shape, tokens, tokens * min(settings.max_length, 128))
            flops += head_training_flops("masked_lm", shape, tokens * made.masked_lm.mask_probability, shape.vocabulary)
        return self._trained(shape, flops)

    def _train_target(self, backbone: str, target: str, depth: str) -> Work:
        shape, phase, flops = self.shape(backbone, depth), self.study.config.target, 0.0
        steps = [(t, phase.of(t)) for t in self.study.chain(target)]
        for task, settings in [*steps, (self.study.train_task(target), phase.of(target))]:
            size = self._cut(self.sizes.of(task, "train", backbone), settings)
            flops += self._passes(shape, size, settings) + self._evaluations(shape, size, settings)
        return self._trained(shape, flops)

    def _cut(self, size: Size, settings: Training, cap: float = math.inf) -> Size:
        """Return the size of what is trained on: capped examples, cut sequences."""
        cap = min(cap, settings.max_train_examples or math.inf)
        return Size(min(size.examples, cap), size.sequences, min(size.tokens, settings.max_length))

    def _passes(self, shape: Shape, size: Size, settings: Training) -> float:
        return settings.epochs * training_flops(shape, size.total, size.squares, settings.frozen_layers)

    def _evaluations(self, shape: Shape, size: Size, settings: Training) -> float:
        """Return the operations of judging checkpoints on dev examples like those of training."""
        if not settings.eval_every or not size.examples:
            return 0.0
        times = settings.epochs * size.examples / settings.batch_size // settings.eval_every
        return times * settings.eval_examples / size.examples * forward_flops(shape, size.total, size.squares)

    def _trained(self, shape: Shape, flops: float) -> Work:
        count = _count(shape)
        return Work(flops, 0, PROGRAM + TRAINED * count / 1e6, 4 * count + 2e6)

    # --- evaluation

    def _predict(self, backbone: str, target: str, point: str) -> Work:
        depth, cut, _ = point.split("-", 2)
        shape, settings = self.shape(backbone, depth[1:]), self.study.config.target.of(self.study.owner(target))
        length = settings.max_length if cut == "lfull" else min(settings.max_length, int(cut[1:]))
        test = self.sizes.of(target, "test", backbone)
        dev = self.sizes.of(self.study.dev_task(target), "validation", backbone)
        rows = len(self.study.languages(target)) * test.examples + dev.examples
        size = Size(rows, test.sequences, min(test.tokens, length))
        flops = forward_flops(shape, size.total, size.squares)
        flops += head_flops(self.study.task(target).kind, shape.hidden, rows * test.sequences, 2)
        return Work(flops, rows, PROGRAM + (LOADED * _count(shape) + rows * ROW) / 1e6, rows * 300)

    def _profile_budget(self, backbone: str, target: str) -> Work:
        points = [self._predict(backbone, target, point) for point in self.study.points_of(target)]
        # Queries one by one: about a second a point. Where a device counts energy, windows besides: some 15 s.
        moment = 3e5 if self.study.config.runtime.gpus else 2e4
        return Work(sum(p.flops for p in points), moment * len(points), max(p.memory for p in points))

    def _embed(self, backbone: str, target: str) -> Work:
        rows, layers = self._sentences(backbone, target)
        deepest = max(layers) if isinstance(layers, list) else "full"
        shape, size = self.shape(backbone, str(deepest)), self.sizes.of(target, "test", backbone)
        cut = Size(rows, 1, min(size.tokens, self.study.config.retrieval.max_length))
        disk = rows * self.shape(backbone).hidden * 4 * self._states(layers, backbone)
        return Work(
            forward_flops(shape, cut.total, cut.squares),
            rows,
            PROGRAM + LOADED * _count(self.shape(backbone)) / 1e6 + disk / 5e6,
            disk,
        )

    def _mine(self, backbone: str, target: str) -> Work:
        rows, layers = self._sentences(backbone, target)
        languages = max(len(self.study.languages(target)) - 1, 1)
        one = rows / languages / 2
        states, hidden = self._states(layers, backbone), self.shape(backbone).hidden
        memory = PROGRAM + 2 * one * hidden * 4 * states / 1e6
        return Work(2 * languages * one * one * hidden * states, rows, memory, rows * 20 * states)

    def _sentences(self, backbone: str, target: str) -> tuple[float, list[int] | str]:
        size = self.sizes.of(target, "test", backbone)
        swept = self.study.task(target).swept
        languages = max(len(self.study.languages(target)) - swept, 1)
        return size.examples * size.sequences * languages, self.study.config.retrieval.layers if swept else [1]

    def _states(self, layers: list[int] | str, backbone: str) -> int:
        return len(layers) if isinstance(layers, list) else self.shape(backbone).layers + 1

    def _score(self, backbone: str, target: str) -> Work:
        rows = len(self.study.languages(target)) * self.sizes.of(target, "test", backbone).examples
        return Work(items=rows, memory=PROGRAM + rows * ROW / 1e6, disk=20000)


def _count(shape: Shape) -> int:
    """Return all parameters of an encoder."""
    return sum(parameters(shape).values())


def _altered(study: Study, task: str, recipe: Recipe) -> Training:
    """Return the settings of a task as a recipe changes them."""
    return altered(study.config.intermediate.of(task), recipe.training)
