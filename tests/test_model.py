"""The encoder on flat sequences and its heads, against plain torch formulas; broken model folders."""

from __future__ import annotations

import json
import math

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from stilts.errors import UserError
from stilts.model.checkpoint import copy_tokenizer, load_encoder, load_head, save_encoder, save_head
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.model.heads import IGNORE, MaskedLMHead, build_head, pool
from tests.engine_case import random_encoder, random_flat, tiny_config

LENGTHS = [[7], [5, 5, 5], [2, 11, 3, 7], [48, 2, 17]]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return random_encoder(tiny_config()).eval()


# --- the layout


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_pad_and_flatten_are_inverse(lengths):
    layout = Layout(torch.tensor(lengths))
    flat = torch.randn(sum(lengths), 3)
    block = layout.pad(flat, fill=-7.0)
    assert block.shape == (len(lengths), max(lengths), 3)
    assert torch.equal(layout.flatten(block), flat)
    start = 0
    for row, n in zip(block, lengths, strict=True):
        assert torch.equal(row[:n], flat[start : start + n])
        assert (row[n:] == -7.0).all()
        start += n
    assert layout.starts.tolist() == [sum(lengths[:i]) for i in range(len(lengths))]
    assert layout.positions.tolist() == [p for n in lengths for p in range(n)]


# --- the encoder: sequences do not see one another


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_a_batch_is_each_sequence_alone(encoder, lengths):
    ids, layout = random_flat(encoder.config, lengths)
    together = encoder(ids, layout)
    for start, n in zip(layout.starts.tolist(), lengths, strict=True):
        alone = encoder(ids[start : start + n], Layout(torch.tensor([n])))
        torch.testing.assert_close(together[start : start + n], alone, atol=2e-6, rtol=1e-5)


def test_no_gradient_reaches_another_sequence(encoder):
    ids, layout = random_flat(encoder.config, [6, 9, 4])
    seen = []

    def keep(module, inputs, out):
        out.retain_grad()
        seen.append(out)

    hook = encoder.embeddings.register_forward_hook(keep)
    encoder(ids, layout)[6:15].square().sum().backward()
    hook.remove()
    encoder.zero_grad()
    moved = seen[0].grad.abs().sum(1)
    assert (moved[6:15] > 0).all()
    assert not moved[:6].any()
    assert not moved[15:].any()


def test_order_of_the_sequences_does_not_matter(encoder):
    ids, layout = random_flat(encoder.config, [6, 9])
    one = encoder(ids, layout)
    other = encoder(torch.cat([ids[6:], ids[:6]]), Layout(torch.tensor([9, 6])))
    torch.testing.assert_close(torch.cat([other[9:], other[:9]]), one, atol=2e-6, rtol=1e-5)


def test_every_hidden_state_is_shown_in_order(encoder):
    ids, layout = random_flat(encoder.config, [4, 6])
    states = {}
    last = encoder(ids, layout, visit=states.__setitem__)
    assert list(states) == [0, 1, 2, 3]
    assert torch.equal(states[3], last)


def test_dropout_acts_in_training_only_and_is_seeded():
    encoder = random_encoder(tiny_config())
    encoder.dropout = 0.3
    ids, layout = random_flat(encoder.config, [6, 9])
    runs = []
    for mode, seed in ((True, 1), (True, 1), (True, 2), (False, 1), (False, 2)):
        encoder.train(mode)
        torch.manual_seed(seed)
        runs.append(encoder(ids, layout))
    assert torch.equal(runs[0], runs[1])
    assert not torch.allclose(runs[0], runs[2])
    assert torch.equal(runs[3], runs[4])
    assert not torch.allclose(runs[0], runs[3])


@pytest.mark.parametrize("frozen", [0, 1, 2, 4])
def test_frozen_layers_get_no_gradient_and_change_no_output(frozen):
    encoder = random_encoder(tiny_config()).train()
    ids, layout = random_flat(encoder.config, [6, 9])
    free = encoder(ids, layout)
    encoder.freeze(frozen)
    out = encoder(ids, layout)
    assert torch.equal(free, out)
    (out.sum() + torch.zeros((), requires_grad=True)).backward()
    still = {name for name, p in encoder.named_parameters() if p.grad is None}
    prefixes = ["embeddings."] * (frozen > 0) + [f"encoder.layer.{k}." for k in range(frozen - 1)]
    assert still == {n for n, _ in encoder.named_parameters() if n.startswith(tuple(prefixes) or "-")}
    assert still == {n for n, p in encoder.named_parameters() if not p.requires_grad}


def test_initialise_leaves_nothing_of_the_weights_before():
    trained = random_encoder(tiny_config(), seed=5)
    torch.manual_seed(9)
    initialise(trained)
    fresh = Encoder(trained.config)
    torch.manual_seed(9)
    initialise(fresh)
    for (name, a), b in zip(trained.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert torch.equal(a, b), f"{name} kept what training left there"
    assert abs(fresh.embeddings.word_embeddings.weight.std().item() - 0.02) < 0.002


# --- heads


def test_pooling(encoder):
    ids, layout = random_flat(encoder.config, [4, 2, 9])
    states = encoder(ids, layout)
    parts = states.split([4, 2, 9])
    torch.testing.assert_close(pool(states, layout, "first"), torch.stack([p[0] for p in parts]))
    torch.testing.assert_close(pool(states, layout, "mean"), torch.stack([p.mean(0) for p in parts]))


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_sentence_head(encoder, pooling):
    ids, layout = random_flat(encoder.config, [4, 2, 9])
    head = build_head("pair_classification", encoder.config, 5, pooling, 0.0)
    states = encoder(ids, layout)
    vectors = torch.stack([p[0] if pooling == "first" else p.mean(0) for p in states.split([4, 2, 9])])
    plain = torch.tanh(vectors @ head.dense.weight.T + head.dense.bias) @ head.out_proj.weight.T + head.out_proj.bias
    logits = head(states, layout)
    torch.testing.assert_close(logits, plain)
    labels = torch.tensor([4, 0, 2])
    loss, count = head.loss(states, layout, labels)
    torch.testing.assert_close(loss, -sum(plain.log_softmax(1)[i, k] for i, k in enumerate([4, 0, 2])))
    assert count == 3


def test_choices_of_an_example_share_one_soft_max(encoder):
    ids, layout = random_flat(encoder.config, [4, 2, 9, 5, 3, 8])
    head = build_head("multiple_choice", encoder.config, 3, "first", 0.0)
    states = encoder(ids, layout)
    score = torch.tanh(states[layout.starts] @ head.dense.weight.T + head.dense.bias) @ head.out_proj.weight[0]
    score = score + head.out_proj.bias
    logits = head(states, layout)
    torch.testing.assert_close(logits, torch.stack([score[:3], score[3:]]))
    loss, count = head.loss(states, layout, torch.tensor([2, 0]))
    plain = score[:3].logsumexp(0) - score[2] + score[3:].logsumexp(0) - score[3]
    torch.testing.assert_close(loss, plain)
    assert count == 2


def test_tag_head_reads_words_only(encoder):
    ids, layout = random_flat(encoder.config, [4, 6])
    head = build_head("token_tagging", encoder.config, 3, "first", 0.0)
    states = encoder(ids, layout)
    logits = states @ head.classifier.weight.T + head.classifier.bias
    torch.testing.assert_close(head(states, layout), logits)
    targets = torch.full((10,), IGNORE)
    targets[1], targets[5], targets[8] = 2, 0, 1
    loss, count = head.loss(states, layout, targets)
    torch.testing.assert_close(loss, F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum"))
    assert count == 3
    empty, none = head.loss(states, layout, torch.full((10,), IGNORE))
    assert (empty.item(), none) == (0.0, 0)


def test_span_head_chooses_among_first_token_and_context(encoder):
    # <s> q q </s> </s> c c c </s>   and   <s> q </s> </s> c c </s>
    ids, layout = random_flat(encoder.config, [9, 7])
    allowed = torch.tensor([1, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0]).bool()
    head = build_head("span_extraction", encoder.config, 0, "first", 0.0)
    states = encoder(ids, layout)
    spans = torch.tensor([[5, 7], [0, 0]])
    loss, count = head.loss(states, layout, spans, allowed)
    scores = states @ head.qa_outputs.weight.T + head.qa_outputs.bias
    plain = 0.0
    for first, inside, gold in ((0, [0, 5, 6, 7], (5, 7)), (9, [0, 4, 5], (0, 0))):
        for side in (0, 1):
            own = scores[first:, side]
            denominator = math.log(sum(math.exp(own[i].item()) for i in inside))
            plain += (denominator - own[gold[side]].item()) / 2
    assert loss.item() == pytest.approx(plain, abs=1e-4)
    assert count == 2
    loss.backward()
    assert all(torch.isfinite(p.grad).all() for p in head.parameters())
    encoder.zero_grad()


def test_masked_lm_head_predicts_marked_positions_from_the_tied_matrix(encoder):
    ids, layout = random_flat(encoder.config, [6, 9])
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    states = encoder(ids, layout)
    targets = torch.full((15,), IGNORE)
    targets[3], targets[10] = 7, 99
    loss, count = head.loss(states, layout, targets)
    x = F.gelu(states @ head.dense.weight.T + head.dense.bias)
    x = F.layer_norm(x, x.shape[-1:], head.layer_norm.weight, head.layer_norm.bias, 1e-5)
    logits = x @ encoder.embeddings.word_embeddings.weight.T + head.bias
    torch.testing.assert_close(loss, F.cross_entropy(logits[[3, 10]], torch.tensor([7, 99]), reduction="sum"))
    assert count == 2
    assert "embedding" not in " ".join(head.state_dict())
    assert len(list(head.parameters())) == 5


# --- model folders


def test_a_saved_folder_comes_back_the_same(encoder, tmp_path):
    save_encoder(tmp_path, encoder)
    back, rest = load_encoder(tmp_path)
    assert rest == {}
    assert back.config == encoder.config
    assert all(torch.equal(v, back.state_dict()[k]) for k, v in encoder.state_dict().items())
    save_encoder(tmp_path / "again", back)
    assert (tmp_path / "again" / "model.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_depth_keeps_the_layers_next_to_the_input(encoder, tmp_path):
    save_encoder(tmp_path, encoder)
    ids, layout = random_flat(encoder.config, [6, 9])
    states = {}
    encoder(ids, layout, visit=states.__setitem__)
    for depth in (1, 2, 3):
        cut, _ = load_encoder(tmp_path, depth)
        assert cut.config.num_hidden_layers == depth
        assert torch.equal(cut.eval()(ids, layout), states[depth])
    with pytest.raises(UserError, match=r"budget\.depths asks for 4 layers; the backbone in .* has 3"):
        load_encoder(tmp_path, 4)


def test_half_precision_weights_become_float32(encoder, tmp_path):
    save_encoder(tmp_path, encoder)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file({k: v.to(torch.bfloat16) for k, v in tensors.items()}, tmp_path / "model.safetensors")
    back, _ = load_encoder(tmp_path)
    assert {p.dtype for p in back.parameters()} == {torch.float32}
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(back.state_dict()[name], tensors[name].to(torch.bfloat16).float())


def damage(folder, fault: str) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    tensors, raw = load_file(weights), json.loads(config.read_text())
    if fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif fault == "empty":
        weights.write_bytes(b"")
    elif fault == "noise":
        weights.write_bytes(b"\x93NUMPY" * 1000)
    elif fault == "pickle only":
        weights.unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
    elif fault == "tensor lost":
        del tensors["encoder.layer.1.output.dense.bias"]
        save_file(tensors, weights)
    elif fault == "another shape":
        raw["intermediate_size"] += 1
        config.write_text(json.dumps(raw))
    elif fault == "no config":
        config.unlink()
    elif fault == "broken config":
        config.write_text("{")
    else:
        key, _, value = fault.partition("=")
        if value:
            raw[key] = json.loads(value)
        else:
            del raw[key]
        config.write_text(json.dumps(raw))


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("truncated", "is damaged"),
        ("empty", "is damaged"),
        ("noise", "is damaged"),
        ("pickle only", r"model\.safetensors is missing .*never from pickle"),
        ("tensor lost", r"does not fit .*encoder\.layer\.1\.output\.dense\.bias"),
        ("another shape", r"does not fit .*another shape"),
        ("no config", r"holds no config\.json"),
        ("broken config", r"config\.json is damaged"),
        ('model_type="bert"', 'of type "bert"; only XLM-R'),
        ("model_type", 'of type "None"; only XLM-R'),
        ('hidden_act="relu"', "'relu'; only gelu"),
        ('position_embedding_type="relative_key"', "only absolute"),
        ("hidden_size", "lacks hidden_size"),
        ("num_attention_heads=5", "5 attention heads cannot share 24 hidden units"),
    ],
)
def test_a_faulty_folder_is_one_message(encoder, tmp_path, fault, says):
    save_encoder(tmp_path, encoder)
    damage(tmp_path, fault)
    with pytest.raises(UserError, match=says):
        load_encoder(tmp_path)


def test_heads_are_kept_beside_the_encoder_and_must_fit(encoder, tmp_path):
    head = build_head("pair_classification", encoder.config, 3, "first", 0.0)
    save_head(tmp_path, head)
    back = build_head("pair_classification", encoder.config, 3, "first", 0.0)
    load_head(tmp_path, back)
    assert all(torch.equal(v, back.state_dict()[k]) for k, v in head.state_dict().items())
    for other in (("pair_classification", 2), ("token_tagging", 3)):
        with pytest.raises(UserError, match="does not fit the task"):
            load_head(tmp_path, build_head(other[0], encoder.config, other[1], "first", 0.0))
    with pytest.raises(UserError, match=r"head\.safetensors is missing"):
        load_head(tmp_path / "nowhere", back)


def test_the_longest_sequence_has_a_position():
    config = tiny_config(max_position_embeddings=20)
    assert config.max_length == 18
    encoder = random_encoder(config)
    ids, layout = random_flat(config, [18])
    encoder(ids, layout)
    ids, layout = random_flat(config, [19])
    with pytest.raises(IndexError):
        encoder(ids, layout)


def test_tokenizer_files_are_copied_as_they_are(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "tokenizer.json").write_bytes(b"{}\r\n")
    (tmp_path / "a" / "notes.txt").touch()
    copy_tokenizer(tmp_path / "a", tmp_path / "b")
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["tokenizer.json"]
    assert (tmp_path / "b" / "tokenizer.json").read_bytes() == b"{}\r\n"


def test_config_json_round_trip():
    config = tiny_config(layer_norm_eps=1e-6, pad_token_id=3)
    assert EncoderConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
