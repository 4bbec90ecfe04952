"""What can be wrong with the sizes of encoders, as far as a configuration tells them before any weights are there."""

from __future__ import annotations

from stilts.config.models import Backbone, Config
from stilts.config.recipes import starts_first


def size_faults(config: Config, swept: bool) -> list[str]:
    """Return settings that ask for more layers than a backbone of the grid has, or that no encoder can have.

    `swept`: a target of the grid is scored at every hidden state; else nothing reads the layers of retrieval.
    """
    problems = []
    for name in config.grid.backbones:
        if name in config.backbones:
            problems += _own_faults(name, config.backbones[name]) or _asked_faults(config, name, swept)
    return problems


def _own_faults(name: str, backbone: Backbone) -> list[str]:
    made, at = backbone.pretraining if backbone.source == "pretrain" else None, f"backbones.{name}"
    if made is None:
        return []
    problems = []
    if backbone.layers not in (None, made.layers):
        problems.append(f"{at}.layers: it is {backbone.layers}, and {made.layers} in {at}.pretraining.layers")
    if made.hidden_size % made.heads:
        problems.append(
            f"{at}.pretraining.hidden_size: {made.hidden_size} cannot be divided among {made.heads} attention heads"
        )
    return problems


def _asked_faults(config: Config, name: str, swept: bool) -> list[str]:
    """Return what asks for a layer that a backbone lacks; nothing where its layers are not known."""
    backbone = config.backbones[name]
    made = backbone.pretraining if backbone.source == "pretrain" else None
    layers = made.layers if made else backbone.layers
    if layers is None:
        return []
    asked = [("budget.depths", d, d) for d in config.budget.depths if d != "full"]
    if swept:
        asked += [("retrieval.layer", config.retrieval.layer, config.retrieval.layer)]
        asked += [("retrieval.layers", k, k) for k in config.retrieval.layers if config.retrieval.layers != "all"]
    trained = [t for r in starts_first(config, config.grid.recipes) for t in config.recipes[r].tasks]
    for phase, settings, tasks in (
        ("intermediate", config.intermediate, trained), ("target", config.target, config.grid.targets),
    ):  # fmt: skip
        frozen = {f"{phase}.defaults": settings.defaults.frozen_layers}
        frozen |= {f"{phase}.tasks.{t}": settings.of(t).frozen_layers for t in tasks if t in settings.tasks}
        asked += [(f"{at}.frozen_layers", count, count - 1) for at, count in frozen.items()]  # the first: embeddings
    return [
        f'{where}: backbone "{name}" has {layers} layers, and this asks for {value}'
        for where, value, layer in dict.fromkeys(asked)
        if layer > layers
    ]
