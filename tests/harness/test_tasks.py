"""Tasks: their definitions held against the papers' figures, and that a network can learn one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from harness.initializations import initialize
from harness.training.evaluate import batch_of, score
from harness.training.loop import train
from harness.training.model import SequenceModel
from harness.training.optimizers import Optimizer
from harness.training.tasks import TASKS
from harness.training.tasks.task import Score
from implementations.registry import load_backend

T = 40


def long_enough(name: str) -> int:
    return max(T, TASKS[name].shortest)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("name", TASKS)
def test_a_task_keeps_its_shape(name: str, rng: np.random.Generator) -> None:
    task = TASKS[name]
    length = long_enough(name)
    batch = task.batch(rng, length, 7)
    assert batch.inputs.shape[1:] == (7, task.input_size)
    assert length <= batch.inputs.shape[0] <= length + 20
    assert len(batch.targets) <= len(batch.inputs)
    predictions = rng.standard_normal((*batch.targets.shape[:2], task.output_size))
    value, gradient = task.objective(predictions, batch.targets)
    assert np.isfinite(value)
    assert gradient.shape == predictions.shape
    with pytest.raises(ValueError, match=rf"task {name}: seq_len must be at least {task.shortest}"):
        task.batch(rng, task.shortest - 1, 1)


@pytest.mark.parametrize("name", TASKS)
def test_the_baseline_is_what_the_best_blind_answer_costs(name: str, rng: np.random.Generator) -> None:
    task = TASKS[name]
    length = long_enough(name)
    batch = task.batch(rng, length, 20_000)
    if np.issubdtype(batch.targets.dtype, np.floating):
        answer = np.broadcast_to(batch.targets.mean(), batch.targets.shape)
    else:  # of each step, the shares of its classes
        shares = np.eye(task.output_size)[batch.targets].mean(axis=1, keepdims=True)
        answer = np.broadcast_to(np.log(shares + 1e-12), (*batch.targets.shape, task.output_size))
    value, _ = task.objective(answer, batch.targets)
    assert value == pytest.approx(task.baseline(length), rel=0.03)
    assert not task.solved(Score(task.baseline(length), float(np.mean(task.wrong(answer, batch.targets)))))
    assert task.solved(Score(0.0, 0.0))


@pytest.mark.parametrize("name", TASKS)
def test_a_right_answer_is_not_wrong(name: str, rng: np.random.Generator) -> None:
    task = TASKS[name]
    targets = task.batch(rng, long_enough(name), 5).targets
    right = targets if targets.ndim == 3 else np.eye(task.output_size)[targets]
    assert not task.wrong(right, targets).any()


@pytest.mark.parametrize(("name", "of_two"), [("adding", np.add), ("multiplication", np.multiply)])
def test_the_marked_two_are_the_answer(name: str, of_two: np.ufunc, rng: np.random.Generator) -> None:
    batch = TASKS[name].batch(rng, T, 50)
    for sample in range(50):
        marked = batch.inputs[batch.inputs[:, sample, 1] == 1, sample, 0]
        assert len(marked) == 2
        assert of_two(*marked) == pytest.approx(batch.targets[0, sample, 0])


def places_of(marked: np.ndarray) -> np.ndarray:
    """(T, B) booleans with two marks each -> (2, B) steps, ascending."""
    return np.array([np.flatnonzero(column) for column in marked.T]).T


def test_marks_stand_where_the_papers_put_them(rng: np.random.Generator) -> None:
    first, second = places_of(TASKS["adding"].batch(rng, T, 2000).inputs[:, :, 1] == 1)
    assert (first.min(), first.max()) == (0, T // 2 - 1)
    assert (second.min(), second.max()) == (T // 2, T - 1)
    for name in ("adding_mean", "multiplication"):
        first, second = places_of(TASKS[name].batch(rng, T, 2000).inputs[:, :, 1] == 1)
        assert (first.min(), first.max()) == (0, T // 10 - 1)
        assert (second.min(), second.max()) == (T // 10, T // 2 - 1)
        lengths = {len(TASKS[name].batch(rng, T, 1).inputs) for _ in range(200)}
        assert lengths == set(range(T, T + T // 10 + 1))
    words = TASKS["temporal_order"].batch(rng, T, 2000).inputs.argmax(axis=2)
    first, second = places_of(words < 2)
    assert (first.min(), first.max()) == (T // 10, 2 * T // 10 - 1)
    assert (second.min(), second.max()) == (4 * T // 10, 5 * T // 10 - 1)


def test_the_mean_of_the_marked_two(rng: np.random.Generator) -> None:
    batch = TASKS["adding_mean"].batch(rng, T, 20)
    values = np.where(batch.inputs[:, :, 1] == 1, batch.inputs[:, :, 0], 0.0)
    np.testing.assert_allclose(batch.targets[0, :, 0], values.sum(axis=0) / 2)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        *((name, 0.01) for name in ("adding_mean", "multiplication", "copy_memory", "temporal_order")),
        *((name, 0.1) for name in ("digit_rows", "digit_pixels")),
    ],
)
def test_solved_is_a_share_of_wrong_answers(name: str, most: float) -> None:
    assert TASKS[name].solved(Score(9.0, 0.99 * most))
    assert not TASKS[name].solved(Score(0.0, most))


def test_adding_is_solved_by_its_squared_error() -> None:
    assert TASKS["adding"].solved(Score(0.0099, 1.0))
    assert not TASKS["adding"].solved(Score(0.01, 0.0))


def test_a_number_may_be_off_by_a_little() -> None:
    off = np.array([[[0.039], [-0.039], [0.041], [-0.041]]])
    assert TASKS["multiplication"].wrong(1.0 + off, np.ones_like(off)).ravel().tolist() == [0, 0, 1, 1]


def test_of_a_copy_the_ten_symbols_count(rng: np.random.Generator) -> None:
    task = TASKS["copy_memory"]
    targets = task.batch(rng, T, 4).targets
    said = np.eye(9)[targets]
    said[:-10] = np.eye(9)[0]  # all before them wrong
    assert not task.wrong(said, targets).any()
    said[-3, 2] = -said[-3, 2]
    assert task.wrong(said, targets).mean() == 1 / 40


def test_copying_says_the_ten_again(rng: np.random.Generator) -> None:
    words = TASKS["copy_memory"].batch(rng, T, 6)
    said = words.inputs.argmax(axis=2)
    np.testing.assert_array_equal(said[:10], words.targets[-10:])
    assert (said[10 + T - 1] == 9).all()
    assert (words.targets[:-10] == 8).all()
    assert len(said) == T + 20


def test_order_is_told_by_the_two_that_count(rng: np.random.Generator) -> None:
    batch = TASKS["temporal_order"].batch(rng, T, 200)
    said = batch.inputs.argmax(axis=2)
    for sample in range(200):
        first, second = said[said[:, sample] < 2, sample]
        assert batch.targets[0, sample] == 2 * first + second
    assert len(np.unique(batch.targets)) == 4


@pytest.mark.parametrize("name", ["digit_rows", "digit_pixels"])
def test_a_digit_is_read_in_order_and_then_noise(name: str) -> None:
    digits = load_digits()
    task = TASKS[name]
    steps = 64 // task.input_size
    seen = []
    for batch in task.held_out(steps + 5, sequences=2000, batch_size=250, seed=0):
        assert batch.inputs.shape[0] == steps + 5
        seen.append((batch.inputs[:steps].swapaxes(0, 1).reshape(-1, 8, 8), batch.targets[0]))
        noise = batch.inputs[steps:]
        assert abs(noise.mean()) < 0.2
        assert 0.8 < noise.std() < 1.2
    images, classes = map(np.concatenate, zip(*seen, strict=True))
    np.testing.assert_array_equal(images, digits.images[898:] / 16)
    np.testing.assert_array_equal(classes, digits.target[898:])


@pytest.mark.parametrize("name", ["digit_rows", "digit_pixels"])
def test_no_digit_is_learned_from_and_held_out(name: str, rng: np.random.Generator) -> None:
    task = TASKS[name]
    steps = 64 // task.input_size
    batch = task.batch(rng, steps + 3, 20_000)
    learned = {image.tobytes() for image in batch.inputs[:steps].swapaxes(0, 1)}
    assert 850 < len(learned) <= 898
    parts = list(task.held_out(steps, sequences=300, batch_size=200, seed=1))
    assert [part.inputs.shape[1] for part in parts] == [200, 100]
    held_out = {image.tobytes() for part in parts for image in part.inputs.swapaxes(0, 1)}
    assert len(held_out) == 300
    assert not learned & held_out
    for image, label in zip(batch.inputs[:steps].swapaxes(0, 1)[:20], batch.targets[0], strict=False):
        found = (load_digits().images.reshape(-1, steps, task.input_size) / 16 == image).all(axis=(1, 2))
        assert load_digits().target[found.argmax()] == label


def test_scores_are_of_sequences_never_learned_from() -> None:
    task = TASKS["adding"]
    learned = {batch_of(task, step, T, 4).inputs[0, 0, 0] for step in range(1, 50)}
    assert len(learned) == 49
    layer = load_backend("numpy").bind("gru", initialize("orthogonal", "gru", 2, 4), "float32")
    model = SequenceModel(layer, 1, task.objective)
    assert score(model, task, T, sequences=30, batch_size=20) == score(
        model, task, T, sequences=30, batch_size=20
    )


def test_a_score_is_over_all_sequences_and_no_two_batches_are_alike() -> None:
    task = TASKS["adding"]
    parts = list(task.held_out(T, sequences=30, batch_size=20, seed=1))
    assert [part.inputs.shape[1] for part in parts] == [20, 10]
    assert not np.isin(parts[1].inputs[0, :, 0], parts[0].inputs[0, :, 0]).any()
    layer = load_backend("numpy").bind("gru", initialize("orthogonal", "gru", 2, 4), "float64")
    model = SequenceModel(layer, 1, task.objective)
    answers = np.concatenate([model.predictions(part.inputs, 1) for part in parts], axis=1)
    off = answers - np.concatenate([part.targets for part in parts], axis=1)
    found = score(model, task, T, sequences=30, batch_size=20, seed=1)
    assert found.loss == pytest.approx(np.mean(off**2))
    assert found.error_rate == pytest.approx(np.mean(np.abs(off) > 0.04))


def test_a_network_learns_to_add() -> None:
    task = TASKS["adding"]
    layer = load_backend("numba").bind("gru", initialize("orthogonal", "gru", 2, 24), "float32")
    model = SequenceModel(layer, task.output_size, task.objective)
    optimizer = Optimizer("adam", model.weights, 0.01)
    list(train(model, lambda step: batch_of(task, step, 8, 64), optimizer, 400))
    assert task.solved(score(model, task, 8))
