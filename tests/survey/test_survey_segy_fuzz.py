"""Damaged SEG-Y files end in a clear error or in exactly what an independent reader finds: never in anything else."""

from __future__ import annotations

import signal
import warnings

import numpy as np
import pytest
from rawsegy import BINARY, FIELDS, line, read, segy

from seisops.errors import SeisopsError
from seisops.survey import Survey, check, info

CASES = 600
TRACE = 240 + 4 * 8


def original(rng):
    traces, samples = line(shots=3, receivers=4, ns=8, scalar=-10, elevation_scalar=-100)
    return bytearray(segy(traces, samples, revision=int(rng.choice([0, 0x0100])), measurement=int(rng.choice([1, 2]))))


def mutate(rng, data):
    """Some damage: a field, a byte of a header, a byte anywhere, a piece cut out, added or moved."""
    kind = rng.integers(6)
    if kind == 0:
        byte, size = list(FIELDS.values())[rng.integers(len(FIELDS))]
        at = 3600 + int(rng.integers(12)) * TRACE + byte - 1
        width = 4 if size == "i" else 2
        data[at : at + width] = rng.integers(0, 256, width, dtype="u1").tobytes()
    elif kind == 1:
        byte, _ = list(BINARY.values())[rng.integers(len(BINARY))]
        data[byte - 1 : byte + 1] = rng.choice([0, 1, 2, 3, 5, 8, 255], 2).astype("u1").tobytes()
    elif kind == 2:
        at = 3600 + int(rng.integers(12)) * TRACE + int(rng.integers(240))
        data[min(at, len(data) - 1)] = rng.integers(256)
    elif kind == 3:
        data[rng.integers(3200, len(data))] ^= 1 << rng.integers(8)
    elif kind == 4:
        a = int(rng.integers(len(data)))
        del data[a : a + int(rng.integers(1, 600))]
    else:
        a = int(rng.integers(3200, len(data)))
        data[a:a] = rng.integers(0, 256, int(rng.choice([1, 240, TRACE])), dtype="u1").tobytes()
    return data


def found(survey):
    return sorted(
        (tuple(shot.sources[0]), tuple(r), shot.time.start, d.tobytes())
        for shot in survey
        for r, d in zip(shot.receivers, shot.data, strict=True)
    )


def expected(data, dtype):
    return sorted((s, r, t, np.array(d, dtype).tobytes()) for s, r, t, d in read(data))


def late(*_):
    raise TimeoutError("a damaged file took more than 20 s")


@pytest.mark.parametrize("seed", range(6))
def test_damaged_files(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path, whole = tmp_path / "damaged.segy", 0
    previous = signal.signal(signal.SIGALRM, late)
    try:
        for case in range(CASES // 6):
            data = original(rng)
            for _ in range(rng.integers(1, 4)):
                data = mutate(rng, data)
            data = bytes(data)
            path.write_bytes(data)
            signal.alarm(20)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    survey = Survey.from_segy(path, ndim=3, on_duplicate="keep")
                    got = found(survey)
            except SeisopsError as error:
                assert "damaged.segy" in str(error), (case, error)
            else:
                whole += 1
                assert got == expected(data, survey.dtype), (seed, case)
            for finding in check(path, samples=True):
                assert str(finding)
            try:
                assert str(info(path))
            except SeisopsError as error:
                assert "damaged.segy" in str(error), (case, error)
            signal.alarm(0)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
    assert CASES // 60 < whole < CASES // 6, "the damage should spare some files, and not all"
