"""One step of every cell in jax.numpy: the recurrent half, for input products made beforehand.

Each step takes x = W_ih x + b_ih (B, G·H), the state as a tuple of (B, H), weight_hh (G·H, H) and bias_hh
(G·H,), and returns the next state.  The equations are those of `implementations.cells`.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

State = tuple[jax.Array, ...]
Step = Callable[[jax.Array, State, jax.Array, jax.Array], State]
"""(x, state, weight_hh, bias_hh) -> the next state."""


def relu(a: jax.Array) -> jax.Array:
    """max(a, 0); as in PyTorch a NaN lets the gradient through, which jax.nn.relu does not."""
    return jnp.where(a <= 0, 0, a)


def rnn_tanh(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    return (jnp.tanh(x + state[0] @ weight_hh.T + bias_hh),)


def rnn_relu(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    return (relu(x + state[0] @ weight_hh.T + bias_hh),)


def rnn_linear(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    return (x + state[0] @ weight_hh.T + bias_hh,)


def rnn_tanh_preactivation(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    return (x + jnp.tanh(state[0]) @ weight_hh.T + bias_hh,)


def rnn_relu_preactivation(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    return (x + relu(state[0]) @ weight_hh.T + bias_hh,)


def lstm(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    h, c = state
    i, f, g, o = jnp.split(x + h @ weight_hh.T + bias_hh, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    (h,) = state
    x_r, x_z, x_n = jnp.split(x, 3, axis=1)
    h_r, h_z, m = jnp.split(h @ weight_hh.T + bias_hh, 3, axis=1)
    z = jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + jax.nn.sigmoid(x_r + h_r) * m)
    return ((1 - z) * n + z * h,)


def gru_reset_before(x: jax.Array, state: State, weight_hh: jax.Array, bias_hh: jax.Array) -> State:
    (h,) = state
    rows = 2 * h.shape[1]
    rz = jax.nn.sigmoid(x[:, :rows] + h @ weight_hh[:rows].T + bias_hh[:rows])
    r, z = jnp.split(rz, 2, axis=1)
    n = jnp.tanh(x[:, rows:] + (r * h) @ weight_hh[rows:].T + bias_hh[rows:])
    return ((1 - z) * n + z * h,)


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
