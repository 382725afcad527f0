"""GPUs: nobody else at work on them."""

from __future__ import annotations

from harness.doctor.check import Scene, Seen, check

BUSY_PERCENT = 5


@check("gpu")
def gpu(scene: Scene) -> Seen:
    found = scene.environment.gpus
    if not found:
        return "ok", "no NVIDIA device"
    busy = [g for g in found if (g.busy_percent or 0) > BUSY_PERCENT or g.processes]
    if busy:
        text = "; ".join(
            f"{g.name}: {_known(g.busy_percent)} % busy, {_known(g.processes)} processes, "
            f"{g.used_bytes / 2**30:.1f} GiB used"
            for g in busy
        )
        return "warning", text, "end what uses it (`nvidia-smi` names it), or choose CUDA_VISIBLE_DEVICES"
    return "ok", f"idle: {', '.join(g.name for g in found)}"


def _known(number: int | None) -> str:
    return "?" if number is None else str(number)
