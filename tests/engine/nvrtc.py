"""CUDA kernels made without a card: NVIDIA's compiler of run time, which needs none, and what it says of them."""

from __future__ import annotations

import ctypes
import re
import struct
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files

from seisops.engine.backend.cuda import PREAMBLE

__all__ = ["ARCHITECTURES", "Compiled", "available", "compiled"]

PACKAGE = "nvidia-cuda-nvrtc-cu12"
#: Of an A100; of an H100 and an H200.
ARCHITECTURES = ("sm_80", "sm_90")


@dataclass(frozen=True)
class Compiled:
    """A kernel as machine code.

    Attributes
    ----------
    cubin : bytes
    log : str
    registers : int
        Of a thread.
    spill_stores, spill_loads : int
        Bytes of a thread that went to local memory for want of registers, each time counted.
    stack : int
        Bytes of local memory of a thread.
    parameters : int
        Bytes of its arguments.
    shared, constant : int
        Bytes of shared memory of a block, with what the system has of it; of the constant bank of the arguments.
    """

    cubin: bytes
    log: str
    registers: int
    spill_stores: int
    spill_loads: int
    stack: int
    parameters: int
    shared: int
    constant: int


@cache
def _library():
    """NVRTC, from its package; None without it."""
    try:
        found = files(PACKAGE) or []
    except PackageNotFoundError:
        return None
    for path in found:
        if re.fullmatch(r"libnvrtc\.so\.\d+", path.name):
            return ctypes.CDLL(str(path.locate()))
    return None


def available() -> bool:
    """Whether the compiler is installed."""
    return _library() is not None


def compiled(source: str, architecture: str) -> Compiled:
    """Compile a kernel as :class:`seisops.engine.backend.cuda.Cuda` does.

    Raises
    ------
    ValueError
        With what the compiler said, if it refused.
    """
    library, program = _library(), ctypes.c_void_p()
    text = (PREAMBLE + source).encode()
    _checked(library.nvrtcCreateProgram(ctypes.byref(program), text, b"kernel.cu", 0, None, None))
    try:
        options = [f"--gpu-architecture={architecture}", "--std=c++14", "--ptxas-options=-v"]
        given = (ctypes.c_char_p * len(options))(*(o.encode() for o in options))
        failed = library.nvrtcCompileProgram(program, len(options), given)
        log = _answer(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if failed:
            raise ValueError(f"{architecture}: {log}\n{source}")
        cubin = _answer(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    sections = _sections(cubin)
    (name,) = (name.removeprefix(".text.") for name in sections if name.startswith(".text."))
    return Compiled(
        cubin,
        log,
        registers=_number(r"Used (\d+) registers", log),
        spill_stores=_number(r"(\d+) bytes spill stores", log),
        spill_loads=_number(r"(\d+) bytes spill loads", log),
        stack=_number(r"(\d+) bytes stack frame", log),
        parameters=_attributes(sections[f".nv.info.{name}"])[PARAMETER_SIZE],
        shared=len(sections.get(f".nv.shared.{name}", b"")),
        constant=len(sections[f".nv.constant0.{name}"]),
    )


def _answer(size_of, content_of, program) -> bytes:
    size = ctypes.c_size_t()
    _checked(size_of(program, ctypes.byref(size)))
    out = ctypes.create_string_buffer(size.value)
    _checked(content_of(program, out))
    return out.raw


def _checked(status: int) -> None:
    if status:
        raise RuntimeError(f"NVRTC answers {status}")


def _number(pattern: str, log: str) -> int:
    found = re.search(pattern, log)
    if found is None:
        raise ValueError(f"the compiler does not say {pattern!r}:\n{log}")
    return int(found[1])


def _sections(elf: bytes) -> dict[str, bytes]:
    """What a file of 64-bit ELF consists of, by name."""
    (start,) = struct.unpack_from("<Q", elf, 40)
    size, count, names = struct.unpack_from("<3H", elf, 58)
    heads = [struct.unpack_from("<2I4Q", elf, start + n * size) for n in range(count)]
    contents = [elf[head[4] : head[4] + head[5]] for head in heads]
    named = [contents[names][head[0] :].partition(b"\0")[0].decode() for head in heads]
    return dict(zip(named, contents, strict=True))


#: Number of the attribute that says what the arguments of a kernel take.
PARAMETER_SIZE = 0x19


def _attributes(info: bytes) -> dict[int, int]:
    """The attributes of a kernel whose value is a number: format, attribute, value or its length."""
    out, place = {}, 0
    while place < len(info):
        kind, attribute, value = struct.unpack_from("<2BH", info, place)
        place += 4 + (value if kind == 4 else 0)
        if kind != 4:
            out[attribute] = value
    return out
