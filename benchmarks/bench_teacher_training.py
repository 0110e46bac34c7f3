"""What does an hour of teacher training buy?

    python benchmarks/bench_teacher_training.py [--models cross4d-tiny ...] [--steps 20] [--device cuda] [--videos 200]
    [--threads N] [--json PATH]

For each named recipe on the device: seconds to compute a clip and its normals (one process), then the training itself
on a pool of ``--videos`` clips: seconds a step, renders a second, renders an hour, and peak memory on a GPU. Both wall
time and the process's own CPU time are given: on a machine that others use too the first says little.
"""

import argparse
import json
import os
import time

os.environ.setdefault("TQDM_DISABLE", "1")

import torch

from cross4d_lib.teacher_training.pool import build_pool
from cross4d_lib.teacher_training.recipe import RECIPES, named_recipe
from cross4d_lib.teacher_training.train import build_objective, train_objective


def measure(model: str, device: torch.device, steps: int, videos: int, clips: int | None) -> dict:
    """Step time of one recipe; the first third of the steps warms up and is not counted."""
    changes = {"bodies.videos": videos, "schedule.steps": steps} | ({"clips": clips} if clips else {})
    recipe = named_recipe(model, device.type, changes)
    began = time.process_time()
    pool = build_pool(recipe.bodies, workers=1)
    computed = (time.process_time() - began) / videos
    times = []

    def note_time(step: int, total: int) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append((time.perf_counter(), time.process_time()))

    log = train_objective(build_objective(recipe, device), recipe, pool.to(device), after_step=note_time)
    warm = steps // 3
    wall, own = ((times[-1][k] - times[warm][k]) / (len(times) - 1 - warm) for k in (0, 1))
    renders = log.epochs[0]["renders"]
    row = {
        "model": model,
        "device": str(device),
        "precision": log.precision,
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "cpu seconds a clip": computed,
        "renders a step": renders,
        "seconds a step": wall,
        "cpu seconds a step": own,
        "renders a second": renders / wall,
        "renders an hour": 3600 * renders / wall,
    }
    return row | ({"peak GB": torch.cuda.max_memory_allocated() / 1e9} if device.type == "cuda" else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(RECIPES))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--clips", type=int, help="a batch; default: the recipe's")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--json")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows = []
    for model in options.models:
        rows.append(measure(model, torch.device(options.device), options.steps, options.videos, options.clips))
        print(
            "\n".join(
                f"{name:26}{value:.4g}" if isinstance(value, float) else f"{name:26}{value}"
                for name, value in rows[-1].items()
            ),
            end="\n\n",
            flush=True,
        )
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
