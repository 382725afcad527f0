"""Tasks that need a memory: one file each, by its published definition, with what knowing nothing costs."""

from harness.training.tasks.task import TASKS, Task

__all__ = ["TASKS", "Task"]
