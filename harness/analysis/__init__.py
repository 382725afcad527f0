"""How far gradients reach in a network that somebody already has: a checkpoint, a live module, any step.

The engine is that of `harness.gradients`; this package finds the recurrent layers, feeds each what really
reaches it, and writes a report of its own.  Importing it loads neither torch nor matplotlib.
"""

from harness.analysis.analysis import Analysis
from harness.analysis.checkpoint import analyze_checkpoint
from harness.analysis.functions import analyze_step
from harness.analysis.modules import analyze
from harness.analysis.settings import Settings

__all__ = ["Analysis", "Settings", "analyze", "analyze_checkpoint", "analyze_step"]
