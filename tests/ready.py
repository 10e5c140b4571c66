"""Fresh processes that have imported what takes long: each is forked from one that did so once."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

#: What PyLops imports from elsewhere, which is most of the time of its import: none of it knows of PyLops or of seisops.
OTHERS = (
    *("scipy.fft", "scipy.linalg", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse.linalg"),
    *("sympy", "numba", "pywt", "jax.scipy.signal", "devito", "examples.seismic"),
)
TORCH = ("torch", "torch.optim")
SERVING = """
import gc, os, sys, traceback
from contextlib import suppress
from importlib import import_module
for name in sys.argv[1:]:
    with suppress(ImportError):
        import_module(name)
loaded = {name.partition(".")[0] for name in sys.modules}
gc.collect(), gc.freeze(), gc.set_threshold(20_000)  # in what is forked
assert not {"seisops", "pylops"} & loaded and ("torch" in sys.argv) == ("torch" in loaded)
for line in sys.stdin:
    folder = line.rstrip("\\n")
    child = os.fork()
    if not child:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT), stream)
        code = 1
        try:
            with open(os.path.join(folder, "code")) as file:
                exec(compile(file.read(), "<code>", "exec"), {"__name__": "__main__"})
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)
    print(os.waitpid(child, 0)[1], flush=True)
"""


_serving: dict[bool, subprocess.Popen] = {}


@pytest.fixture(scope="module", autouse=True)
def stopped():
    """Lets go of the processes that are forked from, after the tests of a module."""
    yield
    while _serving:
        _, process = _serving.popitem()
        process.kill()
        process.communicate()


def run(code: str, torch: bool) -> str:
    """What some code prints in a process of its own that has imported `OTHERS`, and torch if it shall, and nothing else."""
    if torch not in _serving:
        command = [sys.executable, "-W", "ignore", "-c", SERVING, *OTHERS, *TORCH * torch]
        _serving[torch] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process = _serving[torch]
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "code").write_text(code, encoding="utf-8")
        print(folder, file=process.stdin, flush=True)
        status = process.stdout.readline()
        assert status == "0\n", (folder / "err").read_text(encoding="utf-8")
        return (folder / "out").read_text(encoding="utf-8")
