"""Does pretraining in bfloat16 move the accuracy?

    python benchmarks/bench_precision.py [--seeds 0 1 2] [--profile quick] [--threads 1] [--json PATH]

Dense pretraining of a profile on its training clips, with each seed once in float32 and once in bfloat16, evaluated in
the precision it was trained in by the three probes on the test clips. One line a run, then the differences of each
seed, bfloat16 - float32, in points: the two start from the same weights and see the same batches. A last line gives
the share of test clips on which the two precisions of a seed agree, beside that of two seeds of float32, which is what
chance alone changes.
"""

import argparse
import json
import os
import statistics
from itertools import combinations

os.environ.setdefault("TQDM_DISABLE", "1")

import numpy as np
import torch
from timing import start_as_cross4d_does

from cross4d_lib.datasets import load_dataset
from cross4d_lib.encoders import Point4D
from cross4d_lib.evaluation import features, probe_all
from cross4d_lib.experiments import load_profile
from cross4d_lib.precision import PRECISIONS, autocast
from cross4d_lib.targets import build_targets
from cross4d_lib.teachers import load_teacher
from cross4d_lib.training import pretrain


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--profile", default="quick")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--json", metavar="PATH", help="also write the accuracies there")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    p = load_profile(arguments.profile)
    train, test = (
        load_dataset(p.dataset, split=split, frames=p.frames, points=p.points, stride=p.stride, limit=p.clips)
        for split in ("train", "test")
    )
    targets = build_targets(train, load_teacher(p.teacher), p.dim, p.size, encoder=Point4D(**p.encoder))
    found = {}
    for seed in arguments.seeds:
        for precision in PRECISIONS:
            torch.manual_seed(seed)
            encoder = Point4D(**p.encoder)
            log = pretrain(encoder, targets, epochs=p.epochs, seed=seed, batch=p.batch, precision=precision)
            features.autocast = lambda device: autocast(device, precision)  # evaluation follows the hardware by itself
            found[seed, precision] = results = probe_all(encoder, train, test, seed)
            accuracies = ", ".join(f"{name} {result.accuracy:.1%}" for name, result in results.items())
            print(f"seed {seed}, {precision:9s} {accuracies}; {log.clips_per_second:.0f} clips/s, {log.precision}")
    for name in results:
        pairs = [[found[seed, precision][name] for precision in PRECISIONS] for seed in arguments.seeds]
        differences = [100 * (half.accuracy - full.accuracy) for full, half in pairs]
        spread = statistics.stdev([100 * full.accuracy for full, _ in pairs]) if len(pairs) > 1 else float("nan")
        print(
            f"{name:12s} bfloat16 - float32: {', '.join(f'{d:+.1f}' for d in differences)} points,"
            f" mean {statistics.mean(differences):+.1f}; deviation of float32 between seeds {spread:.1f}"
        )
        agreement = statistics.mean(float(np.mean(a.predictions == b.predictions)) for a, b in pairs)
        chance = [float(np.mean(a.predictions == b.predictions)) for (a, _), (b, _) in combinations(pairs, 2)]
        print(f"{'':12s} same prediction: {agreement:.0%}; two seeds of float32 {np.mean(chance or np.nan):.0%}")
    if arguments.json:
        rows = {
            f"{seed} {precision}": {name: result.accuracy for name, result in results.items()}
            for (seed, precision), results in found.items()
        }
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    start_as_cross4d_does(main)
