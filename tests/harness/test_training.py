"""Training: the model's gradient against differences, that it learns, and that it goes on where it stood."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.clipping import Clipping
from harness.errors import UserError
from harness.initializations import initialize
from harness.training.batches import next_character, split, text_batches, windows
from harness.training.checkpoint import Checkpoint
from harness.training.corpora import Corpus
from harness.training.fit import fit
from harness.training.loop import LastGood, TrainingDiverged, train
from harness.training.model import Batch, SequenceModel, _summed_by_token
from harness.training.objectives import cross_entropy, squared_error
from harness.training.optimizers import OPTIMIZERS, Optimizer
from implementations.registry import load_backend
from implementations.stack import bind_stack


def model(cell: str = "lstm", backend: str = "numpy", dtype: str = "float64") -> SequenceModel:
    rng = np.random.default_rng(0)
    layer = load_backend(backend).bind(cell, initialize("xavier_uniform", cell, 3, 4), dtype)
    return SequenceModel(layer, 5, cross_entropy, embedding=rng.standard_normal((5, 3)))


def characters(steps: int = 7, batch_size: int = 3) -> Batch:
    return next_character(np.random.default_rng(1).integers(0, 5, (steps, batch_size)))


def differences_agree(network: SequenceModel, batch: Batch) -> None:
    """Central differences along a random direction of each weight."""
    rng = np.random.default_rng(2)
    found = network.loss_and_gradients(batch)
    assert found.value == pytest.approx(network.loss(batch), rel=1e-12)
    start = dict(network.weights)
    for name, weight in start.items():
        direction = rng.standard_normal(weight.shape)
        ends = []
        for sign in (1, -1):
            network.update({**start, name: weight + sign * 1e-5 * direction})
            ends.append(network.loss(batch))
        difference = (ends[0] - ends[1]) / 2e-5
        assert np.sum(found.gradients[name] * direction) == pytest.approx(difference, rel=1e-6), name


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_every_gradient_is_the_losss(cell: str) -> None:
    differences_agree(model(cell), characters())


@pytest.mark.parametrize("read", [1, 3])
def test_only_the_last_steps_are_read(read: int) -> None:
    rng = np.random.default_rng(3)
    layer = load_backend("numpy").bind("gru", initialize("orthogonal", "gru", 2, 4), "float64")
    network = SequenceModel(layer, 2, squared_error)
    batch = Batch(rng.standard_normal((6, 3, 2)), rng.standard_normal((read, 3, 2)))
    differences_agree(network, batch)
    assert network.predictions(batch.inputs, read).shape == (read, 3, 2)


def test_rows_of_a_token_are_summed_wherever_it_stands() -> None:
    rng = np.random.default_rng(4)
    rows, tokens = rng.standard_normal((7, 3, 2)), rng.integers(0, 3, (7, 3))
    expected = np.zeros((5, 2))  # of five tokens, two never occur
    np.add.at(expected, tokens, rows)
    np.testing.assert_allclose(_summed_by_token(rows, tokens, 5), expected, atol=1e-14)
    assert _summed_by_token(rows.astype(np.float32), tokens, 5).dtype == np.float32


def test_a_stack_trains_as_a_layer_does() -> None:
    cell, widths = "lstm", [3, 3, 8, 8]
    layers = [initialize("xavier_uniform", cell, width, 4, seed=i) for i, width in enumerate(widths)]
    stack = bind_stack(load_backend("numpy"), cell, layers, "float64", bidirectional=True)
    differences_agree(SequenceModel(stack, 5, cross_entropy, embedding=np.eye(5)[:, :3]), characters())


def test_the_readout_starts_as_asked() -> None:
    layer = load_backend("numpy").bind("gru", initialize("orthogonal", "gru", 3, 4), "float32")
    flat = SequenceModel(layer, 7, cross_entropy, embedding=np.ones((7, 3)), readout="zero")
    assert flat.loss(next_character(np.zeros((3, 2), int))) == pytest.approx(np.log(7), rel=1e-6)
    uniform = SequenceModel(layer, 7, cross_entropy, embedding=np.ones((7, 3)))
    assert 0.3 < np.abs(uniform.weights["readout_weight"]).max() <= 0.5
    with pytest.raises(ValueError, match="readout must be"):
        SequenceModel(layer, 7, cross_entropy, readout="zeros")
    with pytest.raises(ValueError, match=r"embedding must be \(V, 3\)"):
        SequenceModel(layer, 7, cross_entropy, embedding=np.ones((7, 2)))


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_every_backend_trains_alike(backend: str) -> None:
    ours, theirs = (model(backend=name) for name in ("numpy", backend))
    for network in (ours, theirs):
        list(train(network, lambda step: characters(), Optimizer("adam", network.weights, 0.1), 3))
    for name, weight in ours.weights.items():
        np.testing.assert_allclose(theirs.weights[name], weight, atol=1e-8, err_msg=name)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_optimiser_is_torchs(kind: str) -> None:
    import torch

    rng = np.random.default_rng(0)
    weights = {"a": rng.standard_normal((3, 2)), "b": rng.standard_normal(4)}
    tensors = {name: torch.tensor(array) for name, array in weights.items()}
    theirs = {
        "adam": lambda t: torch.optim.Adam(t, lr=0.03, betas=(0.8, 0.999)),
        "sgd": lambda t: torch.optim.SGD(t, lr=0.03, momentum=0.8),
    }[kind](list(tensors.values()))
    ours = Optimizer(kind, weights, 0.03, momentum=0.8)
    for _ in range(5):
        gradients = {name: rng.standard_normal(array.shape) for name, array in weights.items()}
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        theirs.step()
        ours.step(gradients)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(weights[name], tensor.numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("adam", {"learning_rate": 0.0}, "learning_rate must be > 0"),
        ("adam", {"learning_rate": 1.0, "momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ("adma", {"learning_rate": 1.0}, "did you mean 'adam'"),
    ],
)
def test_an_optimiser_refuses_what_makes_no_sense(
    kind: str, options: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Optimizer(kind, {"a": np.ones(1)}, **options)
    with pytest.raises(ValueError, match="gradients must be of a, got b"):
        Optimizer("sgd", {"a": np.ones(1)}, 0.1).step({"b": np.ones(1)})


def test_it_learns_a_text_by_heart() -> None:
    network = model("gru", dtype="float32")
    text = np.tile([0, 1, 2, 3, 4], 40)
    rule = Clipping("global_norm", 1.0)
    optimizer = Optimizer("adam", network.weights, 0.05)
    steps = list(train(network, text_batches(text, 10, 4), optimizer, 60, clipping=rule))
    assert [step.number for step in steps] == list(range(1, 61))
    assert steps[-1].loss < 0.05 < 1.0 < steps[0].loss
    assert all(step.clipped_norm <= min(1.0, step.gradient_norm) + 1e-6 for step in steps)
    assert network.parameters.weight_hh.dtype == np.float64


def copied(network: SequenceModel) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in network.weights.items()}


def test_an_explosion_is_named_with_its_step_and_the_last_good_state_is_back() -> None:
    """The loss is NaN with the weights of step 1, so that those before it are the last good ones."""
    network = model("rnn_linear")
    optimizer = Optimizer("adam", network.weights, 1e200)
    before = copied(network)
    steps = train(network, lambda step: characters(), optimizer, 9)
    next(steps)
    with pytest.raises(TrainingDiverged, match="the loss is not finite at step 2") as found:
        next(steps)
    assert (found.value.step, found.value.last_good) == (2, 0)
    assert optimizer.state() == {}
    for name, array in before.items():
        np.testing.assert_array_equal(network.weights[name], array, err_msg=name)
        np.testing.assert_array_equal(
            network.layer.backend.to_numpy(network.layer.parameters.get(name, array)), array, err_msg=name
        )


def test_what_comes_back_is_the_whole_of_the_last_good_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and what the optimiser remembers: from there, another training goes on as it would have."""
    network, twin = (model(dtype="float32") for _ in range(2))
    optimizer, theirs = (Optimizer("adam", each.weights, 0.05) for each in (network, twin))
    list(train(twin, lambda step: characters(), theirs, 3))
    calm = SequenceModel.loss_and_gradients

    def stormy(self: SequenceModel, batch: Batch) -> Any:
        found = calm(self, batch)
        return replace(found, value=np.nan) if batch.inputs.shape[1] == 1 else found

    monkeypatch.setattr(SequenceModel, "loss_and_gradients", stormy)
    with pytest.raises(TrainingDiverged) as found:
        list(train(network, lambda step: characters(batch_size=1 if step == 5 else 3), optimizer, 9))
    assert (found.value.step, found.value.last_good) == (5, 3)
    for name, array in twin.weights.items():
        np.testing.assert_array_equal(network.weights[name], array, err_msg=name)
    for each, its in ((network, optimizer), (twin, theirs)):
        list(train(each, lambda step: characters(), its, 6, done=3))
    for name, array in twin.weights.items():
        np.testing.assert_array_equal(network.weights[name], array, err_msg=name)


def test_a_state_that_is_half_kept_does_not_take_the_place_of_the_one_before() -> None:
    """Ctrl-C while it is copied."""
    network = model(dtype="float32")
    optimizer = Optimizer("adam", network.weights, 0.05)
    good = LastGood(network, optimizer)
    good.keep(3)
    before = copied(network)
    network.weights["weight_hh"][...] = 7.0

    def interrupted() -> dict[str, np.ndarray]:
        raise KeyboardInterrupt

    optimizer.state = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        good.keep(4)
    assert good.restore() == 3
    for name, array in before.items():
        np.testing.assert_array_equal(network.weights[name], array, err_msg=name)


def test_weights_that_an_update_made_infinite_are_a_divergence_of_that_step() -> None:
    network = model("rnn_relu", dtype="float32")
    before = copied(network)
    with pytest.raises(TrainingDiverged, match="a weight is not finite at step 1") as found:
        list(train(network, lambda step: characters(), Optimizer("sgd", network.weights, 1e42), 9))
    assert (found.value.step, found.value.last_good) == (1, 0)
    for name, array in before.items():
        np.testing.assert_array_equal(network.weights[name], array, err_msg=name)


def test_the_state_after_the_last_step_is_looked_at_too() -> None:
    network = model("rnn_linear")
    with pytest.raises(TrainingDiverged, match="the loss is not finite at step 2") as found:
        list(train(network, lambda step: characters(), Optimizer("adam", network.weights, 1e200), 1))
    assert (found.value.step, found.value.last_good) == (2, 0)


def test_entries_that_are_not_finite_are_counted_where_a_training_ends_by_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = model()
    calm = SequenceModel.loss_and_gradients

    def stormy(self: SequenceModel, batch: Batch) -> Any:
        found = calm(self, batch)
        found.gradients["bias_hh"][[2, 5]] = np.inf, np.nan
        return found

    monkeypatch.setattr(SequenceModel, "loss_and_gradients", stormy)
    with pytest.raises(TrainingDiverged, match="a gradient is not finite at step 1") as found:
        list(train(network, lambda step: characters(), Optimizer("sgd", network.weights, 0.1), 2))
    assert found.value.non_finite == 2


def test_a_training_that_never_had_a_finite_loss_has_no_good_state() -> None:
    network = model("rnn_linear")
    network.weights["embedding"][...] = np.inf
    with pytest.raises(TrainingDiverged, match="step 1") as found:
        list(train(network, lambda step: characters(), Optimizer("sgd", network.weights, 1e-3), 9))
    assert found.value.last_good is None


def test_clipping_on_the_way_back_is_no_business_of_the_loop() -> None:
    network = model()
    rule = Clipping("value", 1.0, place="state")
    with pytest.raises(ValueError, match="clips at place 'parameters'"):
        next(train(network, lambda _: characters(), Optimizer("sgd", network.weights, 0.1), 1, clipping=rule))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_training_goes_on_exactly_where_it_stood(kind: str, tmp_path: Path) -> None:
    text = np.random.default_rng(0).integers(0, 5, 200)

    def begin() -> tuple[SequenceModel, Optimizer]:
        network = model(dtype="float32")
        return network, Optimizer(kind, network.weights, 0.05, momentum=0.5)

    whole, optimizer = begin()
    list(train(whole, text_batches(text, 6, 4), optimizer, 8))
    half, optimizer = begin()
    list(train(half, text_batches(text, 6, 4), optimizer, 5))
    Checkpoint(5, half.weights, optimizer.state(), {"kind": kind}).save(tmp_path / "training.safetensors")
    found = Checkpoint.load(tmp_path / "training.safetensors")
    rest, optimizer = begin()
    for name, array in rest.weights.items():
        array[...] = found.weights[name]
    rest.update(rest.weights)
    optimizer.load_state(found.optimizer)
    steps = list(train(rest, text_batches(text, 6, 4), optimizer, 8, done=found.step))
    assert [step.number for step in steps] == [6, 7, 8]
    assert found.settings == {"kind": kind}
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(rest.weights[name], array, err_msg=name)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    file = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        Checkpoint.load(file)
    file.write_bytes(b"\0" * 100)
    with pytest.raises(UserError, match="cannot read the checkpoint"):
        Checkpoint.load(file)
    save_file({"a": np.ones(2)}, file)
    with pytest.raises(UserError, match="not a checkpoint of a training"):
        Checkpoint.load(file)


def test_no_character_is_learned_from_and_held_out() -> None:
    text = Corpus("here", "", np.arange(1000))
    seen, unseen = split(text, at_least=20)
    assert (len(seen), len(unseen)) == (900, 100)
    assert np.concatenate([seen, unseen]).tolist() == text.tokens.tolist()
    assert len(split(text, at_least=300)[1]) == 300
    with pytest.raises(ValueError, match="at least 1200 characters"):
        split(text, at_least=600)


def test_files_are_held_out_whole() -> None:
    assert len(split(Corpus("here", "", np.arange(1000), (0, 300, 850, 950)))[1]) == 150
    assert len(split(Corpus("here", "", np.arange(1000), (0, 100)))[1]) == 100


def test_targets_follow_their_inputs() -> None:
    first, again = (text_batches(np.arange(50), 6, 3, seed=1)(4) for _ in range(2))
    assert first.inputs.shape == first.targets.shape == (6, 3)
    assert (first.targets - first.inputs == 1).all()
    np.testing.assert_array_equal(first.inputs, again.inputs)
    other = text_batches(np.arange(50), 6, 3, seed=1)(5)
    assert (first.inputs != other.inputs).any()
    assert windows(np.arange(7), 7, 2, np.random.default_rng(0))[:, 0].tolist() == list(range(7))
    with pytest.raises(ValueError, match="at least 8 characters, got 7"):
        windows(np.arange(7), 8, 1, np.random.default_rng(0))


def test_a_fit_that_was_killed_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    text = np.random.default_rng(0).integers(0, 5, 200)
    settings = {"seed": 1}

    def run(file: Path, steps: int, stop_after: int | None = None) -> SequenceModel:
        network = model(dtype="float32")
        optimizer = Optimizer("adam", network.weights, 0.05)
        going = fit(
            network, text_batches(text, 6, 4), optimizer, steps, checkpoint=file, every=2, settings=settings
        )
        for step in going:
            if step.number == stop_after:
                break
        return network

    whole = run(tmp_path / "whole", 9)
    run(tmp_path / "killed", 9, stop_after=5)
    assert Checkpoint.load(tmp_path / "killed").step == 4
    resumed = run(tmp_path / "killed", 9)
    for name, array in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], array, err_msg=name)
    settings["seed"] = 2
    with pytest.raises(UserError, match=r"of another training; .* got a difference in seed"):
        run(tmp_path / "killed", 9)


@pytest.mark.parametrize(("rate", "every"), [(1e38, 1), (1e5, 1), (1e5, 3), (30.0, 2)])
def test_a_fit_that_diverges_leaves_the_last_good_state(tmp_path: Path, rate: float, every: int) -> None:
    """One that loss and gradients are finite with, not merely the last before the error."""
    network = model("rnn_relu", dtype="float32")
    optimizer = Optimizer("sgd", network.weights, rate)
    file = tmp_path / "x"

    def run() -> None:
        for _ in fit(network, lambda step: characters(), optimizer, 200, checkpoint=file, every=every):
            if file.exists():
                kept = Checkpoint.load(file).weights
                assert all(np.isfinite(array).all() for array in kept.values())

    with pytest.raises(TrainingDiverged) as found:
        run()
    left = Checkpoint.load(file)
    assert left.step == found.value.last_good < found.value.step
    network.update({name: array.copy() for name, array in left.weights.items()})
    again = network.loss_and_gradients(characters())
    assert np.isfinite(again.value)
    assert all(np.isfinite(array).all() for array in again.gradients.values())


def test_a_state_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights/a is not finite"):
        Checkpoint(1, {"a": np.array([np.inf])}, {}, {}).save(tmp_path / "x")
    assert not list(tmp_path.iterdir())
