"""Cells as ONNX graphs of one recurrent operator, made in memory.

ONNX stacks the gates in other orders than PyTorch (LSTM i, o, f, c; GRU z, r, h) and puts both biases into
one row.  Its GRU stands for either of ours by `linear_before_reset`; its RNN takes any activation.

Reference: ONNX operator specification, RNN, LSTM and GRU, version 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from implementations.contract import Array, Cell

OPSET = 14
IR_VERSION = 8
"""The first that goes with this operator set: read by any runtime that knows the operators."""


@dataclass(frozen=True)
class Operator:
    """Which operator computes a cell, with which attributes, and its gates in its order by our names."""

    name: str
    gates: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


OPERATORS: dict[str, Operator] = {
    "rnn_tanh": Operator("RNN", ("h",), {"activations": ["Tanh"]}),
    "rnn_relu": Operator("RNN", ("h",), {"activations": ["Relu"]}),
    "rnn_linear": Operator(
        "RNN", ("h",), {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}
    ),
    "lstm": Operator("LSTM", ("i", "o", "f", "g")),
    "gru": Operator("GRU", ("z", "r", "n"), {"linear_before_reset": 1}),
    "gru_reset_before": Operator("GRU", ("z", "r", "n"), {"linear_before_reset": 0}),
}
"""Cell name -> the operator that computes it."""


def model(cell: Cell, parameters: Mapping[str, Array], *, with_lengths: bool) -> bytes:
    """A serialised model: inputs X (T, B, I), initial_h (1, B, H), … -> Y (T, 1, B, H), final_h (1, B, H), ….

    The weights are constants of it, as in any exported model: the runtime packs them once.

    Args:
        parameters: name -> float32 array in PyTorch's layout.
        with_lengths: whether it takes `lengths` (B,) int32.
    """
    operator = OPERATORS[cell.name]
    hidden_size = parameters["weight_hh"].shape[1]
    states = [f"initial_{name}" for name in cell.state_names]
    outputs = ["Y", *(f"final_{name}" for name in cell.state_names)]
    node = helper.make_node(
        operator.name,
        ["X", "W", "R", "B", "lengths" if with_lengths else "", *states],
        outputs,
        hidden_size=hidden_size,
        **operator.attributes,
    )
    inputs = [_value("X", ["T", "B", parameters["weight_ih"].shape[1]])]
    if with_lengths:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"]))
    inputs += [_value(name, [1, "B", hidden_size]) for name in states]
    shapes = [["T", 1, "B", hidden_size], *([1, "B", hidden_size] for _ in states)]
    graph = helper.make_graph(
        [node],
        cell.name,
        inputs,
        [_value(name, shape) for name, shape in zip(outputs, shapes, strict=True)],
        [numpy_helper.from_array(array[None], name) for name, array in _weights(cell, parameters).items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = IR_VERSION
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def _weights(cell: Cell, parameters: Mapping[str, Array]) -> dict[str, Array]:
    """W (G·H, I), R (G·H, H) and B (2·G·H,) in the operator's order of gates."""
    gates = OPERATORS[cell.name].gates

    def ordered(name: str) -> Array:
        return np.concatenate([cell.gate(parameters[name], gate) for gate in gates])

    biases = np.concatenate([ordered("bias_ih"), ordered("bias_hh")])
    return {"W": ordered("weight_ih"), "R": ordered("weight_hh"), "B": biases}


def _value(name: str, shape: list[Any]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
