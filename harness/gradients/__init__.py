"""How far gradients reach: exact Jacobians, their products, and what follows from them.

Analytic one-step Jacobians come from the cells; products are kept with exponents, so that no lag under- or
overflows.  Importing this loads NumPy alone.
"""

from harness.gradients.adjoint import Adjoint, adjoint_decay
from harness.gradients.attractor import entropy_rate, kaplan_yorke_dimension
from harness.gradients.bylag import GradientByLag, gradient_by_lag
from harness.gradients.chrono_law import log10_chrono_law
from harness.gradients.decay import Decay, jacobian_decay
from harness.gradients.depth import DepthDecay, depth_decay
from harness.gradients.kernels import load_kernels
from harness.gradients.lyapunov import Lyapunov, lyapunov_spectrum
from harness.gradients.mean_field import MeanField, edge_of_chaos_gain, tanh_mean_field
from harness.gradients.measured import measured_jacobian
from harness.gradients.random_matrices import log10_random_product_norm, random_product_exponents
from harness.gradients.spectrum import log10_condition_number, log_volume, singular_spectrum
from harness.gradients.summary import DecaySummary, summarize_decay
from harness.gradients.theory import (
    has_norm_bound,
    log10_forget_gate_decay,
    log10_norm_bound,
    log10_product_bound,
)
from harness.gradients.trajectory import ForwardDiverged

__all__ = [
    "Adjoint",
    "Decay",
    "DecaySummary",
    "DepthDecay",
    "ForwardDiverged",
    "GradientByLag",
    "Lyapunov",
    "MeanField",
    "adjoint_decay",
    "depth_decay",
    "edge_of_chaos_gain",
    "entropy_rate",
    "gradient_by_lag",
    "has_norm_bound",
    "jacobian_decay",
    "kaplan_yorke_dimension",
    "load_kernels",
    "log10_chrono_law",
    "log10_condition_number",
    "log10_forget_gate_decay",
    "log10_norm_bound",
    "log10_product_bound",
    "log10_random_product_norm",
    "log_volume",
    "lyapunov_spectrum",
    "measured_jacobian",
    "random_product_exponents",
    "singular_spectrum",
    "summarize_decay",
    "tanh_mean_field",
]
