"""Costs of predictions and of training: against torch's counter, the tensors themselves, and sums by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stilts.budget import profile
from stilts.budget.arms import query_of
from stilts.budget.count import memory, point_rows
from stilts.budget.flops import forward_flops, shape_of, training_flops
from stilts.budget.profile import Arm, Measure, apart, energies, idle_power, latencies, measure
from stilts.budget.table import Cost, read_costs, write_costs
from stilts.budget.training import COLUMNS, flops_of, phases_of, recipe_rows, users
from stilts.errors import UserError
from stilts.model.encoder import Layout
from stilts.model.heads import build_head
from stilts.model.quantise import _quantise, set_precision
from stilts.provenance.energy import joules
from stilts.tokens.store import TokenSplit
from stilts.train.loop import train
from stilts.train.plan import make_plan
from stilts.train.setup import Sources, make_part
from stilts.train.work import head_outputs
from tests.engine_case import TRAINED, make_tokenizer, random_encoder, settings, task_of, tiny_config, tokenised, toy
from tests.flops_case import count

KINDS = (*TRAINED, "bitext_retrieval")
ONE_TASK = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1}


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Return kind -> folder with data/ and tokens/ of train and test examples in two languages."""
    folder = tmp_path_factory.mktemp("tasks")
    tokenizer = make_tokenizer(folder / "tokenizer")
    return {k: tokenised(k, tokenizer, folder / k, train=toy(k, 9, 1), test=toy(k, 10, 2, ("en", "de"))) for k in KINDS}


def how_of(kind, length):
    if kind == "bitext_retrieval":
        return {"max_length": length, "layers": [2, 0], "pooling": "mean", "precision": "fp32"}
    return {"max_length": length, "settings": {"doc_stride": 10, "pooling": "first"}, "precision": "fp32"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("length", [48, 20])
def test_flops_are_what_answering_each_example_alone_takes(kind, length, places, monkeypatch):
    split, encoder = TokenSplit(places[kind] / "tokens", "test"), random_encoder(tiny_config())
    how, layers = how_of(kind, length), encoder.layers
    outputs = 0 if kind == "bitext_retrieval" else split.outputs(["a", "b", "c"])
    head = None if kind == "bitext_retrieval" else build_head(kind, encoder.config, outputs, "first", 0.0)
    encoder.encoder["layer"] = layers[:2] if head is None else layers

    def answer(example):
        for ids in query_of(split, int(example), how, 48):
            layout = Layout(torch.tensor([len(ids)]))
            states = encoder(torch.from_numpy(ids.astype(np.int64)), layout)
            if head is not None:
                head.forward(states, layout) if kind != "multiple_choice" else super(type(head), head).forward(
                    states, layout
                )

    shape = shape_of(encoder.config.to_json())
    rows = list(point_rows(split, how, shape, head_outputs(kind, outputs), None))
    found = {(layer, language): value for layer, language, cost, value, _, _ in rows if cost == "flops"}
    at = "2" if head is None else ""
    for language in ("en", "de"):
        examples = split.where(language)
        answered = count(lambda examples=examples: [answer(e) for e in examples], monkeypatch)
        texts = len(examples) * (2 if head is None else 1)
        passes = sum(len(query_of(split, int(e), how, 48)) for e in examples)  # each with a row of no sequence
        spare = forward_flops(replace(shape, layers=len(encoder.layers)), passes, 0)
        assert answered == pytest.approx(found[at, language] * texts + spare, rel=1e-12)
    assert found[at, "mean"] == pytest.approx((found[at, "en"] + found[at, "de"]) / 2)
    assert head is not None or {layer for layer, _ in found} == {"2"}  # hidden state 0 is a look-up
    if head is not None:
        size = {c: v for _, _, c, v, _, _ in rows if c.startswith("parameters")}
        assert size["parameters_head"] == sum(p.numel() for p in head.parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8", "fp8"])
def test_memory_is_the_bytes_of_the_weights(precision):
    encoder = random_encoder(tiny_config())
    if precision == "fp8":  # as set_precision does on a GPU that has it
        encoder.to(torch.bfloat16)
        _quantise(encoder, torch.float8_e4m3fn)
    else:
        set_precision(encoder, precision, torch.device("cpu"))
    real = sum(t.numel() * t.element_size() for t in encoder.state_dict().values())
    assert memory(shape_of(encoder.config.to_json()), 0, precision) == real


@pytest.mark.parametrize("kind", [k for k in TRAINED if k != "multiple_choice"])  # choices pad one another
@pytest.mark.parametrize("frozen", [0, 2])
def test_training_costs_what_torch_counts(kind, frozen, places, tmp_path, monkeypatch):
    encoder, own = random_encoder(tiny_config()), settings(batch_size=1, frozen_layers=frozen)
    where, task = Sources(places[kind] / "tokens", places[kind] / "data"), task_of(kind)
    spec = {"settings": own, "seed": 1, "source_language": "en"}
    part = make_part(encoder, task, where, None, task, spec)
    plan = make_plan([len(part.items)], ["toy"], [own], 1, ONE_TASK)
    encoder.freeze(frozen)
    counted = count(lambda: train(encoder, [part], plan, own, tmp_path / "history"), monkeypatch)
    shape = shape_of(encoder.config.to_json())
    spare = training_flops(shape, len(plan), 0, frozen)  # each pass has a row of no sequence
    assert counted == flops_of([part.work.facts("toy", frozen)], shape) + spare
    assert part.work.steps == len(plan)


def twin(seed, n, scale=1.0):
    make = np.random.default_rng(seed)
    return [(1e-4, 1e-5, scale * s) for s in make.gamma(9, 1e-4, n)]


@pytest.mark.parametrize(("n", "printed"), [(31, ["p50"]), (32, ["p50", "p90"]), (331, ["p50", "p90", "p99"])])
def test_a_percentile_takes_enough_queries(n, printed):
    found = {m.cost: m for m in latencies([twin(0, n), twin(0, n)], [1.0, 1.0])}
    assert [p for p in ("p50", "p90", "p99") if found[f"latency_{p}"].value] == printed
    assert "takes" in found["latency_p99"].note or n == 331
    assert found["latency_p50"].value == pytest.approx(1e-5 + np.percentile([q[2] for q in twin(0, n)], 50))
    assert found["tokenise_p50"].value == pytest.approx(1e-4)


def test_twins_that_differ_are_the_spread_and_the_noise_is_said():
    same = {m.cost: m for m in latencies([twin(0, 50), twin(0, 50)], [1.0, 1.02])}
    assert (same["latency_p50"].spread, same["latency_p50"].note) == (0.0, "")
    noisy = {m.cost: m for m in latencies([twin(0, 50), twin(0, 50, 1.5)], [1.0, 1.2])}
    a, b = (float(np.percentile(np.asarray(twin(0, 50, s))[:, 1:].sum(1), 50)) for s in (1.0, 1.5))
    assert noisy["latency_p50"].spread == pytest.approx((b - a) / 2)
    assert "two identical arms differ by 20%" in noisy["latency_p50"].note
    assert not apart(noisy["latency_p50"], same["latency_p50"]._replace(value=a))
    assert apart(Measure("x", 1.0, "s", 0.1, 9), Measure("x", 1.3, "s", 0.1, 9))
    assert not apart(Measure("x", None, "s", None, 9), Measure("x", 1.3, "s", 0.1, 9))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_what_cannot_be_a_cost_is_named(value, tmp_path):
    row = Cost("x", "mini", "xquad", "dfull-lfull-fp32", "", "qab", "energy", value, "J/example")
    with pytest.raises(UserError, match=r"energy of xquad at dfull-lfull-fp32 \(mini, qab\) is .*measure again"):
        write_costs(tmp_path / "costs.csv", [row])
    write_costs(tmp_path / "costs.csv", [row._replace(value=2.0), row._replace(value=None, note="no counter")])
    assert [c.value for c in read_costs(tmp_path / "costs.csv")] == [2.0, None]
    text = (tmp_path / "costs.csv").read_text()
    (tmp_path / "costs.csv").write_text(text.replace(",2,", f",{value},"))
    with pytest.raises(UserError, match=r"costs.csv, line 2: energy is"):
        read_costs(tmp_path / "costs.csv")


def test_a_counter_that_wraps_is_named():
    assert joules(1_000, 4_500) == 3.5
    for after in (1_000, 3):
        with pytest.raises(UserError, match=r"energy counter went from 1000 to .* wrapped or was reset"):
            joules(1_000, after)


class Meter:
    """A counter of a device that takes `power` W, and 3 J more for each pass over two examples."""

    def __init__(self, power):
        self.power, self.passes, self.last, self.sum = power, 0, time.perf_counter(), 0.0

    def __call__(self):
        now = time.perf_counter()
        self.sum, self.last = self.sum + self.power * (now - self.last), now
        return round(1000 * (self.sum + 3 * self.passes))

    def offline(self):
        self.passes += 1
        time.sleep(0.005)


def test_time_without_a_core_is_noise_though_both_arms_wait_alike():
    seconds = [twin(0, 50), twin(0, 50)]
    whole = 2 * float(np.sum(seconds[0]))
    assert {m.note for m in latencies(seconds, [1.0, 1.0], 0.02 * whole) if m.value} == {""}
    found = {m.cost: m.note for m in latencies(seconds, [1.0, 1.0], 0.4 * whole)}
    assert found["latency_p50"] == "the machine was too noisy: 40% of the time went by waiting for a core"


@pytest.mark.skipif(not Path("/proc/thread-self/schedstat").is_file(), reason="the system does not tell")
def test_a_neighbour_on_the_same_core_makes_a_thread_wait():
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        waited, start, cpu = profile.waited_for_a_core(), time.perf_counter(), time.process_time()
        while time.perf_counter() - start < 1:
            pass
        waited, wall = profile.waited_for_a_core() - waited, time.perf_counter() - start
        assert waited > 0.2
        assert waited + time.process_time() - cpu == pytest.approx(wall, rel=0.05)
    finally:
        neighbour.kill()
        neighbour.wait()
        os.sched_setaffinity(0, before)


def test_energy_stands_with_and_without_what_the_device_takes_at_rest(monkeypatch):
    monkeypatch.setattr(profile, "WINDOW", 0.1)
    meter = Meter(500.0)
    arm = Arm("x", lambda i: (0.0, 0.0, 0.0), meter.offline, 2)
    idle = idle_power(meter)
    assert idle == pytest.approx(500, rel=0.02)
    gross, above = energies(arm, meter, idle)
    assert above.value == pytest.approx(1.5, rel=0.1)  # the clock is read a moment after the counter
    assert gross.value > 2.5  # 500 W x 5 ms at least on top of 3 J, over two examples
    assert (gross.n, above.n) == (2 * meter.passes, 2 * meter.passes)
    assert f"{idle:.1f} W" in above.note
    meter.power, meter.passes = 0.0, 0
    gross, above = energies(arm, meter, 1e6)
    assert gross.value == pytest.approx(1.5)
    assert above.value is None
    assert "no more than" in above.note
    assert [(m.value, m.note) for m in energies(arm, None, 0.0)] == [(None, "this device has no energy counter")] * 2
    monkeypatch.setattr(meter, "sum", 0.0)
    with pytest.raises(UserError, match="wrapped or was reset"):
        energies(arm, iter([5, 4]).__next__, idle)


def test_arms_take_turns_and_only_warm_up_goes_unmeasured():
    asked = []
    arms = [Arm(x, lambda i, x=x: asked.append((x, i)) or (0.0, 0.0, 1e-3), lambda: time.sleep(0.001), 4) for x in "ab"]
    found = measure(arms, 64, torch.device("cpu"))
    assert set(found) == {"a", "b"}
    warm, timed = asked[: 2 * profile.WARM_UP], asked[2 * profile.WARM_UP :]
    assert [x for x, _ in warm] == ["a"] * profile.WARM_UP + ["b"] * profile.WARM_UP
    assert sorted(timed) == sorted((x, i) for x in "ab" for i in range(32) for _ in "AA")  # A and A', the same queries
    blocks = "".join(x for x, i in timed[:: profile.BLOCK])
    assert blocks == "abbabaab" * 2
    assert [len(twin) for arm in arms for twin in arm.seconds] == [32] * 4
    notes = {x: {m.cost: m.note for m in of} for x, of in found.items()}
    assert "within the spread of a" in notes["b"]["latency_p50"]
    assert "within" not in notes["a"]["latency_p50"] + notes["b"]["memory_peak"] + notes["b"]["energy"]


SPEC = {
    "backbones": {"mini": {"1": 7, "2": 7}},
    "starts": {"a": "none", "b": "a"},
    "targets": {
        "x": {"owner": "x", "kind": "pair_classification", "points": ["dfull-lfull-fp32", "d2-lfull-fp32"]},
        "y": {"owner": "x", "kind": "pair_classification", "points": ["dfull-lfull-fp32"]},
        "t": {"owner": "", "kind": "bitext_retrieval", "points": ["dfull-lfull-fp32"]},
    },
    "recipes": ["none", "b"],
    "seeds": [1, 2],
    "controls": ["random-init", "blind"],
    "control_seeds": [1],
}


def test_shared_work_is_counted_once_and_shown_as_shared():
    phases = phases_of(SPEC)
    places = [p.place for p in phases]
    assert len(set(places)) == len(places)  # the model of x serves y, one pretraining serves both seeds
    assert places.count("pretrained/mini/s7") == 1
    assert sum(p.phase == "intermediate" for p in phases) == 4  # a and b, two seeds: a is trained because b needs it
    assert sum(p.phase == "target" for p in phases) == 2 * 2 * 2 + 2
    shared = users(phases)
    assert shared["pretrained/mini/s7"] == 9  # all but random-init
    assert shared["intermediate/mini/a/s1"] == shared["intermediate/mini/b/s1"] == 2
    work = {p.place: {"flops": 10.0**k, "wall_seconds": 2.0, "note": ""} for k, p in enumerate(phases)}
    rows = {(r["recipe"], r["depth"], r["seed"]): r for r in recipe_rows(phases, work)}
    row = rows["b", "2", 2]
    own = ("intermediate/mini/a/s2", "intermediate/mini/b/s2", "target/mini/b/x/d2/s2")
    assert row["flops"] == sum(work[x]["flops"] for x in own)
    assert row["flops_intermediate"] == sum(work[x]["flops"] for x in own[:2])
    assert (row["seconds"], row["energy"]) == (6.0, None)
    assert rows["none", "full", 1]["flops_intermediate"] == 0
    assert {"flops", "energy", "shared_by"} <= set(COLUMNS)
