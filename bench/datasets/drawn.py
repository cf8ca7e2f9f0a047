"""Traffic signs drawn by a program, for a first look without any file: a stop sign, or one of six that are not.

Each is drawn large, turned, scaled, set before a piece of one of scikit-learn's two photographs, darkened or tinted as the
weather would, reduced to 32x32, blurred and covered with noise. Three of the others are red too, one is octagonal; so neither
the colour nor the shape alone gives the stop sign away.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from bench.datasets.entry import CLASSIFICATION, Data

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

N = 1_500
SIDE = 32
#: Signs are drawn this much larger and then reduced.
SCALE = 4
SEED = 20_260_102
#: One in three is a stop sign; the others share the rest.
OTHERS = ("give way", "no entry", "speed limit", "keep right", "priority road", "blue octagon")

_RED, _WHITE, _BLUE, _YELLOW, _BLACK = (186, 22, 32), (240, 240, 236), (18, 66, 158), (238, 190, 20), (20, 20, 20)


@functools.cache
def drawn_signs() -> Data:
    """Return 1,500 drawn signs of 32x32 pixels in colour: stop sign or not; the same ones at every call.

    Examples
    --------
    >>> data = drawn_signs()
    >>> data.X.shape, data.classes, int(data.y.sum())
    ((1500, 3072), ('other', 'stop sign'), 500)
    """
    import numpy as np
    from sklearn.datasets import load_sample_images

    random = np.random.default_rng(SEED)
    photographs = load_sample_images().images
    y = random.permutation(np.arange(N) < N // 3).astype(np.int64)
    X = np.empty((N, SIDE, SIDE, 3), np.uint8)
    for i in range(N):
        kind = "stop" if y[i] else OTHERS[random.integers(len(OTHERS))]
        X[i] = _photograph(_sign(kind), photographs[random.integers(len(photographs))], random)
    return Data(
        "drawn_signs", X.reshape(N, -1), y, CLASSIFICATION, classes=("other", "stop sign"), image_shape=(SIDE, SIDE, 3),
        facts={"about": "signs drawn by a program, not photographed"},
    )  # fmt: skip


def _polygon(n: int, radius: float, turn: float = 0.0) -> list[tuple[float, float]]:
    """Return the corners of a regular polygon around (0.5, 0.5), the first one `turn` radians from the right."""
    angles = [turn + 2 * math.pi * k / n for k in range(n)]
    return [(0.5 + radius * math.cos(a), 0.5 + radius * math.sin(a)) for a in angles]


@functools.cache
def _sign(kind: str) -> Image.Image:
    """Return a sign on nothing, (160, 160) in red, green, blue and opacity."""
    from PIL import Image, ImageDraw, ImageFont

    side = 160
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)

    def shape(corners: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        draw.polygon([(side * x, side * y) for x, y in corners], fill=colour)

    def disc(radius: float, colour: tuple[int, int, int]) -> None:
        draw.ellipse([side * (0.5 - radius)] * 2 + [side * (0.5 + radius)] * 2, fill=colour)

    def words(text: str, size: int, colour: tuple[int, int, int]) -> None:
        draw.text((side / 2, side / 2), text, font=ImageFont.load_default(size), fill=colour, anchor="mm", stroke_width=2,
                  stroke_fill=colour)  # fmt: skip

    if kind in ("stop", "blue octagon"):
        shape(_polygon(8, 0.5, math.pi / 8), _WHITE)
        shape(_polygon(8, 0.46, math.pi / 8), _RED if kind == "stop" else _BLUE)
        words("STOP" if kind == "stop" else "P", 46 if kind == "stop" else 90, _WHITE)
    elif kind == "give way":
        shape(_polygon(3, 0.5, math.pi / 2), _RED)
        shape(_polygon(3, 0.28, math.pi / 2), _WHITE)
    elif kind == "no entry":
        disc(0.48, _RED)
        draw.rectangle([side * 0.2, side * 0.42, side * 0.8, side * 0.58], fill=_WHITE)
    elif kind == "speed limit":
        disc(0.48, _RED)
        disc(0.37, _WHITE)
        words("50", 70, _BLACK)
    elif kind == "keep right":
        disc(0.48, _BLUE)
        shape([(0.3, 0.3), (0.4, 0.25), (0.62, 0.55), (0.7, 0.48), (0.72, 0.75), (0.46, 0.72), (0.53, 0.64)], _WHITE)
    else:
        shape(_polygon(4, 0.5), _WHITE)
        shape(_polygon(4, 0.42), _YELLOW)
    return image


def _photograph(sign: Image.Image, behind: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the sign as a camera might have seen it, (32, 32, 3) uint8."""
    import numpy as np
    from PIL import Image, ImageFilter

    side = SIDE * SCALE
    row, column = (int(random.integers(0, behind.shape[axis] - side)) for axis in (0, 1))
    scene = Image.fromarray(behind[row : row + side, column : column + side]).convert("RGBA")
    size = int(side * random.uniform(0.45, 0.95))
    turned = sign.resize((size, max(8, int(size * random.uniform(0.8, 1.0)))), Image.Resampling.BILINEAR)
    turned = turned.rotate(float(random.uniform(-15, 15)), resample=Image.Resampling.BILINEAR, expand=True)
    free = [max(side - turned.size[axis], 0) for axis in (0, 1)]
    scene.alpha_composite(turned.crop((0, 0, side, side)), tuple(int(random.integers(0, f + 1)) for f in free))
    small = scene.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    small = small.filter(ImageFilter.GaussianBlur(float(random.uniform(0, 0.9))))
    light = random.uniform(0.25, 1.1) * random.uniform(0.8, 1.2, 3)
    pixels = np.asarray(small, np.float64) * light + random.normal(0, random.uniform(2, 14), (SIDE, SIDE, 3))
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)
