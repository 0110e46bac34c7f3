"""One look for every figure: colours that colour-blind readers tell apart, shapes beside the colours, sizes, saving.

Colours are Okabe and Ito's; numbers are drawn in cividis. No meaning rests on a colour alone: a series has a marker
shape, the frozen side is dashed, what is hidden is hollow.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from PIL.PngImagePlugin import PngInfo

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
INK, MUTED, HIDDEN, PALE = "#222222", "#5F5F5F", "#8C8C8C", "#D8D8D8"  # text, small text, occluded points
FROZEN, TRAINED, ANCHOR = BLUE, VERMILION, VERMILION
SCALAR = "cividis"
SERIES = {  # pretext or method -> (colour, marker)
    "dense": (BLUE, "o"),
    "global": (ORANGE, "s"),
    "random": (MUTED, "^"),
    "scratch": (BLACK, "D"),
    "i-JEPA": (GREEN, "v"),
    "MaST-Pre": (PURPLE, "P"),
    "Uni4D": (SKY, "X"),
    "paper": (BLACK, "*"),
}
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, BLACK)  # classes, in order
WIDTH = 10.0  # inches, a notebook's column
EMBEDDED = 256  # colours of a picture inside a notebook, which must stay small
TEXT, SMALL = 10.0, 8.5  # points, at WIDTH

LOOK = {
    "font.family": "DejaVu Sans",
    "font.size": TEXT,
    "mathtext.fontset": "dejavusans",
    "text.color": INK,
    "axes.titlesize": TEXT,
    "axes.labelsize": TEXT,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#DDDDDD",
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "lines.markersize": 7.0,
    "image.cmap": SCALAR,
    "image.interpolation": "nearest",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100.0,
}


def look(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: the function draws in this look, whatever the reader's matplotlib settings are, and leaves them
    alone."""

    @wraps(draw)
    def in_look(*args, **kwargs) -> Figure:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(LOOK)
            return draw(*args, **kwargs)

    return in_look


def class_colours(count: int) -> list[str]:
    """``count`` colours for classes: the palette, then its colours darkened, lightened, and so on from the start."""
    from matplotlib.colors import to_hex, to_rgb

    tone = lambda colour, towards, share: to_hex([c + share * (towards - c) for c in to_rgb(colour)])
    every = [
        *PALETTE,
        *(tone(c, 0.0, 0.45) for c in PALETTE[:-1]),
        *(tone(c, 1.0, 0.5) for c in PALETTE[:-1]),
    ]  # black has no tones
    return [every[k % len(every)] for k in range(count)]


def png(figure: Figure, dpi: float = 160, text: str = "", colours: int | None = None) -> bytes:
    """The figure as PNG bytes: the same figure gives the same bytes. text : stored in the file as its description.

    colours : so many at most, chosen for this picture, which makes the file three times smaller; None keeps them all.
    """
    canvas = FigureCanvasAgg(figure)
    before = figure.dpi
    figure.set_dpi(dpi)
    try:
        canvas.draw()
        image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    finally:
        figure.set_dpi(before)
    if colours:
        image = image.quantize(colours, method=Image.Quantize.MEDIANCUT, kmeans=2, dither=Image.Dither.NONE)
    described = PngInfo()
    if text:
        described.add_itxt("Description", text)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True, dpi=(dpi, dpi), pnginfo=described)
    return stream.getvalue()


def save_figure(figure: Figure, path: str | Path, dpi: float = 160) -> Path:
    """Write the figure as PNG, with its alt text inside, and return the path. Folders are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(figure, dpi, figure.get_label()))
    return path


@dataclass(frozen=True)
class Picture:
    """A figure as a notebook shows it: PNG with alt text. It is the last line of a cell, or an argument of
    ``display``."""

    image: bytes
    text: str

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": base64.b64encode(self.image).decode(), "text/plain": self.text}
        return data, {"image/png": {"alt": self.text}}


def alt(figure: Figure, text: str = "", dpi: float = 125) -> Picture:
    """The figure with alt text, to show in a notebook. text : "" takes what the figure says of itself (its label)."""
    text = text or figure.get_label()
    return Picture(png(figure, dpi, text, EMBEDDED), text)
