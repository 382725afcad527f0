"""Weights and data from files: every layout is found, and whatever cannot be used is one clear line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from harness.analysis import Settings, analyze_checkpoint
from harness.analysis.data import read_data
from harness.analysis.embeddings import TABLE_BYTES, embed
from harness.analysis.layouts import cell_of, choose, find_layers
from harness.analysis.weights import from_arrays, read_weights
from harness.errors import UserError
from harness.inputs import embedding as seeded_table

QUICK = Settings(steps=8, samples=2, anchors=1, seeds=1)


def arrays_of(module: torch.nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + name: value.numpy() for name, value in module.state_dict().items()}


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


def vectors(path, *shape):
    np.save(path, np.random.default_rng(0).standard_normal(shape))
    return path


@pytest.mark.parametrize(
    ("module", "prefix", "names", "cell"),
    [
        (torch.nn.LSTM(3, 4, num_layers=2), "encoder.rnn.", ["encoder.rnn.l0", "encoder.rnn.l1"], "lstm"),
        (
            torch.nn.GRU(3, 4, bidirectional=True),
            "module.gru.",
            ["module.gru.l0", "module.gru.l0_reverse"],
            "gru",
        ),
        (torch.nn.RNN(3, 4, bias=False), "", ["l0"], "rnn_tanh"),
        (torch.nn.LSTMCell(3, 4), "decoder.", ["decoder"], "lstm"),
        (torch.nn.GRUCell(3, 1), "", ["cell"], "gru"),
    ],
)
def test_every_layout_is_found_by_name(module, prefix, names, cell):
    weights = from_arrays("x", {"head.weight": np.zeros((7, 4)), **arrays_of(module, prefix)})
    places = find_layers(weights)
    assert [place.name for place in places] == names
    assert all(cell_of("x", place, None) == cell for place in places)


def test_layers_are_chosen_by_layer_stack_or_array_and_the_nearest_is_offered():
    parts = arrays_of(torch.nn.LSTM(3, 4, num_layers=2), "encoder.") | arrays_of(
        torch.nn.GRU(3, 4), "decoder."
    )
    places = find_layers(from_arrays("x", parts))
    assert [p.name for p in choose("x", places, [])] == ["encoder.l0", "encoder.l1"]
    assert [p.name for p in choose("x", places, ["decoder"])] == ["decoder.l0"]
    assert [p.name for p in choose("x", places, ["encoder.weight_hh_l1"])] == ["encoder.l1"]
    with pytest.raises(UserError, match=r"did you mean 'encoder.l1'\?"):
        choose("x", places, ["encodr.l1"])


def test_bfloat16_and_npz_are_read(tmp_path):
    module = torch.nn.GRU(3, 4)
    save_file({k: v.bfloat16() for k, v in module.state_dict().items()}, tmp_path / "half.safetensors")
    half = read_weights(tmp_path / "half.safetensors").array("weight_hh_l0")
    expected = module.state_dict()["weight_hh_l0"].bfloat16().double().numpy()
    np.testing.assert_array_equal(half, expected)
    whole = read_weights(saved(tmp_path / "model.npz", **arrays_of(module)))
    np.testing.assert_array_equal(whole.array("weight_hh_l0"), arrays_of(module)["weight_hh_l0"])


GRU = arrays_of(torch.nn.GRU(3, 4))


@pytest.mark.parametrize(
    ("arrays", "options", "words"),
    [
        (
            {"fc.weight": np.zeros((5, 3))},
            {},
            ["no recurrent layer", "weight_hh (G·H, H)", "fc.weight (5, 3)"],
        ),
        ({}, {}, ["no recurrent layer", "got nothing"]),
        ({"weight_hh_l0": np.zeros((4, 4))}, {}, ["layer l0 has no weight_ih"]),
        (GRU | {"weight_hh_l0": np.zeros((13, 4))}, {}, ["do not fit each other", "weight_hh (13, 4)"]),
        (GRU | {"bias_hh_l0": np.zeros(4)}, {}, ["do not fit each other", "bias_hh (4,)"]),
        (GRU | {"weight_hr_l0": np.zeros((2, 4))}, {}, ["weight_hr_l0 is a projection"]),
        (
            {"weight_ih_l0": np.zeros((8, 3)), "weight_hh_l0": np.zeros((8, 4))},
            {},
            ["has 2 gates", "4 (lstm), 3 (gru), 1 (rnn_tanh)"],
        ),
        (GRU, {"cell": "lstm"}, ["layer l0 is no lstm", "weight_hh (16, 4)"]),
        (GRU, {"cell": "gruu"}, ["unknown cell 'gruu'", "did you mean 'gru'"]),
        (
            GRU | {"weight_hh_l0": np.full((12, 4), np.nan)},
            {},
            ["weight_hh_l0 must be finite", "index (0, 0)"],
        ),
        (
            GRU | {"bias_ih_l0": np.full(12, -np.inf)},
            {},
            ["bias_ih_l0 must be finite, got -inf at index (0,)"],
        ),
        (GRU | {"bias_ih_l0": np.zeros(12, int)}, {}, ["bias_ih_l0 must hold floating-point numbers"]),
        (GRU, {"layers": ["l1"]}, ["no layer 'l1'", "did you mean 'l0'"]),
        (GRU | {"weight_ih_l0": np.zeros((12, 5))}, {}, ["reads vectors of width 5", "(G·H, 3)"]),
        (GRU, {"embedding": "seeded"}, ["vectors, which need no embedding"]),
        (GRU, {"vocabulary": "characters.txt"}, ["numbers, which need no vocabulary"]),
    ],
)
def test_weights_that_do_not_fit_are_one_line(tmp_path, arrays, options, words):
    with pytest.raises(UserError) as caught:
        analyze_checkpoint(
            saved(tmp_path / "model.npz", **arrays), vectors(tmp_path / "data.npy", 5, 2, 3), **options
        )
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("model.pt", b"PK", ["pickled weights are not read", "save_file"]),
        ("model.onnx", b"", ["not a kind of weight file", "got .onnx"]),
        ("model.safetensors", b"\xff" * 40, ["no readable safetensors"]),
        ("model.npz", b"PK\x03\x04 no", ["no readable npz"]),
        ("absent.npz", None, ["cannot be read: No such file"]),
    ],
)
def test_weight_files_that_cannot_be_read_are_one_line(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(lambda: read_weights(tmp_path / name), words)


def test_pickles_inside_of_arrays_are_refused(tmp_path):
    evil = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "model.npz", weight_hh_l0=evil)
    np.save(tmp_path / "data.npy", evil)
    refused(lambda: read_weights(tmp_path / "model.npz"), ["without pickled objects"])
    refused(lambda: read_data(tmp_path / "data.npy", None, steps=8, samples=1), ["without pickled objects"])


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 2), int), ["is empty", "(0, 2)"]),
        (np.zeros((0, 2, 3)), ["is empty"]),
        (np.zeros((4, 3)), ["neither tokens nor vectors", "float64 (4, 3)", "array[:, None]"]),
        (np.zeros((4, 2, 3), int), ["neither tokens nor vectors"]),
        (np.zeros(4, complex), ["complex128 (4,)"]),
        (np.array([1, 2, -3]), ["got -3 at index (2,)"]),
        (np.array([[[0.0, np.inf]]]), ["data must be finite, got inf at index (0, 0, 1)"]),
    ],
)
def test_data_that_is_none_is_one_line(tmp_path, array, words):
    np.save(tmp_path / "data.npy", array)
    refused(lambda: read_data(tmp_path / "data.npy", None, steps=8, samples=4), words)


def test_a_long_sequence_is_cut_into_windows_and_several_are_taken_as_they_are(tmp_path):
    np.save(tmp_path / "one.npy", np.arange(100, dtype=np.uint8))
    one = read_data(tmp_path / "one.npy", None, steps=10, samples=3)
    assert one.array[0].tolist() == [0, 45, 90]
    assert (np.diff(one.array.astype(int), axis=0) == 1).all()
    assert "3 windows of 10 steps" in one.words
    np.save(tmp_path / "many.npy", np.arange(60).reshape(20, 3))
    many = read_data(tmp_path / "many.npy", None, steps=10, samples=2)
    assert many.array.tolist() == np.arange(60).reshape(20, 3)[:10, :2].tolist()
    assert "T = 10, B = 2, of T = 20 and B = 3" in many.words


def test_text_is_numbered_by_first_sight_or_by_a_vocabulary(tmp_path):
    (tmp_path / "text.txt").write_text("banana\n")
    assert tokens_of(tmp_path, None) == [0, 1, 2, 1, 2, 1, 3]
    for name, content in [
        ("v.txt", "nab\n\n"),
        ("v.json", json.dumps(["n", "a", "b", "\n"])),
        ("w.json", json.dumps({"\n": 3, "b": 2, "a": 1, "n": 0})),
    ]:
        (tmp_path / name).write_text(content)
        assert tokens_of(tmp_path, name) == [2, 1, 0, 1, 0, 1, 3]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("v.txt", "abc", ["'n' at 2 is not in the vocabulary", "3 characters"]),
        ("v.txt", "", ["is empty"]),
        ("v.txt", "aba", ["'a' stands in it twice"]),
        ("v.txt", b"\xff", ["cannot be read"]),
        ("v.json", "{", ["cannot be read"]),
        ("v.json", "3", ["neither a list nor a mapping"]),
        ("v.json", '{"a": -1}', ["'a' has no number"]),
        ("v.json", '{"a": true}', ["'a' has no number"]),
        ("v.json", '{"b": 0, "a": 1, "n": 9223372036854775808}', ["'n' has no number", "got 92233720"]),
    ],
)
def test_a_vocabulary_that_does_not_do_is_one_line(tmp_path, name, content, words):
    (tmp_path / "text.txt").write_text("banana")
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(lambda: tokens_of(tmp_path, name), words)


TOKENS = np.array([[0, 4], [1, 2]])


def test_the_models_own_embedding_is_found_and_told_from_a_linear_layer():
    table = np.arange(15.0).reshape(5, 3)
    arrays = {
        "decoder.weight": np.zeros((5, 3)),
        "decoder.bias": np.zeros(5),
        "encoder.weight": table,
        "wide.weight": np.zeros((9, 4)),
    }
    found = embed(from_arrays("x", arrays), TOKENS, 0, 3, None)
    np.testing.assert_array_equal(found.inputs, table[TOKENS])
    assert "own encoder.weight (5, 3)" in found.words
    named = arrays | {"word_embeddings.weight": table + 1}
    np.testing.assert_array_equal(
        embed(from_arrays("x", named), TOKENS, 0, 3, None).inputs, table[TOKENS] + 1
    )


def test_without_an_embedding_of_that_width_a_seeded_one_is_used():
    found = embed(from_arrays("x", {"embedding.weight": np.zeros((5, 4))}), TOKENS, 7, 3, None)
    np.testing.assert_array_equal(found.inputs, seeded_table(7, 3)[TOKENS])
    assert "fixed seeded table (7, 3)" in found.words
    hot = embed(from_arrays("x", {}), TOKENS, 0, 6, "one-hot")
    np.testing.assert_array_equal(hot.inputs, np.eye(6)[TOKENS])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (None, ["token 4 (step 0, sample 1) is outside of emb.weight", "0…3"]),
        ("em.weight", ["did you mean 'emb.weight'"]),
        ("head.weight", ["is no embedding of that layer", "(V, 3)"]),
        ("one-hot", ["outside of one-hot"]),
    ],
)
def test_an_embedding_that_does_not_do_is_one_line(wanted, words):
    weights = from_arrays("x", {"emb.weight": np.zeros((4, 3)), "head.weight": np.zeros((4, 4))})
    refused(lambda: embed(weights, TOKENS, 0, 3, wanted), words)


@pytest.mark.parametrize("largest", [10**12, 2**63 + 5, TABLE_BYTES // 24])
def test_a_seeded_table_that_no_memory_holds_is_one_line(largest):
    tokens = np.array([[0], [largest]], dtype=np.uint64)
    words = [f"token {largest} of the data", f"{largest + 1} rows", "tokens in 0…44739241", "--embedding"]
    refused(lambda: embed(from_arrays("x", {}), tokens, 0, 3, None), words)
    refused(lambda: embed(from_arrays("x", {}), TOKENS, largest + 1, 3, "seeded"), words)
    own = from_arrays("x", {"emb.weight": np.zeros((5, 3))})
    refused(lambda: embed(own, tokens, 0, 3, None), [f"token {largest}", "0…4"])
    assert embed(own, TOKENS.astype(np.uint64), largest, 3, None).inputs.shape == (2, 2, 3)


def tokens_of(folder, vocabulary):
    path = None if vocabulary is None else folder / vocabulary
    return read_data(folder / "text.txt", path, steps=8, samples=1).array[:, 0].tolist()


def refused(act, words):
    with pytest.raises(UserError) as caught:
        act()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
