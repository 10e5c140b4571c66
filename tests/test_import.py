"""What importing seisops loads, and that PyLops is as it would be without it; everything in fresh processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import ready

stopped = ready.stopped

#: What PyLops and Devito load where they are installed, and what seisops loads when it is asked for.
HEAVY = {
    *("torch", "jax", "dask", "distributed", "matplotlib", "examples", "pytest", "xarray", "h5py", "segyio", "zarr"),
    *("numba", "pyfftw", "skfmm", "spgl1", "pywt", "cupy", "pytensor", "pylops"),
}


def run(code: str, path: Path | None = None) -> str:
    """What `code` prints in a process of its own, where modules in the folder `path` come first."""
    insert = f"import sys; sys.path.insert(0, {str(path)!r})\n" if path else ""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", insert + dedent(code)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start(code: str, torch: bool = True) -> None:
    """Run code in a process of its own that has imported what PyLops imports, so that it takes no time here."""
    ready.run(dedent(code), torch)


def loaded(code: str) -> set[str]:
    """The names of `HEAVY` among the modules that `code` loads."""
    modules = run(f"{dedent(code)}\nimport sys\nprint(*sys.modules)").split()
    return HEAVY.intersection(modules)


def test_nothing_heavy_is_loaded():
    """Nor by the command, whatever it is to do."""
    assert loaded("import seisops, seisops.cli") == set()


def test_nor_by_calculations_and_libraries_that_look_for_it():
    code = """
    import numpy as np, scipy.optimize, scipy.signal
    import seisops as so
    from seisops.operators import as_operator

    grid = so.Grid((24, 21), 10.0)
    waves = so.Wavefield(grid, so.Time(31, 0.002), shots=2)
    F = so.Projection(waves, [(120.0, 60.0)]) * so.Modeling(waves, so.Acoustic(grid, vp=1500.0))
    F = F * so.Projection(waves, [(50.0, 50.0)]).H
    halved = 0.5 * F * as_operator(scipy.sparse.linalg.aslinearoperator(np.eye(F.shape[1], dtype="f4")))
    q = np.ones(F.domain.shape, "f4")
    assert np.allclose(2 * np.ravel(so.fuse(halved) @ q.ravel()), np.ravel(F @ q))
    assert so.check.dot_test(F) < 1e-4
    scipy.optimize.minimize(lambda x: x @ x, np.ones(3))
    scipy.signal.fftconvolve(np.ones(9), np.ones(3))
    """
    assert loaded(code) == set()


USE = """
import numpy as np, pickle
import torch, pylops, pylops.optimization.sparsity, pylops.signalprocessing
import seisops as so
from pylops import linearoperator
from seisops.spaces import Anonymous

assert so.LinearOperator.__mro__[2] is pylops.LinearOperator is linearoperator.LinearOperator
assert pylops.linearoperator is linearoperator is sys.modules["pylops.linearoperator"]
assert linearoperator.cgls is pylops.cgls and linearoperator.get_array_module is pylops.utils.get_array_module
assert linearoperator.count is pylops.utils.decorators.count
assert pylops.get_ndarray_multiplication is pylops.config.get_ndarray_multiplication
for name in ("config", "linearoperator", "utils.decorators"):
    module = sys.modules[f"pylops.{name}"]
    assert module.__spec__.loader is module.__loader__ and module.__spec__.origin == module.__file__, name
assert not any(type(finder).__module__ == "seisops._pylops" for finder in sys.meta_path)

A = pylops.FirstDerivative(32, dtype="float64") + pylops.Identity(32, dtype="float64")
x = np.random.default_rng(0).standard_normal(32)
assert np.allclose(pylops.cgls(A, A @ x, niter=500, tol=1e-24)[0], x, atol=1e-5)
assert np.allclose(pylops.lsqr(A, A @ x, niter=500, atol=1e-12, btol=1e-12)[0], x, atol=1e-5)
assert np.allclose(A / (A @ x), x, atol=1e-2)
assert pylops.optimization.sparsity.fista(A, A @ x, niter=5, eps=1e-3)[0].shape == x.shape
W = pylops.signalprocessing.FFT(32)
assert np.allclose(W.H @ (W @ x), x)
assert pylops.waveeqprocessing.AcousticWave2D(
    (21, 21), (0.0, 0.0), (10.0, 10.0), np.full((21, 21), 1500.0), np.array([100.0]), np.array([10.0]),
    np.array([50.0, 150.0]), 10.0, 0.0, 50.0, space_order=2, nbl=5, f0=15.0, dtype="float32").shape[1] == 21 * 21

assert pylops.utils.deps.torch_enabled and pylops.utils.typing.TensorTypeLike is torch.Tensor
t = torch.from_numpy(x).requires_grad_()
pylops.TorchOperator(A)(t).sum().backward()
assert np.allclose(t.grad.numpy(), A.H @ np.ones(32))
assert so.torch.lift(A)(t.detach()).dtype == torch.float64

P = so.Identity(Anonymous((32,), "float64"))
assert isinstance(P, pylops.LinearOperator) and np.allclose(pylops.VStack([P, A]) @ x, np.append(x, A @ x))
assert isinstance(so.fuse(pylops.VStack([P, A])), so.VStack)
B = pickle.loads(pickle.dumps(pylops.aslinearoperator(P) * A))
assert np.allclose(B @ x, A @ x)
"""


@pytest.mark.parametrize(
    ("first", "torch"),
    [
        ("import seisops", False),
        ("import seisops, pylops.linearoperator", False),
        ("from seisops import *; from pylops.linearoperator import aslinearoperator", False),
        ("import torch, seisops", True),
        ("import pylops, seisops", False),
    ],
)
def test_pylops_is_whole(first, torch):
    start(f"import sys\n{first}\n{USE}", torch)


def test_a_failure_is_told():
    """A negative control of what runs the code."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        start("1 / 0")


def test_methods_that_need_the_rest_of_pylops_import_it():
    code = """
    import numpy as np, seisops as so, sys
    from seisops.spaces import Anonymous
    P = so.Identity(Anonymous((3,), "float64"))
    real = P.toreal()
    assert "pylops" not in sys.modules
    assert np.array_equal(P.todense(), np.eye(3)) and "pylops" in sys.modules
    assert np.array_equal(real @ np.ones(3), np.ones(3)) and type(real) is type(P.toreal())
    assert np.array_equal(P / np.ones(3), np.ones(3))
    """
    start(code)


@pytest.mark.parametrize("dumps", ["pickle.dumps", "cloudpickle.dumps"])
def test_plain_operators_are_pickled_by_reference_before_pylops_is_imported(dumps, tmp_path):
    if "cloudpickle" in dumps:
        pytest.importorskip("cloudpickle")
    code = f"""
    import numpy as np, {dumps.partition(".")[0]}, seisops as so, scipy.sparse.linalg, sys
    from pathlib import Path
    from seisops.operators import as_operator
    from seisops.spaces import Anonymous
    A = as_operator(scipy.sparse.linalg.aslinearoperator(np.eye(3)))
    pair = A, so.Identity(Anonymous((3,), "float64")).toreal()
    assert "pylops" not in sys.modules
    Path({str(tmp_path / "pair")!r}).write_bytes({dumps}(pair))
    """
    start(code)
    code = f"""
    import pickle, pylops
    from pathlib import Path
    A, real = pickle.loads(Path({str(tmp_path / "pair")!r}).read_bytes())
    assert type(A.op) is pylops.LinearOperator and type(real) is pylops.linearoperator._RealImagLinearOperator
    """
    start(code)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.1])
def test_threads_that_import_both_at_once(delay):
    # Top-level packages only: a package and its own submodules from two threads is more than Python itself bears.
    code = f"""
    import sys, threading, time
    from importlib import import_module
    import numpy, scipy.linalg, scipy.sparse.linalg, sympy
    failures = []
    def load(name, delay):
        time.sleep(delay)
        try:
            import_module(name)
        except BaseException as error:
            failures.append(error)
    names = [("seisops", 0.0), ("pylops", {delay}), ("pylops", {delay})]
    threads = [threading.Thread(target=load, args=arguments) for arguments in names]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert not failures, failures
    import pylops, seisops
    assert seisops.LinearOperator.__mro__[2] is pylops.LinearOperator is pylops.linearoperator.LinearOperator
    assert issubclass(pylops.Diagonal, pylops.LinearOperator)
    assert pylops.linearoperator.cgls is pylops.cgls
    assert not any(type(finder).__module__ == "seisops._pylops" for finder in sys.meta_path)
    """
    start(code)


@pytest.mark.parametrize("part", ["avo", "optimization.basic"])
def test_an_import_of_pylops_that_failed_can_be_repeated(part):
    code = f"""
    import seisops, sys
    sys.modules["pylops.{part}"] = None
    try:
        import pylops
    except ImportError:
        del sys.modules["pylops.{part}"]
    import pylops
    assert seisops.LinearOperator.__mro__[2] is pylops.LinearOperator
    assert sys.modules["pylops.linearoperator"].cgls is pylops.cgls
    """
    start(code)


# ---- releases of PyLops that are made otherwise

HERE = Path(__file__).resolve().parents[1] / "seisops" / "_pylops.py"
FAKE = {
    "__init__": "from .config import *\nfrom .linearoperator import *\nfrom . import extra",
    "config": "__all__ = ['flag']\ndef flag(): return True",
    "utils/__init__": "from .backend import *\nfrom .decorators import *",
    "utils/backend": "__all__ = ['double']\ndef double(x): return 2 * x",
    "utils/decorators": "__all__ = ['count']\nfrom ..config import flag\ndef count(f): return f",
    "linearoperator": """
__all__ = ["LinearOperator"]
from pylops import flag as raised
from .utils.decorators import count
from .utils.backend import double as twice
class LinearOperator:
    @count
    def apply(self, x): return twice(x) if raised() else x
""",
    "extra": "from .linearoperator import LinearOperator\nclass Extra(LinearOperator): pass",
}
LOADED = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("ahead", {str(HERE)!r})
ahead = importlib.util.module_from_spec(spec)
spec.loader.exec_module(ahead)
early = "pylops" not in sys.modules
assert ("pylops.linearoperator" in sys.modules) and len(sys.meta_path) == finders + early
assert ahead.pylops.LinearOperator().apply(3) == 6
import pylops
assert pylops.LinearOperator is ahead.pylops.LinearOperator is pylops.extra.Extra.__mro__[1]
assert pylops.linearoperator is ahead.linearoperator and len(sys.meta_path) == finders
print("early" if early else "late")
"""


NEEDY = "__all__ = ['count']\nfrom .backend import double\ndouble(1)\ndef count(f): return f"
DERIVED = FAKE["linearoperator"].replace("class LinearOperator", "class LinearOperator(Base)")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "early"),
        ({"utils/decorators": NEEDY.replace("double(1)", "")}, "early"),
        # what would be put off is needed at once
        ({"utils/decorators": NEEDY}, "late"),
        ({"config": "from pylops.utils.backend import double\n" + FAKE["config"].replace("True", "double")}, "early"),
        ({"config": "import pylops.utils.backend\n" + FAKE["config"]}, "late"),
        (
            {
                "linearoperator": FAKE["linearoperator"]
                .replace("twice(x)", "backend.double(x)")
                .replace(".utils.backend import double as twice", ".utils import backend")
            },
            "early",
        ),
        (
            {
                "utils/backend": FAKE["utils/backend"] + "\nclass Base: pass",
                "linearoperator": "from .utils.backend import Base\n" + DERIVED,
            },
            "late",
        ),
        # what would run ahead is not there
        ({"config": "def flag(): return True", "__init__": "from .config import flag\n" + FAKE["__init__"]}, "late"),
        (
            {
                "utils/decorators": None,
                "utils/more": FAKE["utils/decorators"],
                "utils/__init__": "",
                "linearoperator": FAKE["linearoperator"].replace("utils.decorators", "utils.more"),
            },
            "late",
        ),
    ],
)
def test_another_pylops_is_imported_as_it_is(tmp_path, changed, expected):
    for name, source in {**FAKE, **changed}.items():
        file = tmp_path / "pylops" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        if source is not None:
            file.write_text(source, encoding="utf-8")
    code = f"import sys\nfinders = len(sys.meta_path)\n{LOADED}"
    assert run(code, tmp_path) == expected
