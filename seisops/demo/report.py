"""What the demonstration leaves behind: a table, arrays and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seisops.demo.workflow import Result, preconditioner
from seisops.wave.space import Wavefield

__all__ = ["report", "save"]


def report(result: Result) -> str:
    """The table of a run, as text."""
    s, grid = result.settings, result.grid
    vp = result.m**-0.5
    cells = " x ".join(map(str, grid.shape))
    spacing = " x ".join(f"{h:g}" for h in dict.fromkeys(grid.spacing))
    seconds = result.seconds
    per_iteration = seconds["least squares"] / max(1, len(result.lsrtm_misfit) - 1)
    lines = [
        f"model       {cells} cells (x, z) of {spacing} m, {vp.min():.0f} to {vp.max():.0f} m/s",
        f"survey      {s.shots} shots, {len(result.receivers)} receivers, {result.time.n} samples of "
        f"{result.time.step * 1e3:g} ms, {s.f0:g} Hz Ricker",
        f"time        {sum(seconds.values()):.1f} s in all; {result.seconds_per_shot:.2f} s to model a shot, "
        f"{per_iteration:.1f} s for an iteration of least squares",
        f"memory      {result.peak_bytes / 2**30:.2f} GiB at the peak",
        "",
        "            least-squares    full-waveform inversion",
        "iteration   misfit (%)       misfit (%)   model error (%)",
    ]
    columns = (result.lsrtm_misfit, result.fwi_misfit, result.fwi_error)
    for i in range(max(map(len, columns))):
        a, b, c = (f"{100 * column[i]:.1f}" if i < len(column) else "" for column in columns)
        lines.append(f"{i:9d}   {a:>10}       {b:>10}   {c:>15}".rstrip())
    lines += [
        "",
        "misfit: norm of the residual over that of the data, linearised data for least squares, modelled data for",
        "the inversion; model error: norm of m - m_true over that at the start (m is squared slowness).",
    ]
    return "\n".join(lines)


def save(result: Result, folder: Path, figures: bool = True) -> list[Path]:
    """Write table, arrays and figures into a folder, and return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.txt").write_text(report(result) + "\n", encoding="utf-8")
    np.savez_compressed(folder / "arrays.npz", **result.arrays())  # type: ignore[arg-type]
    written = [folder / "table.txt", folder / "arrays.npz"]
    return written + (_draw(result, folder) if figures else [])


def _draw(result: Result, folder: Path) -> list[Path]:
    from seisops.plot.canvas import plain

    written = []
    with plain():
        for name, figure in _figures(result).items():
            written.append(folder / f"{name}.png")
            figure.savefig(written[-1], dpi=100)
    return written


def _figures(result: Result) -> dict:
    from seisops import plot

    grid, vp = result.grid, result.m**-0.5
    limits = float(vp.min()), float(vp.max())
    middle = result.settings.shots // 2
    drawn = {
        "model": plot.model(grid, vp, "true model", limits=limits),
        "start": plot.model(grid, result.m0**-0.5, "starting model", limits=limits),
        "shot": plot.record(
            result.time, result.data[middle], result.receivers[:, 0], f"shot at x = {result.sources[middle, 0]:.0f} m"
        ),
        "perturbation": plot.image(grid, _micro(result.m - result.m0), "true perturbation", "m - m0 (s2/km2)"),
        "rtm": plot.image(grid, _shown(result), "reverse-time migration", "gradient, scaled with depth"),
        "lsrtm": plot.image(grid, _micro(result.lsrtm), "least-squares migration", "m - m0 (s2/km2)"),
        "fwi": plot.panels(
            grid,
            {"true model": vp, "starting model": result.m0**-0.5, "full-waveform inversion": result.fwi**-0.5},
            limits=limits,
            columns=1,
        ),
        "misfit": plot.curves(
            {
                "least-squares migration": result.lsrtm_misfit,
                "full-waveform inversion": result.fwi_misfit,
                "model error of the inversion": result.fwi_error,
            },
            ylabel="relative norm",
            title="convergence",
        ),
    }
    return {name: (axes[0] if isinstance(axes, list) else axes).figure for name, axes in drawn.items()}


def _micro(m):
    return 1e6 * m


def _shown(result: Result):
    """The migrated image as it is drawn: muted at the top, where the sources are, and scaled with depth."""
    D = preconditioner(Wavefield(result.grid, result.time), result.settings.mute)
    return (D @ result.rtm.ravel()).reshape(result.grid.shape)
