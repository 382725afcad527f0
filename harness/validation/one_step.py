"""One-step Jacobians: by hand, and as the derivative of the step itself."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness import gradients
from harness.validation.check import check
from harness.validation.formulas import ONE_STEP, Array
from harness.validation.formulas_of_variants import LSTM_VARIANTS
from harness.validation.networks import Network, drawn
from harness.validation.row import Row, close
from implementations.registry import CELLS

STEPS, SIZE = 3, 5


@check("one step")
def formula() -> Iterator[Row]:
    """The cell's own Jacobian, block by block, and the engine's norms at lag 1."""
    for cell, by_hand in (ONE_STEP | LSTM_VARIANTS).items():
        for gain in (0.6, 3.0):
            network = drawn(cell, seq_len=STEPS, hidden_size=SIZE, gain=gain)
            before, x = network.states()[-2], network.inputs[-1]
            own = network.jacobians()[-1]
            expected = [
                by_hand(network.parameters, x[b], tuple(array[b] for array in before)) for b in range(len(x))
            ]
            for block in expected[0]:
                wanted = np.stack([blocks[block] for blocks in expected])
                yield close(
                    f"{cell}: ∂ by hand, block {block}, gain {gain}",
                    wanted,
                    network.block(own, block),
                    1e-13,
                    relative=True,
                )
            decay = gradients.jacobian_decay(
                cell,
                network.parameters,
                network.inputs,
                initial_state=network.start,
                lags=[1],
                blocks=tuple(expected[0]),
            )
            norms = {block: [np.linalg.norm(e[block], 2) for e in expected] for block in expected[0]}
            with np.errstate(divide="ignore"):  # blocks of zeros
                logs = np.log10([norms[block] for block in expected[0]])
            yield close(
                f"{cell}: log10 norms at lag 1, every block, gain {gain}",
                logs,
                [decay.log10_spectral_norm[block][0] for block in expected[0]],
                1e-12,
            )


@check("one step")
def derivative() -> Iterator[Row]:
    """The Jacobian of every registered cell is the derivative of its step."""
    for cell in CELLS:
        network = drawn(cell, seq_len=STEPS, hidden_size=SIZE, gain=1.5)
        yield close(
            f"{cell}: ∂ by differences of the step",
            by_differences(network),
            network.jacobians()[-1],
            1e-9,
            relative=True,
        )


def by_differences(network: Network, width: float = 1e-3) -> Array:
    """∂s_T/∂s_{T−1} from the step at ±width, ±2·width, ±3·width: error of order width⁶, (B, S, S)."""
    before = np.concatenate(network.states()[-2], axis=1)

    def step(flat: Array) -> Array:
        state = tuple(np.split(flat, len(network.start), axis=1))
        return np.concatenate(CELLS[network.cell].step(network.parameters, network.inputs[-1], state), axis=1)

    columns = []
    for direction in np.eye(before.shape[1]):
        steps = {n: step(before + n * width * direction) for n in (-3, -2, -1, 1, 2, 3)}
        difference = sum(
            weight * (steps[n] - steps[-n]) for n, weight in ((1, 45 / 60), (2, -9 / 60), (3, 1 / 60))
        )
        columns.append(difference / width)
    return np.stack(columns, axis=-1)
