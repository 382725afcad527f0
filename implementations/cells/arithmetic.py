"""What the cells' equations share: the logistic function and the gradients of the two matrix products.

Everything keeps the dtype it is given and lets NaN and inf through in silence: a study of exploding
states must see them come out, not be told about them by a warning.
"""

from __future__ import annotations

import numpy as np

from implementations.contract import Array, Parameters, StepGradients

quiet = np.errstate(over="ignore", invalid="ignore")
"""Decorator for arithmetic that may meet overflow, inf − inf and 0·inf."""


def sigmoid(a: Array) -> Array:
    """σ(a) = 1 / (1 + e^−a), to full relative precision on both sides and without overflow."""
    e = np.exp(-np.abs(a))
    return np.where(a >= 0, 1, e) / (1 + e)


def input_products(parameters: Parameters, x: Array) -> Array:
    """W_ih x + b_ih: (B, I) -> (B, G·H)."""
    return x @ parameters.weight_ih.T + parameters.bias_ih


def hidden_products(parameters: Parameters, h: Array) -> Array:
    """W_hh h + b_hh: (B, H) -> (B, G·H)."""
    return h @ parameters.weight_hh.T + parameters.bias_hh


def product_gradients(
    parameters: Parameters, x: Array, h: Array, delta_ih: Array, delta_hh: Array
) -> StepGradients:
    """Back through both products: δ (B, G·H) at W_ih x + b_ih and at W_hh h + b_hh.

    `state` of what is returned holds δ_hh W_hh alone; whatever else reaches the state is the caller's.
    """
    return StepGradients(
        x=delta_ih @ parameters.weight_ih,
        state=(delta_hh @ parameters.weight_hh,),
        parameters={
            "weight_ih": delta_ih.T @ x,
            "weight_hh": delta_hh.T @ h,
            "bias_ih": delta_ih.sum(axis=0),
            "bias_hh": delta_hh.sum(axis=0),
        },
    )


def scale_rows(scale: Array, matrix: Array) -> Array:
    """diag(scale_b) · matrix for every sample b: (B, H), (H, K) -> (B, H, K)."""
    return scale[:, :, None] * matrix


def diagonal(values: Array) -> Array:
    """diag(values_b) for every sample b: (B, H) -> (B, H, H)."""
    batch_size, size = values.shape
    matrices = np.zeros((batch_size, size, size), values.dtype)
    matrices[:, np.arange(size), np.arange(size)] = values
    return matrices
