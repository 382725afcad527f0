"""The processor: who else uses it, how much of it is ours, and whether its frequency stays."""

from __future__ import annotations

import time

import psutil

from harness.doctor.check import Scene, Seen, check

LOOK_SECONDS = 0.3
MUCH, TOO_MUCH = 0.1, 0.5
"""Shares of the allowed cores that others may use before it is a warning, a problem."""
STEADY_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen", "timebase")


@check("load")
def load(scene: Scene) -> Seen:
    """Measured over a moment: the load average remembers what has long ended."""
    own = psutil.Process()
    before, started = own.cpu_times(), time.perf_counter()
    busy = psutil.cpu_percent(interval=LOOK_SECONDS) / 100 * (psutil.cpu_count() or 1)
    after, seconds = own.cpu_times(), time.perf_counter() - started
    others = max(0.0, busy - (after.user + after.system - before.user - before.system) / seconds)
    cores = scene.environment.allowed_cores
    text = f"other processes use {others:.1f} of {cores} cores"
    if others <= MUCH * cores:
        return "ok", text
    remedy = "end them, or wait for them (`top` names them)"
    return ("problem" if others > TOO_MUCH * cores else "warning"), text, remedy


@check("cores")
def cores(scene: Scene) -> Seen:
    found = scene.environment
    allowed, quota = found.allowed_cores, found.cgroup_cores
    text = f"{allowed} of {found.logical_cores} logical cores are allowed"
    if quota is not None and quota < allowed:
        return (
            "problem",
            f"{text}, but the control group's quota is {quota:g} cores: the kernel halts what exceeds it",
            f"set num_threads = {max(1, int(quota))} in the plan, or raise the quota (docker run --cpus)",
        )
    if allowed < 2:
        return "warning", f"{text}: nothing shows how a backend uses threads", "allow more (taskset, cpuset)"
    return "ok", text


@check("priority")
def priority(scene: Scene) -> Seen:
    nice = psutil.Process().nice()
    if nice > 0:
        return "warning", f"runs with niceness {nice}: everybody else goes first", "start it without `nice`"
    return "ok", "no process is preferred to this one by niceness"


@check("governor")
def governor(scene: Scene) -> Seen:
    name = scene.environment.cpu_governor
    if name is None:
        return "ok", "the system shows no frequency governor"
    if name != "performance":
        remedy = "sudo cpupower frequency-set --governor performance"
        return "warning", f"the frequency governor is {name}: clocks follow the load", remedy
    return "ok", "the frequency governor is performance"


@check("turbo")
def turbo(scene: Scene) -> Seen:
    match scene.environment.cpu_turbo:
        case None:
            return "ok", "the system does not show whether turbo is on"
        case False:
            return "ok", "turbo is off: the frequency does not depend on the temperature"
        case _:
            remedy = (
                "switch it off (echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo, or "
                "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost), or use more replicates"
            )
            return "warning", "turbo is on: clocks fall as the processor warms up", remedy


@check("virtual machine")
def virtual_machine(scene: Scene) -> Seen:
    if scene.environment.hypervisor:
        remedy = "use more replicates; compare what was measured in one run"
        return "warning", "a virtual machine: others may use the same processor, unseen from here", remedy
    return "ok", "no hypervisor is seen"


@check("power")
def power(scene: Scene) -> Seen:
    if scene.environment.on_battery:
        return "warning", "runs on battery: the processor saves power", "plug the mains in"
    return "ok", "does not run on battery"


@check("clock")
def clock(scene: Scene) -> Seen:
    source = scene.environment.clock_source
    resolution = time.get_clock_info("perf_counter").resolution
    if source is not None and source not in STEADY_CLOCKS:
        remedy = "boot with clocksource=tsc where the processor allows it"
        return "warning", f"the kernel takes the time from {source}: each look costs microseconds", remedy
    if resolution > 1e-6:
        return "warning", f"the clock's step is {resolution:g} s", "prefer larger cases"
    return "ok", f"clock source {source or 'not shown'}, step {resolution:g} s"
