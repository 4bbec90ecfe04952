"""AdamW, warm-up, decay and clipping against torch's own, step by step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from stilts.train.optimizer import SWITCH, AdamW

BASE = {
    "learning_rate": 2e-2,
    "warmup_ratio": 0.2,
    "weight_decay": 0.1,
    "max_grad_norm": 1.0,
    "adam_beta1": 0.9,
    "adam_beta2": 0.98,
    "adam_epsilon": 1e-6,
}


class Net(nn.Module):
    """Matrices, biases, norms, an embedding, and a branch that is not always used."""

    def __init__(self):
        super().__init__()
        self.words, self.a, self.norm = nn.Embedding(11, 6), nn.Linear(6, 5), nn.LayerNorm(5)
        self.b, self.rare = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, ids, rare):
        x = torch.tanh(self.norm(self.a(self.words(ids))))
        return (self.rare if rare else self.b)(x)


def two_nets() -> tuple[Net, Net]:
    torch.manual_seed(3)
    one, other = Net(), Net()
    other.load_state_dict(one.state_dict())
    return one, other


def textbook(settings: dict, steps: int):
    """Return the factor of each step: (k + 1) / warm-up steps, then linearly from 1 to 0 at the end."""
    warmup = round(settings["warmup_ratio"] * steps)
    return lambda k: (k + 1) / warmup if k < warmup else (steps - k) / (steps - warmup)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"max_grad_norm": 1e-3},
        {"max_grad_norm": 1e9},
        {"max_grad_norm": math.inf},
        {"weight_decay": 0.0},
        {"warmup_ratio": 0.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["fused", "plain"])
def test_twenty_steps_equal_torch(way, change, monkeypatch):
    monkeypatch.setenv(SWITCH, way)
    never = "_plain" if way == "fused" else "_fused"
    monkeypatch.delattr(AdamW, never)
    settings, steps = {**BASE, **change}, 20
    ours, theirs = two_nets()
    optimizer = AdamW(list(ours.parameters()), steps, settings)
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": settings["weight_decay"]},
        {"params": [p for p in theirs.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    betas = (settings["adam_beta1"], settings["adam_beta2"])
    reference = torch.optim.AdamW(groups, lr=settings["learning_rate"], betas=betas, eps=settings["adam_epsilon"])
    schedule = torch.optim.lr_scheduler.LambdaLR(reference, textbook(settings, steps))
    for step in range(steps):
        torch.manual_seed(step)
        ids, gold, rare = torch.randint(11, (9,)), torch.randint(3, (9,)), step % 3 == 1
        for net in (ours, theirs):
            (5 * nn.functional.cross_entropy(net(ids, rare), gold)).backward()
        used = [p for p in theirs.parameters() if p.grad is not None]
        norm = nn.utils.clip_grad_norm_(used, settings["max_grad_norm"])
        assert optimizer.step() == pytest.approx(norm.item(), rel=1e-5)
        reference.step()
        reference.zero_grad(set_to_none=True)
        schedule.step()
        assert all(p.grad is None for p in ours.parameters())
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5, msg=f"{name} at step {step}")


@pytest.mark.parametrize("way", ["fused", "plain"])
def test_the_layout_of_a_gradient_changes_nothing(way, monkeypatch):
    monkeypatch.setenv(SWITCH, way)
    nets = two_nets()
    for net, lay in zip(nets, (torch.Tensor.contiguous, lambda g: g.t().contiguous().t()), strict=True):
        optimizer = AdamW(list(net.parameters()), 3, BASE)
        for _ in range(3):
            net(torch.tensor([1, 2, 3]), rare=False).square().sum().backward()
            net.a.weight.grad = lay(net.a.weight.grad)
            optimizer.step()
    assert torch.equal(nets[0].a.weight, nets[1].a.weight)


def test_parameters_without_a_gradient_stay_and_their_moments_too():
    net, _ = two_nets()
    optimizer = AdamW(list(net.parameters()), 10, BASE)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    for _ in range(3):
        net(torch.randint(11, (9,)), rare=False).square().sum().backward()
        optimizer.step()
    for name, p in net.state_dict().items():
        assert torch.equal(p, before[name]) == name.startswith("rare.")
    slot = next(s for s in optimizer.slots if s.parameter is net.rare.weight)
    assert slot.count == 0
    assert not slot.first.any()


@pytest.mark.parametrize(("steps", "ratio"), [(1, 0.1), (1, 1.0), (7, 0.3), (100, 0.1), (10, 1.0), (10, 0.0)])
def test_the_schedule_rises_to_1_and_ends_above_0(steps, ratio):
    optimizer = AdamW([], steps, {**BASE, "warmup_ratio": ratio})
    factors = [optimizer.factor(k) for k in range(steps)]
    warmup = round(ratio * steps)
    assert max(factors) == pytest.approx(1.0)
    assert min(factors) > 0
    assert factors == pytest.approx([textbook({"warmup_ratio": ratio}, steps)(k) for k in range(steps)])
    assert sorted(factors[:warmup]) == factors[:warmup]
    assert sorted(factors[warmup:], reverse=True) == factors[warmup:]
    assert optimizer.factor(steps + 5) == 0.0
