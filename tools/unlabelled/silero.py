"""Halves the speech activity networks of the Python package silero-vad on made-up sound.

    pip download --no-deps silero-vad && unzip -d MODELS silero_vad-*.whl
    python silero.py --models MODELS/silero_vad/data --out OUT

Sound: syllables (a pulse train of 80 to 300 Hz through three resonances) with pauses, hum, clicks
and noise at -5 to 40 dB. The network reads 32 ms at a time and hands its state on: samples are
windows with the state in which the given network read them, so that they are as in use. What is
compared is the probability of speech, window by window and over whole recordings, where the pruned
network lives on its own state.
"""

from pathlib import Path

import numpy as np
from scipy import signal

import common

RATE, WINDOW, CONTEXT = 16000, 512, 64


def syllables(rng, seconds):
    """Voiced and unvoiced syllables with pauses, about -1 to 1."""
    sound = np.zeros(int(seconds * RATE))
    at = int(rng.uniform(0, 0.6) * RATE)
    while at < len(sound):
        n = min(int(rng.uniform(0.08, 0.35) * RATE), len(sound) - at)
        pitch = rng.uniform(80, 300) * (1 + rng.uniform(-0.15, 0.15) * np.linspace(0, 1, n))
        source = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0)
        if rng.random() < 0.2:
            source = rng.normal(0, 0.1, n)
        for centre, width in zip((rng.uniform(250, 900), rng.uniform(800, 2400), 2900), (60, 90, 150)):
            radius = np.exp(-np.pi * width / RATE)
            turn = 2 * np.pi * centre / RATE
            source = signal.lfilter([1 - radius], [1, -2 * radius * np.cos(turn), radius**2], source)
        shape = np.hanning(n) ** 0.5
        sound[at : at + n] += source / (np.abs(source).max() + 1e-9) * shape * rng.uniform(0.3, 1)
        at += n + int(RATE * (rng.uniform(0, 0.1) if rng.random() < 0.8 else rng.uniform(0.3, 1.5)))
    return sound


def recording(rng, seconds):
    sound = syllables(rng, seconds) if rng.random() < 0.8 else np.zeros(int(seconds * RATE))
    t = np.arange(len(sound)) / RATE
    noise = rng.normal(0, 1, len(sound))
    noise = signal.lfilter([1], [1, -rng.uniform(0, 0.95)], noise)
    noise += rng.uniform(0, 2) * np.sin(2 * np.pi * rng.choice([50, 100, 400, 1000]) * t)
    noise[rng.integers(len(sound), size=rng.integers(0, 20))] += 20
    noise *= 10 ** (-rng.uniform(-5, 40) / 20) * 0.1 / (noise.std() + 1e-9)
    return (np.clip(sound * rng.uniform(0.02, 0.5) + noise, -1, 1)).astype(np.float32)


def windows(sound):
    """[windows, 576]: 512 values, with the 64 in front of them."""
    padded = np.concatenate([np.zeros(CONTEXT, np.float32), sound])
    n = len(sound) // WINDOW
    return np.stack([padded[i * WINDOW : i * WINDOW + CONTEXT + WINDOW] for i in range(n)])


def play(running, parts):
    """Probabilities of speech, and the states in front of each window, [windows, 2, 128]."""
    state, speech, states = np.zeros((2, 1, 128), np.float32), [], []
    for part in parts:
        states.append(state[:, 0])
        given, state = running.run(["output", "stateN"], {"input": part[None], "state": state})
        speech.append(given.item())
    return np.array(speech), np.stack(states)


def main():
    parser = common.options(__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--file", default="silero_vad_openvino_16k.onnx")
    parser.add_argument("--recordings", type=int, default=60)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    given = args.models / args.file
    running, rng = common.session(given), np.random.default_rng(0)
    read = [windows(recording(rng, 4)) for _ in range(args.recordings)]
    states = np.concatenate([play(running, parts)[1] for parts in read])
    data = args.out / "sound.npz"
    np.savez(data, input=np.concatenate(read), state=states)

    rng = np.random.default_rng(1000)
    held = [windows(recording(rng, 10)) for _ in range(40)]
    right = np.concatenate([play(running, parts)[0] for parts in held])
    print(f"{len(states)} windows; speech in {np.mean(right > 0.5):.3f} of those held out")
    for way in args.ways:
        out = args.out / f"silero-{way}.onnx"
        seconds = common.prune(args, given, out, way, "--data", data, "--budget", args.budget)
        pruned = common.session(out)
        here = np.concatenate([play(pruned, parts)[0] for parts in held])
        figures = {
            "same side of 0.5": np.mean((right > 0.5) == (here > 0.5)),
            "deviation explained": 1 - np.mean((right - here) ** 2) / right.var(),
        }
        feed = {"input": held[0][:1], "state": np.zeros((2, 1, 128), np.float32)}
        common.row("silero", way, figures, common.latency([given, out], feed), seconds)


if __name__ == "__main__":
    main()
