"""Pictures made here: glass, noise, ink, labels and plain colour are no tissue, pale stroma is."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Colour = tuple[int, int, int]
GLASS: tuple[Colour, ...] = ((255, 255, 255), (245, 244, 242), (238, 232, 226), (225, 222, 220))
INKS: dict[str, Colour] = {
    "blue": (30, 60, 160),
    "light blue": (60, 80, 200),
    "red": (220, 30, 40),
    "dark red": (160, 20, 30),
    "green": (20, 120, 60),
    "black": (20, 20, 20),
}
SIDE = 360


def plain(colour: Colour, side: int = SIDE) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def noisy(pixels: np.ndarray, sigma: float, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray, quality: int = 80) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def pen(inks: Sequence[Colour], glass: Colour = (245, 244, 242), seed: int = 0, side: int = SIDE) -> np.ndarray:
    """Strokes of a felt pen, side by side, blurred and uneven."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (side, side), glass)
    draw = ImageDraw.Draw(image)
    for number, ink in enumerate(inks):
        left, right = side * number / len(inks), side * (number + 1) / len(inks)
        points = [(rng.uniform(left, right), y) for y in np.linspace(side / 9, side / 1.1, 5)]
        draw.line(points, ink, width=int(side / len(inks) / 5), joint="curve")
    drawn = np.asarray(image.filter(ImageFilter.GaussianBlur(2)), np.float32)
    uneven = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 12)
    return np.clip(255 * (drawn / 255) ** (1 + 0.3 * uneven / abs(uneven).max())[..., None], 0, 255).astype(np.uint8)


def label(paper: Colour = (250, 250, 248), print_colour: Colour = (10, 10, 10), side: int = SIDE) -> np.ndarray:
    """Lines of text above a barcode."""
    image = Image.new("RGB", (side, side), paper)
    draw = ImageDraw.Draw(image)
    for line in range(4):
        text = f"S24-0{line}731 A{line} H&E"
        draw.text((20, 15 + line * side // 8), text, print_colour, ImageFont.load_default(side // 12))
    for bar, width in enumerate(np.random.default_rng(3).integers(2, 9, side // 12)):
        draw.rectangle((10 + 11 * bar, side * 0.6, 10 + 11 * bar + int(width), side * 0.95), print_colour)
    return np.asarray(image)


def without_tissue() -> dict[str, np.ndarray]:
    """All of them by name."""
    made = {f"glass {colour}": plain(colour) for colour in GLASS}
    made |= {f"{name}, noise {s}": noisy(made[name], s) for name in list(made) for s in (3, 10, 30)}
    made |= {f"glass {colour}, jpeg": jpeg(noisy(plain(colour), 5), 60) for colour in GLASS}
    made |= {"black": plain((0, 0, 0)), "black, noise": noisy(plain((4, 4, 4)), 6)}
    colours = [
        (200, 100, 160),
        (120, 60, 140),
        (90, 60, 150),
        (255, 192, 203),
        (240, 220, 235),
        (128, 128, 128),
        (60, 90, 160),
    ]
    made |= {f"plain {colour}": plain(colour) for colour in colours}
    made |= {f"plain {colour}, jpeg": jpeg(noisy(plain(colour), 6)) for colour in colours}
    made |= {f"{name} pen": pen([ink] * 3) for name, ink in INKS.items()}
    made |= {f"{name} pen, jpeg": jpeg(noisy(pen([ink] * 2, seed=1), 4)) for name, ink in INKS.items()}
    made |= {"pens": pen(list(INKS.values())), "pens, jpeg": jpeg(pen(list(INKS.values()), seed=2))}
    papers = {"white": (250, 250, 248), "yellow": (250, 240, 120), "pink": (250, 190, 210), "blue": (170, 200, 250)}
    made |= {f"{name} label": label(paper) for name, paper in papers.items()}
    made |= {f"{name} label, jpeg": jpeg(noisy(label(paper), 4)) for name, paper in papers.items()}
    made |= {"label, jpeg": jpeg(label()), "label in blue": label(print_colour=(40, 50, 150))}
    return made


def pale_stroma(size: int = 160) -> np.ndarray:
    """Pale, yellowish fibres and a few dark blue nuclei (size, size, 3), as in a close view of old sections."""
    rows, columns = np.mgrid[:size, :size]
    waves = np.sin(columns / 5 + 3 * np.sin(rows / 23))[..., None]
    pixels = np.array([226.0, 206, 198]) + waves * np.array([8, 12, 10])
    for centre in ((30, 40), (45, 85), (12, 130)):
        cv2.ellipse(pixels, centre, (7, 18), 15, 0, 360, (95, 85, 140), -1)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 1.5) + np.random.default_rng(0).normal(0, 2, pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
