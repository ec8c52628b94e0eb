"""Draws scenes of discs, squares and triangles, with a mask and a box of each.

Shapes are one of three classes, of any colour that the ground lets see, turned, partly hidden by
those drawn later, on a shaded ground with noise.
"""

import numpy as np
from PIL import Image, ImageDraw

CLASSES = ("disc", "square", "triangle")


def corners(kind, centre, radius, angle):
    n = {"square": 4, "triangle": 3}[kind]
    turns = angle + np.arange(n) * 2 * np.pi / n
    return [(centre[0] + radius * np.cos(t), centre[1] + radius * np.sin(t)) for t in turns]


def scene(rng, side, most=4):
    """An RGB image, its mask (0 ground, 1 + class) and its boxes [class, x1, y1, x2, y2]."""
    ground = np.array(rng.uniform(0, 255, 3))
    slope = np.linspace(-1, 1, side)
    shade = slope[None, :, None] * rng.uniform(-50, 50) + slope[:, None, None] * rng.uniform(-50, 50)
    image = Image.fromarray(np.clip(ground + shade, 0, 255).astype(np.uint8))
    mask = Image.new("L", (side, side), 0)
    drawn = []
    for _ in range(rng.integers(1, most + 1)):
        label = int(rng.integers(len(CLASSES)))
        radius = rng.uniform(0.08, 0.22) * side
        centre, angle = rng.uniform(0.1 * side, 0.9 * side, 2), rng.uniform(0, 2 * np.pi)
        colour = ground
        while np.abs(colour - ground).sum() < 150:
            colour = rng.uniform(0, 255, 3)
        alone = Image.new("L", (side, side), 0)
        for canvas, fill in (
            (image, tuple(colour.astype(int))),
            (mask, label + 1),
            (alone, 255),
        ):
            draw = ImageDraw.Draw(canvas)
            if CLASSES[label] == "disc":
                draw.ellipse([*(centre - radius), *(centre + radius)], fill=fill)
            else:
                draw.polygon(corners(CLASSES[label], centre, radius, angle), fill=fill)
        drawn.append((label, np.asarray(alone) > 0))
    pixels = np.asarray(image, np.float32) + rng.normal(0, rng.uniform(0, 25), (side, side, 3))
    boxes = []
    for index, (label, whole) in enumerate(drawn):
        seen = whole.copy()
        for _, later in drawn[index + 1 :]:
            seen &= ~later
        # What is hidden by half or more is not asked for.
        if seen.sum() > whole.sum() / 2:
            rows, columns = np.where(whole.any(1))[0], np.where(whole.any(0))[0]
            boxes.append([label, columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return np.clip(pixels, 0, 255).astype(np.uint8), np.asarray(mask), boxes


def scenes(seed, count, side):
    """Images [n, side, side, 3] and masks [n, side, side] as bytes, and boxes by image."""
    rng = np.random.default_rng(seed)
    images, masks, boxes = zip(*(scene(rng, side) for _ in range(count)))
    return np.stack(images), np.stack(masks), list(boxes)


def save(folder, images):
    """The images as files, without labels."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:05}.png")


def inputs(images):
    """Values 0 to 1, [n, 3, side, side]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / 255
