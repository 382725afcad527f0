"""A third party's backend, found by entry point, that goes wrong in a way its sequence length chooses."""

import ctypes
import os
import signal
import time

from implementations.contract import UnsupportedCase
from implementations.registry import BACKENDS, load_backend

SEGFAULT, HANG, RAISE, EXIT, WRONG, LACKING, DEAF, FATAL = 113, 114, 115, 116, 117, 118, 119, 120


@BACKENDS.register("faulty")
def load():
    """Goes wrong on purpose."""
    return Faulty(load_backend("numpy"))


class Faulty:
    name, device = "faulty", "cpu"

    def __init__(self, honest):
        self._honest = honest

    def __getattr__(self, name):
        return getattr(self._honest, name)

    def why_unsupported(self, cell, dtype, *, seq_len=None, **sizes):
        return "lacks this length" if seq_len == LACKING else None

    def bind(self, cell, parameters, dtype):
        return FaultyLayer(self._honest.bind(cell, parameters, dtype))


class FaultyLayer:
    def __init__(self, honest):
        self._honest = honest

    def __getattr__(self, name):
        return getattr(self._honest, name)

    def forward(self, inputs, initial_state=None, *, lengths=None, training):
        match inputs.shape[0]:
            case 113:
                ctypes.string_at(0)
            case 114:
                time.sleep(3600)
            case 115:
                raise RuntimeError("went wrong on purpose")
            case 116:
                os._exit(3)
            case 117:
                inputs = inputs + 1.0
            case 118:
                raise UnsupportedCase("lacks this length")
            case 119:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(3600)
            case 120:  # as a machine that goes down: with who started us
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(3600)
        return self._honest.forward(inputs, initial_state, lengths=lengths, training=training)
