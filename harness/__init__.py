"""HOW it is measured: plans, runs, gradients, reports.

Importing this package loads neither torch, numba nor matplotlib.
"""

__version__ = "0.1.0"
