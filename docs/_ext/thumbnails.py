"""Thumbnails of the gallery: the last panel with an image of a page, without its axes.

Sphinx-Gallery takes a whole figure, of which at that size nothing can be seen. The scraper saves panels while figures are
there; when all pages have been run they take the place of what Sphinx-Gallery made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

RATIO = 400 / 280  # of Sphinx-Gallery's thumbnails


def scrape(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """What Sphinx-Gallery does with figures of matplotlib; the last panel with an image is saved beside them."""
    import matplotlib.pyplot as plt
    from sphinx_gallery.scrapers import matplotlib_scraper

    figures = [plt.figure(number) for number in plt.get_fignums()]
    rst = matplotlib_scraper(block, block_vars, gallery_conf)
    panels = [axes for figure in figures for axes in figure.axes if axes.images]
    if panels:
        _save(panels[-1], Path(block_vars["target_file"]))
    return rst


def _save(axes: Any, page: Path) -> None:
    """A panel of a figure that has been drawn, cut to the shape of thumbnails about its middle."""
    box = axes.get_window_extent()
    width, height = min(box.width, RATIO * box.height), min(box.height, box.width / RATIO)
    box = box.shrunk(width / box.width, height / box.height).anchored("C", container=box)
    inches = box.transformed(axes.figure.dpi_scale_trans.inverted())
    axes.figure.set_layout_engine("none")  # or it would move with the resolution
    axes.set_axis_off()
    axes.set_title("")
    axes.figure.savefig(_panel(page), bbox_inches=inches, dpi=420 / inches.width)


def _panel(page: Path) -> Path:
    return page.parent / "images" / f"{page.stem}_panel.png"


def replace(app: Any) -> None:
    """Make thumbnails of panels."""
    from sphinx_gallery.utils import scale_image

    for page in (Path(app.srcdir) / app.config.sphinx_gallery_conf["gallery_dirs"]).glob("*/*.py"):
        if not _panel(page).is_file():
            continue
        for thumbnail in (page.parent / "images" / "thumb").glob(f"sphx_glr_{page.stem}_thumb.*"):  # of movies a gif
            scale_image(_panel(page), thumbnail, *app.config.sphinx_gallery_conf.get("thumbnail_size", (400, 280)))


def _get_sg_image_scraper() -> Any:
    """What Sphinx-Gallery asks a module for."""
    return scrape


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", replace, priority=900)  # after the pages have been run
    return {"parallel_read_safe": True, "parallel_write_safe": True}
