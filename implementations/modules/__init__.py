"""Drop-in `torch.nn.RNN`, `LSTM` and `GRU` for the CPU: change the import, keep the checkpoint.

    from implementations.modules import GRU  # was: from torch.nn import GRU

They *are* torch's modules (subclasses: same arguments, same weights from the same seed, same state_dict,
same errors) with another `forward`: the kernels of backend `numba`, for autograd too.

Threads: the kernels use as many as `torch.get_num_threads()` says at each call, so `torch.set_num_threads`
and OMP_NUM_THREADS hold for both.  Results are the same, bit for bit, for the same number of threads.

What torch's have and these lack is refused by name, never computed otherwise: projections (`proj_size`),
devices other than the CPU, dtypes other than float32 and float64, gradients of gradients, and tracing.
"""

from implementations.modules.modules import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN"]
