"""One node of torch's graph for a whole stack: its forward and backward are the stack's own.

Tensors cross as NumPy views of the same memory.  What torch saves (input, states, weights) lets it notice
that somebody changed them in place before the backward, and serves a second backward through a retained
graph: a tape serves one, so the second runs the forward again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import forward_ad

from implementations.contract import Array, Forward
from implementations.modules.arguments import State
from implementations.modules.binding import Binding, follow_torch
from implementations.stack import Stack

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Call:
    """What a forward needs besides tensors.

    Args:
        binding: the module's.
        states: how many states were given: S, or 0 for zeros.
        lengths: (B,), or None.
        masks: of the dropout between layers, (T, B, D·H) each, or None.
    """

    binding: Binding
    states: int
    lengths: Array | None
    masks: tuple[Array, ...] | None

    def run(self, tensors: Tensors, *, training: bool) -> tuple[Stack, Forward]:
        """The forward of `tensors`: input (T, B, I), states (L·D, B, H), weights."""
        follow_torch()
        stack = self.binding.stack(tensors[1 + self.states :])
        inputs, *states = (tensor.numpy(force=True) for tensor in tensors[: 1 + self.states])
        state = tuple(states) or None
        return stack, stack.forward(inputs, state, lengths=self.lengths, masks=self.masks, training=training)

    def record(self, tensors: Tensors) -> tuple[Stack, Any, Forward]:
        """The same in training, with its tape in the middle."""
        stack, passed = self.run(tensors, training=True)
        return stack, passed.tape, passed


class StackFunction(torch.autograd.Function):
    """(call, input, *states, *weights) -> (output, *final states)."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: torch.Tensor) -> Tensors:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.call = call
        stack, tape, passed = call.record(tensors)
        ctx.taped = stack, tape
        # a tape reads a layer's own output again: whoever writes to theirs is to write to a copy
        output = passed.output if stack.directions == 2 else passed.output.copy()
        return tuple(map(torch.from_numpy, (output, *passed.final_state)))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[torch.Tensor | None, ...]:
        call, tensors = ctx.call, ctx.saved_tensors
        taped, ctx.taped = ctx.taped, None
        stack, tape = taped or call.record(tensors)[:2]
        follow_torch()
        grad_output, *grad_final = grads
        given = None if grad_output is None else grad_output.numpy(force=True)
        gradients = stack.backward(tape, given, _states(grad_final))
        states = gradients.initial_state if call.states else ()
        weights = (gradients.parameters[name] for name in call.binding.names)
        found = tuple(map(torch.from_numpy, (gradients.inputs, *states, *weights)))
        # with create_graph=True torch will follow these further: into a refusal, not into a silent zero
        return None, *(OnceOnly.apply(found, *tensors, *grads) if torch.is_grad_enabled() else found)


class OnceOnly(torch.autograd.Function):
    """(gradients, *what they depend on) -> the gradients; their own gradients are refused."""

    @staticmethod
    def forward(ctx: Any, gradients: Tensors, *origins: Any) -> Tensors:
        return gradients

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(
            "gradients of gradients are not computed by implementations.modules: load the state_dict into "
            "torch.nn's module of the same name for them"
        )


def run(call: Call, inputs: torch.Tensor, states: State, weights: Tensors) -> Tensors:
    """(output, *final states); a node of the graph only where some tensor asks for a gradient."""
    tensors = (inputs, *states, *weights)
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    # a tangent of forward-mode differentiation: torch refuses the node, in its own words
    if wanted or any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors):
        return StackFunction.apply(call, *tensors)
    _, passed = call.run(tensors, training=False)
    return torch.from_numpy(passed.output), *map(torch.from_numpy, passed.final_state)


def _states(grads: list[torch.Tensor | None]) -> tuple[Array, ...] | None:
    """dL/d final states; zeros for one that nothing depends on, None where that holds for all."""
    some = next((grad for grad in grads if grad is not None), None)
    if some is None:
        return None
    return tuple((torch.zeros_like(some) if grad is None else grad).numpy(force=True) for grad in grads)
