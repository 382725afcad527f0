"""The allow-list: every field that is recorded of a machine, with its meaning.  None: could not be had."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Recorded(BaseModel):
    """Nothing but the fields declared; each has its description beneath it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Blas(Recorded):
    """A library for linear algebra, or a pool of threads, that NumPy or SciPy loads."""

    library: str
    """Its family: openblas, mkl, blis, openmp."""
    version: str | None
    """Its own version."""
    architecture: str | None
    """The processor whose kernels it chose."""
    num_threads: int
    """Threads it would use in this process; a worker's are under `backends`."""


class Gpu(Recorded):
    """One NVIDIA device, as its driver describes it."""

    name: str
    """The product's name."""
    driver: str
    """The driver's version."""
    cuda: str
    """The newest CUDA version that the driver supports; the one in use is under `backends`."""
    memory_bytes: int
    """All of its memory."""
    used_bytes: int
    """Memory in use when the run began."""
    busy_percent: int | None
    """How much of the last moment some kernel ran, when the run began."""
    processes: int | None
    """Processes that were computing on it when the run began."""


class Git(Recorded):
    """The checkout that the code runs from."""

    commit: str
    """Its commit."""
    dirty: bool
    """Whether files differ from that commit."""


class Environment(Recorded):
    """One machine, its software and its settings, when a run began."""

    platform: str
    """Kernel, its version, and the C library."""
    python: str
    """The interpreter's version."""
    hypervisor: bool | None
    """Whether the processor says that it is a virtual one: others may share it, unseen."""
    container: bool
    """Whether the process runs in a container."""
    cpu_model: str | None
    """The processor as it calls itself."""
    cpu_flags: list[str]
    """Its vector extensions."""
    sockets: int | None
    """Processor packages."""
    physical_cores: int | None
    """Cores, however many threads each runs."""
    logical_cores: int | None
    """Hardware threads."""
    allowed_cores: int
    """Hardware threads that this process may use (its affinity)."""
    cgroup_cores: float | None
    """Processor time that the control group allows, in cores; None where it sets no quota."""
    cpu_governor: str | None
    """How the processor chooses its frequency."""
    cpu_turbo: bool | None
    """Whether it may go above its nominal frequency."""
    cpu_mhz: float | None
    """Its frequency when the run began."""
    cpu_max_mhz: float | None
    """The highest it may go to."""
    clock_source: str | None
    """Where the kernel takes the time from."""
    load_average: float
    """Processes that wanted to run, mean over the minute before the run began."""
    memory_bytes: int
    """All memory of the machine."""
    memory_available_bytes: int
    """What could be had when the run began."""
    cgroup_memory_bytes: int | None
    """Memory that the control group allows; None where it sets no limit."""
    swap_used_bytes: int
    """Swap in use when the run began."""
    on_battery: bool | None
    """Whether no mains power was plugged in."""
    packages: dict[str, str | None]
    """Installed versions of the libraries that compute, measure or report."""
    blas: list[Blas]
    """What NumPy and SciPy call for linear algebra."""
    variables: dict[str, str]
    """Environment variables that change how libraries compute, those that are set; values of no other."""
    gpus: list[Gpu]
    """NVIDIA devices."""
    git: Git | None
    """Where the code comes from a checkout: which."""
