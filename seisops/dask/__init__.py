"""Operators and maps whose shots are worked off by a Dask cluster.

Shots are independent, so ``A x`` is a row of tasks, one for a few shots each. What a task needs comes from the graph and
can be computed again: a worker that dies costs the shots that it was working on. Arrays with a shot axis are cut and put
together; what all shots share (a model) is handed to every task, and what they all contribute to (an image) is summed in a
tree on the workers. Operators stay on the workers that used them, and with them compiled code and background wavefields.

Workers may come and go: whoever joins is set up, and where there is none, one waits.
"""

from __future__ import annotations

import numpy as np
from distributed import Client

from seisops.dask.cluster import Options
from seisops.dask.errors import ClusterError, Failure, ShotError
from seisops.dask.maps import DistributedMap
from seisops.dask.operators import DistributedOperator
from seisops.errors import ParameterError
from seisops.fusion import fuse
from seisops.maps import Map
from seisops.operators import LinearOperator, as_operator

__all__ = ["ClusterError", "DistributedMap", "DistributedOperator", "Failure", "ShotError", "distribute"]


def __dir__() -> list[str]:
    return __all__


def distribute(
    op: LinearOperator | Map,
    client: Client | None = None,
    shots_per_task: int = 1,
    threads: int = 1,
    keep_bytes: int = 2**31,
    retries: int = 2,
    on_error: str = "raise",
    same_order: bool = False,
    progress: bool = False,
    timeout: float = 300.0,
) -> DistributedOperator | DistributedMap:
    """Return the same operator or map with its shots distributed over a cluster.

    Parameters
    ----------
    op : LinearOperator or Map
        What to distribute, such as ``Pr * Ainv * Ps.H``, a Jacobian or a Parametric.
    client : distributed.Client, optional
        The cluster. By default the current one; where there is none, processes on this machine are started, one for each
        core, and stay until this process ends or ``distributed.default_client().close()``.
    shots_per_task : int, optional
        A task costs about ten milliseconds: give it several shots where they are small.
    threads : int, optional
        Threads of each solve. They multiply with the threads of a worker.
    keep_bytes : int, optional
        How much memory background wavefields may take in each worker, from one application to the next; never more than
        30 % of what Dask grants the worker, and they are released where its memory gets short. Threads and memory are
        set when a cluster is first used.
    retries : int, optional
        How often a shot is tried again that failed for another reason than its input, such as a file that could not be
        read. Shots whose worker died are tried again as often as Dask's ``distributed.scheduler.allowed-failures`` says.
    on_error : {"raise", "skip"}, optional
        What to do about shots that fail, after all others are done: raise :class:`ShotError`, or leave zeros in their place
        and list them in ``skipped``.
    same_order : bool, optional
        Add images up shot by shot in their order, which gives bit by bit what one process gives, and takes a little longer.
    progress : bool, optional
        Show a bar while shots are worked off.
    timeout : float, optional
        How long to wait, in seconds, when there is no worker: those of a batch system may take their time.

    Raises
    ------
    ParameterError
        If `op` knows of no shots, or an argument is invalid.

    Notes
    -----
    Applying it raises :class:`ShotError` for shots that fail, and :class:`ClusterError` for a cluster that does.
    """
    if on_error not in ("raise", "skip"):
        raise ParameterError(f"distribute(on_error={on_error!r}): use 'raise' or 'skip'")
    for name, number in (
        ("shots_per_task", shots_per_task),
        ("threads", threads),
        ("keep_bytes", keep_bytes),
        ("retries", retries),
    ):
        least = 0 if name in ("keep_bytes", "retries") else 1
        if not isinstance(number, (int, np.integer)) or number < least:
            raise ParameterError(f"distribute({name}={number!r}): must be a whole number, at least {least}")
    if not timeout > 0:
        raise ParameterError(f"distribute(timeout={timeout!r}): must be a number of seconds")
    options = Options(
        shots_per_task, threads, keep_bytes, retries, on_error, bool(same_order), bool(progress), float(timeout)
    )
    if isinstance(op, Map):
        return DistributedMap(op, options, client)
    return DistributedOperator(fuse(as_operator(op)), options, client)
