"""onnxsim's structured pruning, and what it offers to get back what was lost.

A file is simplified first, as onnxsim wants it (batch norms in front of nothing but convolutions).
Of the share of channels that it takes from every layer, the smallest is searched that leaves the
multiply-adds asked for; where it cannot take so many, since it leaves most layers alone, half of the
channels of the others go. `tuned` is what its documentation names: `apply_pruning_finetune` (layers
in closed form), then `apply_block_finetune_all_blocks` (blocks by Adam), at several learning rates, of
which the one is kept that comes nearest on the calibration inputs.
"""

import time

import numpy as np
import onnx
import onnxruntime
import onnxsim

SCORES = {
    "wanda": lambda model, data, share: onnxsim.apply_structured_wanda_pruning(
        model, calibration_data=data, sparsity=share
    ),
    "l2": lambda model, data, share: onnxsim.apply_structured_pruning(model, sparsity=share),
}
WAYS = ("cut", "tuned")

# Shares of channels that are tried: up to this one, in this many halvings.
MOST, HALVINGS = 0.95, 7
# Share of channels that goes where even `MOST` leaves too much.
HALF = 0.5
# A file that keeps more of its multiply-adds has not been pruned.
NOTHING_GONE = 0.999


class Pruned:
    """A file, simplified and cut. `share`: what is left of the multiply-adds."""

    def __init__(self, given, calibration, args):
        self.begin = time.time()
        self.calibration, self.args, self.score = calibration, args, SCORES[args.score]
        self.simplified = onnxsim.simplify(onnx.load(given))[0]
        self.model, self.share, self.seconds = None, None, None

    def cut_to(self, target, left, folder):
        """Searches the share of channels whose removal leaves `target` of the multiply-adds; returns
        what is left at least, if that is more."""
        file = folder / "peer-try.onnx"

        def attempt(channels):
            model = self.score(self.simplified, self.calibration, channels)
            onnx.save(model, file)
            return model, left(file)

        low, high = 0.0, MOST
        self.model, self.share = attempt(high)
        least = self.share
        if least > NOTHING_GONE:
            raise ValueError("it finds no channels to remove")
        if least > target:
            self.model, self.share = attempt(HALF)
        for _ in range(HALVINGS if least <= target else 0):
            middle = (low + high) / 2
            model, share = attempt(middle)
            if share > target:
                low = middle
            else:
                high, self.model, self.share = middle, model, share
        file.unlink()
        self.seconds = round(time.time() - self.begin)
        return least if least > target else None

    def write(self, way, out):
        if way == "cut":
            return onnx.save(self.model, out)
        solved = onnxsim.apply_pruning_finetune(
            self.simplified, self.model, calibration_data=self.calibration
        )
        candidates, told = [self.model, solved], []
        for rate in self.args.rates:
            tuned, results = onnxsim.apply_block_finetune_all_blocks(
                self.simplified,
                solved,
                calibration_data=self.calibration,
                num_iterations=self.args.iterations,
                learning_rate=rate,
                batch_size=len(next(iter(self.calibration[0].values()))),
            )
            candidates.append(tuned)
            told += [
                f"rate {rate}: {r.block.input_name} to {r.block.output_name}: "
                + ("trained" if r.trained else f"skipped, {r.skipped_reason}")
                for r in results
            ]
        out.with_suffix(".txt").write_text("\n".join(told) + "\n")
        errors = [self.error(model) for model in candidates]
        onnx.save(candidates[int(np.nanargmin(errors))], out)

    def error(self, model):
        """Squared error of all outputs on the calibration inputs, in units of their variance."""
        right, here = (self.outputs(one) for one in (self.simplified, model))
        return float(np.mean([((a - b) ** 2).mean() / a.var() for a, b in zip(right, here)]))

    def outputs(self, model):
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        running = onnxruntime.InferenceSession(model.SerializeToString(), settings)
        given = [running.run(None, feed) for feed in self.calibration]
        return [np.concatenate([row.ravel() for row in rows]) for rows in zip(*given)]
