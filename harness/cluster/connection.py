"""From `--scheduler` to a Dask client: an address, or `slurm`, which starts a scheduler and submits workers.

Everything else that is particular to a cluster (certificates, queues, memory, walltime) stands in Dask's own
configuration, where its users keep it already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    from distributed import Client

RESOURCE = "rnn_harness"
"""What each worker offers once: a timed case takes all of it, any other a share."""
CONNECT_SECONDS = 15.0
EXPECTED = "the address of a running `dask scheduler`, such as tcp://10.0.0.1:8786, or slurm"
START_COMMAND = f'dask worker ADDRESS --resources "{RESOURCE}=1"'

_JOBS = re.compile(r"([1-9]\d*)(?:-([1-9]\d*))?")


@contextmanager
def connected(scheduler: str, workers: str | None, say: Callable[[str], None]) -> Iterator[Client]:
    """A client of the cluster, while the context lasts.

    Args:
        scheduler: "tcp://10.0.0.1:8786", "tls://…", or "slurm".
        workers: for slurm: how many jobs, "4", or as many as there is work for, "1-8".
        say: told what is being waited for.

    Raises:
        UserError: no such scheduler, no way to it, Dask or its configuration is not there.
    """
    with ExitStack() as stack:
        if scheduler == "slurm":
            cluster = stack.enter_context(_slurm(workers or "1"))
            say(f"scheduler at {cluster.scheduler_address}; Slurm was asked for {workers or 1} workers")
            yield stack.enter_context(_client(cluster, "slurm"))
        elif workers is not None:
            raise UserError(
                "--workers is for --scheduler slurm", remedy=f"start workers by hand: {START_COMMAND}"
            )
        else:
            yield stack.enter_context(_client(scheduler, scheduler))


@contextmanager
def _client(to: Any, name: str) -> Iterator[Client]:
    _need("distributed", "--scheduler")
    from distributed import Client
    from distributed.security import Security

    if isinstance(to, str):  # before there is a client, which would neither end quietly nor soon
        _require_address(to)
    try:
        if name.startswith("tls://") and not Security().get_connection_args("client").get("ssl_context"):
            raise ValueError("no certificate for TLS is configured here")
        client = Client(
            to,
            timeout=CONNECT_SECONDS,
            set_as_default=False,
            **({"security": Security()} if isinstance(to, str) else {}),
        )
    except (OSError, ValueError, TypeError, RuntimeError, CancelledError) as error:
        raise UserError(
            f"--scheduler {name}: cannot connect within {CONNECT_SECONDS:g} s{_cause(error, ': ')}",
            expected=EXPECTED,
            remedy="start one, or look at the address and, for tls://, at Dask's distributed.comm.tls",
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=5)


def _require_address(text: str) -> None:
    """Refuse at once what can be no address, whoever listens.

    Raises:
        UserError: a protocol that Dask does not know, no host, no port.
    """
    from distributed.comm import parse_address
    from distributed.comm.addressing import parse_host_port
    from distributed.comm.registry import get_backend

    try:
        protocol, place = parse_address(text)
        get_backend(protocol)
        if protocol != "inproc":
            host, port = parse_host_port(place)
            if not host or re.search(r"\s", host) or not 0 < port < 2**16:
                raise ValueError(f"{host!r}, {port}")
    except ValueError as error:
        raise UserError(
            f"--scheduler {text}: not the address of a scheduler",
            expected=EXPECTED,
            remedy="give protocol, host and port",
        ) from error


@contextmanager
def _slurm(workers: str) -> Iterator[Any]:
    """A scheduler in this process, and its workers as Slurm jobs, as Dask's configuration says."""
    match = _JOBS.fullmatch(workers)
    if match is None:
        raise UserError(
            f"--workers {workers!r}", expected="a number of jobs such as 4, or a range such as 1-8"
        )
    _need("dask_jobqueue", "--scheduler slurm")
    import dask
    from dask_jobqueue import SLURMCluster

    def configured(name: str) -> list[str]:
        return list(dask.config.get(f"jobqueue.slurm.{name}", None) or [])

    directives = configured("job-extra-directives")
    if not any(directive.startswith("--exclusive") for directive in directives):
        directives.append("--exclusive")  # two jobs on one node would disturb each other
    try:
        cluster = SLURMCluster(
            processes=1,
            worker_extra_args=[*configured("worker-extra-args"), "--resources", f"{RESOURCE}=1"],
            job_extra_directives=directives,
        )
    except (ValueError, OSError, RuntimeError) as error:
        raise UserError(
            f"--scheduler slurm: no cluster{_cause(error, ': ')}",
            remedy="set jobqueue.slurm (cores, memory, queue, walltime) in ~/.config/dask/jobqueue.yaml",
        ) from error
    with cluster:
        low, high = int(match[1]), int(match[2] or match[1])
        if high > low:
            cluster.adapt(minimum_jobs=low, maximum_jobs=high)
        else:
            cluster.scale(jobs=low)
        yield cluster


def _need(module: str, option: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        raise UserError(
            f"{option} needs {module.replace('_', '-')}, which is not installed",
            remedy="in the checkout: pip install --constraint constraints.txt --editable '.[cluster]'",
        )


def _cause(error: BaseException, before: str) -> str:
    """The first line of the innermost message that has one; nothing where there is none."""
    said = ""
    following: BaseException | None = error
    while following is not None:
        said = next(iter(str(following).splitlines()), "") or said
        following = following.__cause__
    return f"{before}{said}" if said else ""
