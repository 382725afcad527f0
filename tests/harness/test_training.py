"""Training: the optimiser against torch's, the model's gradient against differences, and that it learns."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.clipping import Clipping
from harness.initializations import initialize
from harness.training.adam import Adam
from harness.training.batches import batches, split, windows
from harness.training.character_model import CharacterModel
from harness.training.loop import TrainingDiverged, train
from implementations.registry import load_backend


def model(cell: str = "lstm", backend: str = "numpy", dtype: str = "float64") -> CharacterModel:
    rng = np.random.default_rng(0)
    found = CharacterModel(
        load_backend(backend),
        cell,
        initialize("xavier_uniform", cell, 3, 4),
        rng.standard_normal((5, 3)),
        dtype,
    )
    # a readout of zeros would pass no gradient on
    found.update({**found.weights, "readout_weight": rng.standard_normal((5, 4))})
    return found


def test_adam_is_torchs() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((3, 2)), "b": rng.standard_normal(4)}
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    theirs, ours = (
        torch.optim.Adam(tensors.values(), lr=0.03, betas=(0.8, 0.95)),
        Adam(0.03, beta1=0.8, beta2=0.95),
    )
    for _ in range(5):
        gradients = {name: rng.standard_normal(array.shape) for name, array in weights.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        theirs.step()
        weights = ours.step(weights, gradients)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(weights[name], tensor.detach().numpy(), rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [({"learning_rate": 0.0}, "learning_rate"), ({"learning_rate": 1, "beta1": 1.0}, "beta1")],
)
def test_adam_refuses_what_makes_no_sense(options: dict[str, float], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Adam(**options)
    with pytest.raises(ValueError, match="gradients must be of a, got b"):
        Adam(0.1).step({"a": np.ones(1)}, {"b": np.ones(1)})


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_every_gradient_is_the_losss(cell: str) -> None:
    """Central differences along a random direction of each weight."""
    network = model(cell)
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 5, (7, 3))
    found = network.loss_and_gradients(tokens)
    assert found.value == pytest.approx(network.loss(tokens), rel=1e-12)
    start = dict(network.weights)
    for name, weight in start.items():
        direction = rng.standard_normal(weight.shape)
        ends = []
        for sign in (1, -1):
            network.update({**start, name: weight + sign * 1e-5 * direction})
            ends.append(network.loss(tokens))
        difference = (ends[0] - ends[1]) / 2e-5
        assert np.sum(found.gradients[name] * direction) == pytest.approx(difference, rel=1e-6), name


def test_a_backend_with_arrays_of_its_own_trains_alike() -> None:
    pytest.importorskip("torch")
    tokens = np.random.default_rng(1).integers(0, 5, (7, 3))
    ours, theirs = (model(backend=backend) for backend in ("numpy", "torch"))
    for network in (ours, theirs):
        list(train(network, [tokens] * 3, Adam(0.1)))
    for name, weight in ours.weights.items():
        np.testing.assert_allclose(theirs.weights[name], weight, atol=1e-8, err_msg=name)


def test_knowing_nothing_costs_the_logarithm_of_the_vocabulary() -> None:
    network = CharacterModel(
        load_backend("numpy"), "gru", initialize("orthogonal", "gru", 3, 4), np.ones((7, 3)), "float32"
    )
    assert network.loss(np.zeros((3, 2), int)) == pytest.approx(np.log(7), rel=1e-6)


def test_it_learns_a_text_by_heart() -> None:
    network = model("gru", dtype="float32")
    text = np.tile([0, 1, 2, 3, 4], 40)
    steps = list(
        train(network, itertools.islice(batches(text, 10, 4), 60), Adam(0.05), Clipping("global_norm", 1.0))
    )
    assert [step.number for step in steps] == list(range(1, 61))
    assert steps[-1].loss < 0.05 < 1.0 < steps[0].loss
    assert network.parameters.weight_hh.dtype == np.float64


def test_an_explosion_is_named_with_its_step_and_leaves_the_weights() -> None:
    network = model("rnn_linear")
    tokens = np.zeros((4, 2), int)
    steps = train(network, [tokens, tokens], Adam(1e200))
    next(steps)
    before = dict(network.weights)
    with pytest.raises(TrainingDiverged, match="the loss is not finite at step 2"), np.errstate(all="ignore"):
        next(steps)
    assert all(network.weights[name] is array for name, array in before.items())


def test_no_character_is_learned_from_and_held_out() -> None:
    text = np.arange(1000)
    seen, unseen = split(text, at_least=20)
    assert (len(seen), len(unseen)) == (900, 100)
    assert np.concatenate([seen, unseen]).tolist() == text.tolist()
    assert len(split(text, at_least=300)[1]) == 300
    with pytest.raises(ValueError, match="at least 1200 characters"):
        split(text, at_least=600)


def test_targets_follow_their_inputs() -> None:
    first, again = (next(batches(np.arange(50), 6, 3, seed=s)) for s in (1, 1))
    assert first.shape == (7, 3)
    assert (np.diff(first, axis=0) == 1).all()
    np.testing.assert_array_equal(first, again)
    assert windows(np.arange(7), 7, 2, np.random.default_rng(0))[:, 0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="at least 8 characters, got 7"):
        windows(np.arange(7), 8, 1, np.random.default_rng(0))
