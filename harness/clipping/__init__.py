"""Keeping gradients from exploding: a rule (what is done) and a place (to which gradient).

One rule is one file in this folder.  At place "parameters" a rule sees the finished parameter gradients: it
changes the update and no ∂h_t/∂h_k.  At place "state" it sees δ_k = dL/dh_k at every step of the backward
recurrence, at place "gates" the gradients of the gates' pre-activations; both change all that lies further
back.
"""

from harness.clipping.clipping import Clipped, Clipping
from harness.clipping.rule import CLIPPING_RULES, PLACES

__all__ = ["CLIPPING_RULES", "PLACES", "Clipped", "Clipping"]
