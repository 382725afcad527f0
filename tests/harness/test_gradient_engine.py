"""What makes the decay fast, held against what makes it simple: full products and full decompositions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from harness.gradients import jacobian_decay, kernels
from harness.gradients.carried import Carried
from harness.gradients.factors import Factors
from harness.gradients.largest import LargestSingularValue
from harness.gradients.namespace import space_for
from harness.gradients.onestep import one_step
from harness.gradients.products import RowProduct
from harness.gradients.trajectory import run_forward
from harness.gradients.walk import Rows, Walk
from harness.initializations import initialize
from implementations.contract import Cell, Parameters, StepGradients
from implementations.registry import CELLS

SPACES = ["cpu", "torch"]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make small tensors slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(
    cell: str, seq_len: int, hidden_size: int, batch_size: int = 1, scheme: str = "pytorch_uniform"
) -> tuple[Parameters, Any]:
    parameters = initialize(scheme, cell, 3, hidden_size, seed=1)
    return parameters, np.random.default_rng(8).standard_normal((seq_len, batch_size, 3))


def reference(cell: str, parameters: Parameters, inputs: Any, later: str, earlier: str) -> Any:
    """log10 of both norms at every lag, (2, T+1, B), by products of whole Jacobians and one SVD each."""
    trajectory = run_forward(cell, parameters, inputs)
    names, size = trajectory.cell.state_names, trajectory.hidden_size
    rows, columns = (slice(names.index(n) * size, (names.index(n) + 1) * size) for n in (later, earlier))
    product = np.stack([np.eye(trajectory.state_size)] * trajectory.batch_size)
    found = []
    for lag in range(len(inputs) + 1):
        if lag > 0:
            product = product @ trajectory.jacobian(len(inputs) - lag + 1)
        block = product[:, rows, columns]
        found.append([np.linalg.norm(block, 2, axis=(1, 2)), np.linalg.norm(block, axis=(1, 2))])
    with np.errstate(divide="ignore"):
        return np.log10(found).swapaxes(0, 1)


class Chosen(Cell):
    """A cell whose Jacobians are given: that of step t is matrices[int(x_t)]."""

    name, gates = "chosen", ("h",)

    def __init__(self, matrices: list[Any]) -> None:
        self.matrices = matrices

    def step(self, parameters: Parameters, x: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
        return state

    def step_backward(self, *_: Any) -> StepGradients:
        raise NotImplementedError

    def step_jacobian(self, parameters: Parameters, x: Any, state: tuple[Any, ...]) -> Any:
        return np.stack([self.matrices[int(value)] for value in x[:, 0]])

    def decay(self, **options: Any) -> Any:
        """Of all its matrices in this order, the last one newest."""
        size = len(self.matrices[0])
        parameters = Parameters(np.zeros((size, 1)), np.zeros((size, size)), np.zeros(size), np.zeros(size))
        return jacobian_decay(self, parameters, np.arange(len(self.matrices))[:, None, None] * 1.0, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("device", SPACES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_structured_step_is_the_cells_own(cell: str, device: str) -> None:
    parameters, inputs = draw(cell, 5, 4, batch_size=3)
    trajectory = run_forward(cell, parameters, inputs)
    space = space_for(device, "float64")
    step = one_step(CELLS[cell], parameters, space)
    before = tuple(space.put(state[:-1]) for state in trajectory.states)
    factors = step.factors(space.put(inputs), before)
    products = step.input_products(space.put(inputs))
    rng = np.random.default_rng(0)
    rows = [rng.standard_normal((3, 2, 4)) for _ in before]
    for i in range(5):
        jacobian = trajectory.jacobian(i + 1)
        np.testing.assert_allclose(space.get(step.dense(factors, i)), jacobian, atol=1e-14)
        got = step.apply([space.put(block) for block in rows], factors, i)
        expected = np.concatenate(rows, -1) @ jacobian
        np.testing.assert_allclose(np.concatenate([space.get(b) for b in got], -1), expected, atol=1e-13)
        after = step.advance(products[i], tuple(state[i] for state in before))
        stepped = CELLS[cell].step(parameters, inputs[i], trajectory.state(i))
        for a, b in zip(after, stepped, strict=True):
            np.testing.assert_allclose(space.get(a), b, atol=1e-14)


@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
@pytest.mark.parametrize("scheme", ["pytorch_uniform", "orthogonal"])
def test_norms_at_every_lag_while_rows_are_left_out(cell: str, scheme: str) -> None:
    parameters, inputs = draw(cell, 160, 48, batch_size=2, scheme=scheme)
    trajectory = run_forward(cell, parameters, inputs)
    carried = Carried(Walk(trajectory), 0, ((0,),))
    carried.past((160,))
    assert carried.parts((0,))[0].shape[-2] < 40
    blocks = ("hh", "cc") if cell == "lstm" else ("hh",)
    decay = jacobian_decay(cell, parameters, inputs, blocks=blocks)
    for block in blocks:
        expected = reference(cell, parameters, inputs, *block)
        np.testing.assert_allclose(decay.log10_spectral_norm[block], expected[0], atol=1e-10)
        np.testing.assert_allclose(decay.log10_frobenius_norm[block], expected[1], atol=1e-10)


def test_rows_left_out_are_taken_back_when_the_others_die() -> None:
    """Half the directions grow and half shrink for 60 steps, until the growing ones are wiped out."""
    sizes = np.r_[np.full(20, 1.2), np.full(20, 0.5)]
    growing = np.diag(sizes)
    wipe = np.diag(np.r_[np.zeros(20), np.ones(20)])
    matrices = [growing] * 5 + [wipe] + [growing] * 60
    decay = Chosen(matrices).decay()
    n = np.minimum(decay.lags, 60) + np.maximum(decay.lags - 61, 0)
    expected = np.where(decay.lags <= 60, n * np.log10(1.2), n * np.log10(0.5))
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], expected, atol=1e-10)
    count = np.where(decay.lags <= 60, 20 * (1 + (0.5 / 1.2) ** (2.0 * n)), 20)
    np.testing.assert_allclose(
        decay.log10_frobenius_norm["hh"][:, 0], expected + 0.5 * np.log10(count), atol=1e-10
    )


def test_without_the_probes_the_loss_would_not_be_seen() -> None:
    """The rows kept alone say −inf there: what the test above is for."""
    sizes = np.r_[np.full(20, 1.2), np.full(20, 0.5)]
    wipe = np.diag(np.r_[np.zeros(20), np.ones(20)])
    cell = Chosen([wipe] + [np.diag(sizes)] * 60)
    parameters = Parameters(np.zeros((40, 1)), np.zeros((40, 40)), np.zeros(40), np.zeros(40))
    trajectory = run_forward(cell, parameters, np.arange(61)[:, None, None] * 1.0)
    carried = Carried(Walk(trajectory), 0, ((0,),))
    carried.past((60,))
    kept = carried.parts((0,))[0]
    assert kept.shape[-2] < 25
    np.testing.assert_allclose(kept @ wipe, 0.0, atol=1e-6 * np.abs(kept).max())


def test_a_rotating_product_against_the_walk_with_all_rows() -> None:
    rng = np.random.default_rng(3)
    size = 32
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    matrices = [
        basis @ np.diag(rng.permutation(np.geomspace(0.2, 2.0, size))) @ rng.permutation(basis).T
        for _ in range(120)
    ]
    decay = Chosen(matrices).decay()
    product = np.eye(size)
    for lag in range(1, 121):
        product = product @ matrices[120 - lag]
        assert decay.log10_spectral_norm["hh"][lag, 0] == pytest.approx(
            np.log10(np.linalg.norm(product, 2)), abs=1e-10
        )


@pytest.mark.parametrize("device", SPACES)
@pytest.mark.parametrize("factor", [1e-30, 1e30, 1e-290, 1e150])
def test_steps_at_the_ends_of_the_range_are_taken_with_exponents(device: str, factor: float) -> None:
    weight = factor * np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0]
    parameters = Parameters(np.zeros((6, 1)), weight, np.zeros(6), np.zeros(6))
    decay = jacobian_decay("rnn_linear", parameters, np.zeros((70, 1, 1)), device=device)
    np.testing.assert_allclose(
        decay.log10_spectral_norm["hh"][:, 0], decay.lags * np.log10(factor), rtol=1e-13, atol=1e-13
    )


def test_blocks_that_part_by_more_than_the_range_keep_their_exponents() -> None:
    """The output gate alone feeds h back, weakly: hh falls by 1e-8 and more a step against hc."""
    parameters = initialize("pytorch_uniform", "lstm", 2, 3, seed=0)
    weight = np.zeros_like(parameters.weight_hh)
    CELLS["lstm"].gate(weight, "o")[:] = 1e-8 * np.eye(3)
    bias = np.zeros(12)
    CELLS["lstm"].gate(bias, "f")[:] = 4.0
    CELLS["lstm"].gate(bias, "g")[:] = 0.5
    parameters = Parameters(np.zeros((12, 2)), weight, bias, np.zeros(12))
    trajectory = run_forward("lstm", parameters, np.zeros((300, 1, 2)))
    rows = Walk(trajectory).past(Rows.identity(trajectory.space, ("h", "c"), "h", 1, 3), (), 300)[1]
    assert isinstance(rows, RowProduct)
    decay = jacobian_decay("lstm", parameters, np.zeros((300, 1, 2)), blocks=("hh", "hc"))
    own = [float(trajectory.jacobian(t)[0, 0, 0]) for t in range(300, 0, -1)]
    np.testing.assert_allclose(
        decay.log10_spectral_norm["hh"][:, 0], np.r_[0.0, np.cumsum(np.log10(own))], rtol=1e-11, atol=1e-12
    )
    assert decay.log10_spectral_norm["hh"][-1, 0] < -2000 < decay.log10_spectral_norm["hc"][-1, 0]


@pytest.fixture(scope="module")
def kernel() -> Any:
    """Of the norms, compiled."""
    return compiled()["lanczos"]


@cache
def compiled() -> dict[str, Any]:
    kernels.load_kernels()
    return dict(kernels.KERNELS.loaded)


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Kernels for networks of every size; called, it has decays computed as where none is on disk."""
    monkeypatch.setattr(kernels, "SMALLEST", 1)
    own = kernels.KERNELS
    before = compiled()

    def hide() -> None:
        own.loaded.clear()
        own._looked, own._matrices = True, -(1 << 40)

    yield hide
    own.loaded.update(before)


@pytest.mark.parametrize(("batch_size", "hidden_size"), [(3, 5), (1, 16), (2, 53)])
@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu", "rnn_linear", "lstm"])
def test_kernels_and_array_calls_find_the_same(
    cell: str, batch_size: int, hidden_size: int, without_kernels: Callable[[], None]
) -> None:
    """Rows in every number modulo that of a register tile, columns beyond whole panels; the forward pass."""
    parameters, inputs = draw(cell, 70, hidden_size, batch_size, "orthogonal")
    blocks = ("hh", "hc", "ch", "cc", "ss") if cell == "lstm" else ("hh",)

    def found() -> tuple[Any, Any]:
        return jacobian_decay(cell, parameters, inputs, blocks=blocks), run_forward(cell, parameters, inputs)

    compiled()
    by_kernels, states = found()
    without_kernels()
    by_arrays, expected = found()
    for block in blocks:
        for name in ("log10_spectral_norm", "log10_frobenius_norm"):
            got, want = (getattr(decay, name)[block] for decay in (by_kernels, by_arrays))
            np.testing.assert_allclose(got, want, atol=5e-11)
    for a, b in zip(states.states, expected.states, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


@pytest.mark.parametrize("rows", range(1, 18))
def test_a_stretch_by_kernel_is_its_steps_one_by_one(rows: int, without_kernels: Callable[[], None]) -> None:
    """Places used again and again, slopes of several chunks, and the squared norms beside them."""
    parameters, inputs = draw("lstm", 12, 20, batch_size=2)
    start = [np.random.default_rng(i).standard_normal((2, rows, 20)) for i in range(2)]
    places = [0, 3, 4, 1, 4, 3, 2]
    memories, squares = [], []
    for hide in (compiled, without_kernels):
        hide()
        memories.append([np.zeros((5, 2, rows, 20)) for _ in start])
        factors = Factors(run_forward("lstm", parameters, inputs))
        factors._slopes._chunks._length = 3
        squares.append(factors.stretch(start, 11, places, memories[-1]))
    np.testing.assert_allclose(*memories, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(squares[0], (np.array(memories[1]) ** 2).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(*squares, rtol=1e-12)


class TestLargestSingularValue:
    @pytest.fixture(params=["arrays", "kernel"])
    def largest(self, request: Any, kernel: Any) -> Callable[[int], LargestSingularValue]:
        """Of so many samples."""
        chosen = kernel if request.param == "kernel" else None
        return lambda samples: LargestSingularValue(space_for("cpu", "float64"), samples, chosen)

    def check(self, largest: LargestSingularValue, matrices: Any) -> None:
        matrices = np.asarray(matrices)
        samples = largest._samples
        got, squares = largest(matrices.reshape(-1, samples, *matrices.shape[1:]))
        expected = np.linalg.norm(matrices, 2, axis=(1, 2)) ** 2
        np.testing.assert_allclose(got, expected, rtol=1e-10)
        np.testing.assert_allclose(squares, (matrices**2).sum((1, 2)), rtol=1e-13)

    @pytest.mark.parametrize("scale", [1.0, 1e-25, 1e-100, 1e100])
    def test_of_matrices_of_every_kind(self, largest: Any, scale: float) -> None:
        rng = np.random.default_rng(0)
        q, r = (np.linalg.qr(rng.standard_normal((60, 60)))[0] for _ in range(2))
        cluster = np.r_[1.0, 1.0 - 1e-9, 1.0 - 1e-5, np.linspace(0.9, 0.1, 57)]
        kinds = [rng.standard_normal((60, 60)), q, np.zeros((60, 60)), np.eye(60), q @ np.diag(cluster) @ r]
        kinds += [q @ np.diag(0.5 ** np.arange(60.0)) @ r, np.outer(q[0], r[0]), 1e-9 * q]
        kinds = [scale * kind for kind in kinds]
        for kind in kinds:
            self.check(largest(1), kind[None])
            self.check(largest(1), kind[None, :7])
            self.check(largest(1), kind[None, :1])
        self.check(largest(1), kinds)

    def test_a_direction_that_the_last_one_knows_nothing_of_is_not_overlooked(self, largest: Any) -> None:
        """u is an eigenvector of every G; another one overtakes it, orthogonal to it."""
        one = largest(1)
        for second in (0.1, 0.5, 0.99, 1.01, 1.5, 3.0):
            self.check(one, np.diag(np.r_[1.0, second, np.full(40, 1e-3)])[None])

    def test_a_direction_of_a_stretch_is_not_overlooked(self, largest: Any) -> None:
        one, rest = largest(1), np.full(40, 1e-3)
        seconds = (0.1, 0.5, 0.99, 1.01, 1.5, 3.0)
        self.check(one, [np.diag(np.r_[1.0, 0.0, rest])] * 3)
        self.check(one, [np.diag(np.r_[1.0, second, rest]) for second in seconds])

    def test_samples_keep_their_own_vectors(self, largest: Any) -> None:
        rng, three = np.random.default_rng(1), largest(3)
        for _ in range(3):
            self.check(three, rng.standard_normal((6, 30, 50)) * np.geomspace(1, 1e-3, 30)[:, None])

    @pytest.mark.parametrize("gram", [True, False])
    def test_the_certificate_can_refuse(self, kernel: Any, gram: bool) -> None:
        matrix = np.diag(np.r_[1.0, 2.0, np.full(40, 1e-3)])[None]
        square, trace = matrix @ matrix.swapaxes(1, 2), (matrix**2).sum((1, 2))
        for start in (np.eye(42)[:1], np.eye(42)[5:6], np.zeros((1, 42))):
            by_arrays = LargestSingularValue(space_for("cpu", "float64"), 1)
            fused = LargestSingularValue(space_for("cpu", "float64"), 1, kernel)
            by_arrays._vectors, fused._vectors = start, start.copy()
            for values, certified in (
                by_arrays._lanczos(square, trace),
                fused._fused(square if gram else matrix, gram)[1:],
            ):
                assert values[0] < 3.9
                assert not certified[0]

    @pytest.mark.parametrize("scheme", ["pytorch_uniform", "orthogonal"])
    @pytest.mark.parametrize("cell", CELLS)
    def test_decays_are_the_same_with_kernels(
        self, cell: str, scheme: str, without_kernels: Callable[[], None]
    ) -> None:
        parameters = initialize(scheme, cell, 40, 40, seed=3)
        inputs = np.random.default_rng(3).standard_normal((120, 2, 40))
        blocks = ("hh", "cc", "ss") if cell == "lstm" else ("hh",)
        compiled()
        fused, fused_single = (
            jacobian_decay(cell, parameters, inputs, blocks=blocks, dtype=dtype)
            for dtype in ("float64", "float32")
        )
        without_kernels()
        plain, single = (
            jacobian_decay(cell, parameters, inputs, blocks=blocks, dtype=dtype)
            for dtype in ("float64", "float32")
        )
        for name in ("log10_spectral_norm", "log10_frobenius_norm"):
            for block in blocks:
                found = getattr(fused, name)[block], getattr(fused_single, name)[block]
                np.testing.assert_allclose(found[0], getattr(plain, name)[block], atol=1e-10)
                np.testing.assert_allclose(found[1], getattr(single, name)[block], atol=1e-4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-4)])
def test_torch_computes_what_numpy_does(cell: str, dtype: str, tolerance: float) -> None:
    parameters, inputs = draw(cell, 90, 26, batch_size=2)
    blocks = ("hh", "cc", "ss") if cell == "lstm" else ("hh",)
    lags = [0, 1, 5, 40, 89, 90]
    here, there = (
        jacobian_decay(cell, parameters, inputs, lags=lags, blocks=blocks, dtype=dtype, device=device)
        for device in SPACES
    )
    for block in blocks:
        for norm in ("log10_spectral_norm", "log10_frobenius_norm"):
            np.testing.assert_allclose(
                getattr(there, norm)[block], getattr(here, norm)[block], atol=tolerance
            )


@pytest.mark.cuda
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-3)])
def test_cuda_computes_what_the_processor_does(cell: str, dtype: str, tolerance: float) -> None:
    parameters, inputs = draw(cell, 90, 48, batch_size=3)
    here, there = (
        jacobian_decay(cell, parameters, inputs, dtype=dtype, device=device) for device in ("cpu", "cuda")
    )
    np.testing.assert_allclose(
        there.log10_spectral_norm["hh"], here.log10_spectral_norm["hh"], atol=tolerance
    )
    np.testing.assert_allclose(
        there.log10_frobenius_norm["hh"], here.log10_frobenius_norm["hh"], atol=tolerance
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_absent_device_is_refused_in_one_line() -> None:
    parameters, inputs = draw("gru", 4, 3)
    with pytest.raises(ValueError, match="device 'cuda' is absent: this machine has 0 CUDA devices") as error:
        jacobian_decay("gru", parameters, inputs, device="cuda")
    assert "\n" not in str(error.value)


def test_a_cell_without_a_structured_form_needs_numpy() -> None:
    cell = Chosen([2.0 * np.eye(3)] * 4)
    np.testing.assert_allclose(cell.decay().log10_spectral_norm["hh"][:, 0], np.arange(5) * np.log10(2.0))
    with pytest.raises(ValueError, match="chosen can be analysed on device 'cpu' alone"):
        cell.decay(device="torch")


def test_divergence_is_reported_alike_on_every_device() -> None:
    parameters = Parameters(np.zeros((1, 1)), np.array([[1e100]]), np.zeros(1), np.zeros(1))
    for device in SPACES:
        with pytest.raises(FloatingPointError, match="h_t is not finite at step t = 4"):
            jacobian_decay(
                "rnn_linear", parameters, np.zeros((9, 1, 1)), initial_state=(np.ones((1, 1)),), device=device
            )
