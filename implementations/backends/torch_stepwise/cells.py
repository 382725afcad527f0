"""One step of every cell in torch operations: the recurrent half, for input products made beforehand.

Each step takes x = W_ih x + b_ih (B, G·H), the state as a list of (B, H), weight_hh (G·H, H) and bias_hh
(G·H,), and returns the next state.  The equations are those of `implementations.cells`.  Types and lists
are spelled as TorchScript reads them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

Step = Callable[[Tensor, list[Tensor], Tensor, Tensor], list[Tensor]]


def relu(a: Tensor) -> Tensor:
    """max(a, 0); a dead unit stops any gradient, an infinite one too."""
    if torch.jit.is_scripting():
        # TorchScript's own backward of torch.relu multiplies by 0 or 1, and 0 · inf is NaN
        return a.masked_fill(a <= 0, 0.0)
    return torch.relu(a)


def rnn_tanh(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    return [torch.tanh(x + linear(state[0], weight_hh, bias_hh))]


def rnn_relu(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    return [relu(x + linear(state[0], weight_hh, bias_hh))]


def rnn_linear(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    return [x + linear(state[0], weight_hh, bias_hh)]


def rnn_tanh_preactivation(
    x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor
) -> list[Tensor]:
    return [x + linear(torch.tanh(state[0]), weight_hh, bias_hh)]


def rnn_relu_preactivation(
    x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor
) -> list[Tensor]:
    return [x + linear(relu(state[0]), weight_hh, bias_hh)]


def lstm(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    i, f, g, o = (x + linear(state[0], weight_hh, bias_hh)).chunk(4, 1)
    c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return [torch.sigmoid(o) * torch.tanh(c), c]


def gru(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    h = state[0]
    x_r, x_z, x_n = x.chunk(3, 1)
    h_r, h_z, m = linear(h, weight_hh, bias_hh).chunk(3, 1)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + torch.sigmoid(x_r + h_r) * m)
    return [(1 - z) * n + z * h]


def gru_reset_before(x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor) -> list[Tensor]:
    h = state[0]
    rows = 2 * h.shape[1]
    r, z = torch.sigmoid(x[:, :rows] + linear(h, weight_hh[:rows], bias_hh[:rows])).chunk(2, 1)
    n = torch.tanh(x[:, rows:] + linear(r * h, weight_hh[rows:], bias_hh[rows:]))
    return [(1 - z) * n + z * h]


STEPS: dict[str, Step] = {
    step.__name__: step
    for step in (
        rnn_tanh,
        rnn_relu,
        rnn_linear,
        rnn_tanh_preactivation,
        rnn_relu_preactivation,
        lstm,
        gru,
        gru_reset_before,
    )
}
"""Cell name -> its step."""
