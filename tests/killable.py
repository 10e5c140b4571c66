"""Scripts under test that may hang: each runs in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress


def run(code: str, threads: int, seconds: float = 180.0) -> list[str]:
    """The words that a script prints; after a while it is killed, with all that it started."""
    script = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with script:
        try:
            return script.communicate(timeout=seconds)[0].split()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(script.pid, signal.SIGKILL)
