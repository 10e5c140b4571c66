"""The machine and the software, as far as they can be read."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("seisops", "devito", "deepwave", "torch", "numpy", "scipy", "pylops")
SETTINGS = ("OMP_", "GOMP_", "KMP_", "DEVITO_", "GLIBC_", "MALLOC_", "LD_PRELOAD")
CPU = Path("/sys/devices/system/cpu")


def cores() -> int:
    """Physical cores that this process may use."""
    logical = os.sched_getaffinity(0)
    siblings = {read(CPU / f"cpu{i}/topology/thread_siblings_list") or str(i) for i in logical}
    return len(siblings)


def read(path: Path) -> str:
    """The text of a file, stripped; empty where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def describe(threads: int) -> dict[str, str]:
    """What a reader needs to judge the figures."""
    logical = len(os.sched_getaffinity(0))
    return {
        "processor": f"{model()}, {cores()} physical and {logical} logical cores in use",
        "caches": caches(),
        "memory": f"{memory('MemTotal'):.1f} GiB, {memory('MemAvailable'):.1f} GiB available; "
        f"transparent huge pages: {read(Path('/sys/kernel/mm/transparent_hugepage/enabled')) or 'unknown'}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {compiler()}",
        "packages": ", ".join(filter(None, map(installed, PACKAGES))),
        "threads": f"OMP_NUM_THREADS={threads} for every code; DEVITO_LANGUAGE=openmp for Devito's example solver",
        "settings": ", ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(SETTINGS)) or "none",
        "load": load(),
    }


def model() -> str:
    """The processor's name, with family and model where the name is all but empty."""
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in read(Path("/proc/cpuinfo")).splitlines()
        if ":" in line
    )
    name = fields.get("model name", platform.processor() or "unknown")
    return f"{name} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"


def caches() -> str:
    """Sizes of the first core's caches."""
    found = []
    for index in sorted((CPU / "cpu0/cache").glob("index*")):
        level, kind, size = (read(index / name) for name in ("level", "type", "size"))
        if kind != "Instruction":
            found.append(f"L{level} {size} (cores {read(index / 'shared_cpu_list')})")
    return ", ".join(found) or "unknown"


def memory(name: str) -> float:
    """A line of /proc/meminfo, in GiB."""
    for line in read(Path("/proc/meminfo")).splitlines():
        if line.startswith(name):
            return int(line.split()[1]) / 2**20
    return float("nan")


def compiler() -> str:
    """What Devito compiles with."""
    try:
        done = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no gcc"
    return done.stdout.splitlines()[0]


def installed(name: str) -> str:
    """A package with its version; empty where it is not installed."""
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return ""


def load() -> str:
    """What the machine has to do besides; figures of a busy machine are not worth much."""
    return "{:.2f} over the last minute, {:.2f} over five".format(*os.getloadavg())
