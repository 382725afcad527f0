"""Drop-in `torch.nn.RNN`, `LSTM` and `GRU` for the CPU: change the import, keep the checkpoint.

    from implementations.modules import GRU  # was: from torch.nn import GRU

They *are* torch's modules (subclasses: same arguments, same weights from the same seed, same state_dict,
same errors) with another `forward`: the kernels of backend `numba`, for autograd too.

Threads: the kernels use as many as `torch.get_num_threads()` says at each call, so `torch.set_num_threads`
and OMP_NUM_THREADS hold for both.  Results are the same, bit for bit, for the same number of threads.

What torch's have and these lack is refused by name, never computed otherwise: projections (`proj_size`),
devices other than the CPU, dtypes other than float32 and float64, gradients of gradients, forward-mode
differentiation, torch.func's transforms, tracing and scripting.

A call costs about 0.1 ms besides its arithmetic (0.3 ms with a backward), so that single steps of small
modules are faster in torch; and non-reentrant activation checkpointing computes the same but frees nothing,
since what a backward needs is kept by the kernels and not by torch.
"""

from implementations.modules.modules import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
