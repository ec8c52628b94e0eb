"""Draws text images: pages, lines and words of random text, with noise, scale and blur.

    python text_images.py OUT --pages 600 --lines 2000 --fonts /usr/share/fonts

OUT/pages holds images of several lines (text detection), OUT/lines one line each (recognition)
and OUT/turned their beginnings, every other one upside down (direction). Fonts: whatever TrueType files lie under
--fonts, such as Debian's packages fonts-dejavu-core, fonts-liberation and fonts-freefont-ttf. No
text is stored: nothing here reads labels.
"""

import argparse
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
WORDS = (
    "the of and to in that it was for on are with as his they be at one have this from or had by "
    "hot but some what there we can out other were all your when up use word how said an each she "
    "which do their time if will way about many then them would write like so these her long make "
    "thing see him two has look more day could go come did my sound no most number who over know "
    "Total Invoice Date Amount Station Platform Street Open Closed Exit Price Weight Number Page"
).split()


def is_usable(path):
    """Letters, of any size: neither symbols nor a font of bitmaps in a single size."""
    if any(word in str(path) for word in ("Math", "Symbol", "Emoji", "Dingbats")):
        return False
    try:
        return all(ImageFont.truetype(str(path), size).getlength("a") > 0 for size in (12, 31))
    except OSError:
        return False


def text(rng, length):
    """Words, numbers and codes of at least `length` characters."""
    parts = []
    while sum(map(len, parts)) + len(parts) < length:
        kind = rng.random()
        if kind < 0.7:
            parts.append(rng.choice(WORDS))
        elif kind < 0.85:
            parts.append(f"{rng.uniform(0, 9999):.{rng.choice([0, 2])}f}")
        else:
            parts.append("".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 7))))
    return " ".join(parts)


def colours(rng):
    """A background and an ink that can be told apart."""
    while True:
        back = [rng.randint(0, 255) for _ in range(3)]
        ink = [rng.randint(0, 255) for _ in range(3)]
        if abs(sum(back) - sum(ink)) > 240:
            return tuple(back), tuple(ink)


def background(rng, size, colour):
    """A plain or shaded ground with blots."""
    width, height = size
    ground = np.ones((height, width, 3)) * np.array(colour)
    slope = np.linspace(-1, 1, width)[None, :, None] * rng.uniform(-40, 40)
    slope = slope + np.linspace(-1, 1, height)[:, None, None] * rng.uniform(-40, 40)
    image = Image.fromarray(np.clip(ground + slope, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.randint(0, 4)):
        x, y = rng.randint(0, width), rng.randint(0, height)
        w, h = rng.randint(5, width // 2), rng.randint(5, height // 2)
        shade = tuple(int(np.clip(c + rng.randint(-50, 50), 0, 255)) for c in colour)
        draw.ellipse([x - w // 2, y - h // 2, x + w // 2, y + h // 2], fill=shade)
    return image


def worn(rng, image):
    """Blur, noise, and another scale in between."""
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.2)))
    if rng.random() < 0.4:
        size, factor = image.size, rng.uniform(0.5, 0.9)
        small = [max(8, int(side * factor)) for side in size]
        image = image.resize(small, Image.BILINEAR).resize(size, Image.BILINEAR)
    values = np.asarray(image, dtype=np.float32)
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(0, 14), values.shape)
    return Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8))


def page(rng, fonts, side):
    back, ink = colours(rng)
    image = background(rng, (side, side), back)
    draw = ImageDraw.Draw(image)
    y = rng.randint(0, side // 6)
    while y < side - 12:
        size = rng.randint(12, max(14, side // 9))
        font = ImageFont.truetype(rng.choice(fonts), size)
        if rng.random() < 0.75:
            line = text(rng, rng.randint(3, max(4, 2 * side // size)))
            draw.text((rng.randint(2, side // 2), y), line, font=font, fill=ink)
        y += int(size * rng.uniform(1.2, 2.6))
    image = image.rotate(rng.uniform(-8, 8), Image.BICUBIC, fillcolor=back)
    return worn(rng, image)


def line(rng, fonts, size):
    """One line that fills the height, cut or padded to the width."""
    width, height = size
    back, ink = colours(rng)
    image = background(rng, size, back)
    font = ImageFont.truetype(rng.choice(fonts), int(height * rng.uniform(0.55, 0.8)))
    words = text(rng, rng.randint(2, 22))
    while words and font.getlength(words) > width - 8:
        words = words[:-1]
    top = (height - sum(font.getmetrics())) // 2 + rng.randint(-2, 2)
    ImageDraw.Draw(image).text((rng.randint(2, 6), top), words, font=font, fill=ink)
    return worn(rng, image)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--pages", type=int, default=600)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--side", type=int, default=320, help="of pages, pixels")
    parser.add_argument("--line", default="320x48", help="of lines, WIDTHxHEIGHT")
    parser.add_argument("--fonts", type=Path, default=Path("/usr/share/fonts"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    fonts = sorted(str(path) for path in args.fonts.rglob("*.ttf") if is_usable(path))
    if not fonts:
        raise SystemExit(f"no TrueType fonts under {args.fonts}: apt install fonts-dejavu-core")
    for name in ("pages", "lines", "turned"):
        (args.out / name).mkdir(parents=True, exist_ok=True)
    for index in range(args.pages):
        page(rng, fonts, args.side).save(args.out / "pages" / f"{index:05}.png")
    size = tuple(int(side) for side in args.line.split("x"))
    for index in range(args.lines):
        image = line(rng, fonts, size)
        image.save(args.out / "lines" / f"{index:05}.png")
        narrow = image.crop((0, 0, 4 * size[1], size[1]))
        if index % 2:
            narrow = narrow.transpose(Image.ROTATE_180)
        narrow.save(args.out / "turned" / f"{index:05}.png")


if __name__ == "__main__":
    main()
