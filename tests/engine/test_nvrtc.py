"""CUDA kernels compiled for the cards that they are meant for, where there is none.

All kernels of all media, viscoelastic ones too, take longer: they are compiled by ``python benchmarks/kernels.py --all``.
"""

import numpy as np
import pytest
from nvrtc import ARCHITECTURES, available, compiled
from recorded import PRODUCTS, recorded
from registry import example

import seisops as so
from seisops.engine.lower.cuda import ARGUMENTS

pytestmark = [
    pytest.mark.filterwarnings("ignore::seisops.AccuracyWarning"),
    pytest.mark.skipif(not available(), reason="needs NVRTC: pip install nvidia-cuda-nvrtc-cu12"),
]

SHAPE = {2: (40, 37), 3: (40, 38, 37)}
FORWARD, DERIVATIVES = ("forward",), ("born", "image")


def case(kind, ndim, dtype, *given, products=PRODUCTS, slow=True):
    name = "-".join([kind.__name__, f"{ndim}d", dtype, *given])
    return pytest.param(kind, ndim, dtype, given, products, id=name, marks=[pytest.mark.slow] if slow else [])


@pytest.mark.parametrize(
    "kind, ndim, dtype, given, products",
    [
        case(so.Acoustic, 2, "float32", slow=False),
        case(so.Acoustic, 3, "float64"),
        case(so.Acoustic, 3, "float32", "rho", products=FORWARD),
        case(so.TTI, 2, "float64", products=DERIVATIVES),
        case(so.ViscoAcoustic, 3, "float32", products=FORWARD),
        case(so.Elastic, 2, "float32", products=FORWARD),
        case(so.Elastic, 3, "float32", products=FORWARD),
        case(so.TTI, 3, "float32", "theta", "phi", products=FORWARD),
    ],
)
def test_kernels_are_compiled(kind, ndim, dtype, given, products):
    """For an A100 and an H100, with arguments that drivers take, and with registers for all that a thread computes.

    Of other media ``python benchmarks/kernels.py --all`` says so.
    """
    sources = recorded(example(kind, so.Grid(SHAPE[ndim], 10.0), given), dtype, products, so.PML(cells=8))
    assert len(sources) > 3
    for source in sources:
        for architecture in ARCHITECTURES:
            made = compiled(source, architecture)
            assert 0 < made.parameters <= ARGUMENTS, architecture
            assert made.spill_stores == made.spill_loads == made.stack == 0, (architecture, made.log, source)


def text(body: str, arguments: str = "float *a, int n, double b, char *c") -> str:
    return f'extern "C" __global__ void piece({arguments})\n{{\n{body}\n}}\n'


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_the_compiler_says_is_read(architecture):
    """Of kernels about which it is known: arguments in places that are multiples of their sizes, shared memory, spills."""
    made = compiled(
        text("__shared__ float s[100]; s[threadIdx.x] = a[n]; __syncthreads(); a[0] = s[n] * b;"), architecture
    )
    systems = 1024 if architecture == "sm_90" else 0  # of each block's shared memory
    assert (made.parameters, made.shared, made.spill_stores, made.stack) == (8 + 8 + 8 + 8, 400 + systems, 0, 0)
    assert made.constant >= made.parameters and 0 < made.registers < 40
    few, many = "__launch_bounds__(1024, 2)", 64
    lines = [f"float x{k} = a[{k} * n];" for k in range(many)]
    lines += [f"a[n + {k} * n] = x{k} * {' + '.join(f'x{(k + j) % many}' for j in range(9))};" for k in range(many)]
    crowded = text("\n".join(lines)).replace("void piece", f"void {few} piece")
    made = compiled(crowded, architecture)
    assert made.registers <= 32 and made.spill_stores > 0 and made.spill_loads > 0 and made.stack > 0


def test_what_is_no_kernel_is_refused():
    with pytest.raises(ValueError, match="undefined_name"):
        compiled(text("a[0] = undefined_name;"), ARCHITECTURES[0])


def test_kernels_of_all_products_are_recorded():
    """Nothing runs: wavefields stay zero; each kernel comes once."""
    medium = example(so.Acoustic, so.Grid((24, 21), 10.0))
    forward, everything = (recorded(medium, "float32", products) for products in (FORWARD, PRODUCTS))
    assert set(forward) < set(everything)
    assert len(set(everything)) == len(everything) == len(np.unique(everything))
