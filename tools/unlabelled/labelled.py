"""The comparison of networks whose labels are known, to which `prune` is blind."""

import shlex
import sys

import numpy as np

import common


def compare(description, name, script, measure):
    """Prunes OUT/NAME.onnx without labels, by every way and by the user's own measure; prints what
    `measure` gives against labels before, right after the cut, and after healing."""
    common.WAYS.update(
        {
            "cut": ["--no-train"],
            "metric": ["--mode", "aec", "--max-drop", "2"],
        }
    )
    parser = common.options(description)
    parser.add_argument("verb", choices=["prune"])
    parser.set_defaults(ways=["cut", *common.WAYS])
    args = parser.parse_args()
    given, images = args.out / f"{name}.onnx", args.out / "images"
    feed_name = common.session(given).get_inputs()[0]
    feed = {feed_name.name: np.zeros([1, *feed_name.shape[1:]], np.float32)}
    print(f"{name}: {measure(given):.4f} against labels")
    for way in dict.fromkeys(args.ways):
        out = args.out / f"{name}-{way}.onnx"
        more = [] if way == "cut" else ["--data", images, "--normalise", "none"]
        if way == "metric":
            command = [sys.executable, script, "val"]
            more += ["--metric", shlex.join(map(str, command)) + " {model}"]
        else:
            more += ["--budget", args.budget]
        seconds = common.prune(args, given, out, way, *more)
        times = common.latency([given, out], feed)
        common.row(name, way, {"against labels": measure(out)}, times, seconds)
