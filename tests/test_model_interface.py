"""Our attention in transformers' own models: packed sequences give what each gives alone, or a message."""

from __future__ import annotations

import pytest
import torch
import transformers
from transformers import AutoModel

from stilts.errors import UserError
from stilts.model import interface
from stilts.model.attention import attend_nested, attend_padded
from stilts.model.checkpoint import save_encoder
from tests.engine_case import LENGTHS, compare, padded, random_encoder, random_flat, real, theirs, tiny_config


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize("way", [attend_padded, attend_nested], ids=lambda f: f.__name__)
def test_their_model_takes_packed_sequences_by_our_attention(way, lengths, monkeypatch):
    monkeypatch.setattr(interface, "attend", way)
    encoder = random_encoder(tiny_config()).eval()
    model, reference = theirs(encoder, interface.register()), theirs(encoder)
    ids, layout = random_flat(encoder.config, lengths)
    block, mask = padded(ids, layout)
    states = model(**interface.packed(ids, layout.lengths)).last_hidden_state[0]
    wanted = real(reference(block, attention_mask=mask).last_hidden_state, mask)
    compare(model, states, reference, wanted)


def test_a_packed_model_of_theirs_is_read_from_a_folder_and_drops_attention(tmp_path):
    encoder = random_encoder(tiny_config())
    save_encoder(tmp_path, encoder)
    model = AutoModel.from_pretrained(tmp_path, attn_implementation=interface.register(), add_pooling_layer=False)
    ids, layout = random_flat(encoder.config, [6, 9, 4])
    inputs = interface.packed(ids, layout.lengths)
    by_hand = {**inputs, "cu_seq_lens_q": torch.tensor([0, 6, 15, 19], dtype=torch.int32)}
    states = model.eval()(**inputs).last_hidden_state
    assert torch.equal(states, model(**by_hand).last_hidden_state)
    torch.testing.assert_close(states[0], encoder.eval()(ids, layout), atol=5e-6, rtol=1e-5)
    model.train()
    for part in model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.5 if part is model.encoder.layer[0].attention.self.dropout else 0.0
    assert not torch.allclose(model(**inputs).last_hidden_state, states)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_buffer_of_offsets_may_be_filled_anew(mode):
    encoder = random_encoder(tiny_config()).eval()
    model = theirs(encoder, interface.register())
    ids, layout = random_flat(encoder.config, [6, 9, 4])
    with mode():
        inputs = interface.packed(ids, layout.lengths)
        model(**inputs)
        other = interface.packed(ids, torch.tensor([3, 11, 5]))
        inputs["cu_seq_lens_q"].copy_(other["cu_seq_lens_q"])
        inputs["position_ids"] = other["position_ids"]
        assert torch.equal(model(**inputs).last_hidden_state, model(**other).last_hidden_state)


@pytest.mark.parametrize("name", ["Bert", "Roberta", "Camembert", "Electra"])
def test_models_alike_take_packed_sequences_too(name):
    model, reference = (odd_model(name, how) for how in (interface.register(), "eager"))
    lengths = torch.tensor([20, 7, 1])
    ids = torch.randint(4, 90, (28,), generator=torch.Generator().manual_seed(0))
    inputs = interface.packed(ids, lengths, pad_token_id=1 if name in ("Roberta", "Camembert") else -1)
    alone = torch.cat([reference(x[None]).last_hidden_state[0] for x in ids.split(lengths.tolist())])
    torch.testing.assert_close(model(**inputs).last_hidden_state[0], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("ModernBert", {"local_attention": 8}, "sliding_window"),
        ("Llama", {}, "causal"),
        ("XLMRoberta", {"is_decoder": True}, "causal"),
        ("EuroBert", {"num_key_value_heads": 2}, "keys of another shape"),
    ],
)
def test_another_attention_than_ours_is_refused(name, settings, said):
    model = odd_model(name, interface.register(), **settings)
    with pytest.raises(UserError, match=f"each token see all of its sequence; this model asks for {said}"):
        model(**interface.packed(torch.arange(4, 20), torch.tensor([10, 6])))


def odd_model(name: str, attention: str, **settings) -> torch.nn.Module:
    """Return a small random model of transformers."""
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 48}
    config = getattr(transformers, f"{name}Config")(**sizes, vocab_size=100, pad_token_id=1, **settings)
    torch.manual_seed(0)
    return getattr(transformers, f"{name}Model")._from_config(config, attn_implementation=attention).eval()


def test_their_model_says_what_our_attention_needs():
    encoder = random_encoder(tiny_config()).eval()
    model = theirs(encoder, interface.register())
    ids, layout = random_flat(encoder.config, [6, 9])
    block, mask = padded(ids, layout)
    with pytest.raises(UserError, match=r"one row of packed sequences and their offsets: call the model with stilts"):
        model(block, attention_mask=mask)
    with pytest.raises(UserError, match="one row"):
        model(**{**interface.packed(ids, layout.lengths), "input_ids": block[:, :4], "position_ids": None})
    model.encoder.layer[0].attention.self.scaling = 0.7
    with pytest.raises(UserError, match=r"this model scales by 0\.7"):
        model(**interface.packed(ids, layout.lengths))
