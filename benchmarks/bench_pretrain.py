"""How fast is pretraining, and what share of what this machine can multiply does it use?

    python benchmarks/bench_pretrain.py [--json PATH] [--sizes course paper] [--seconds 10] [--threads N]

All in one run, so that the numbers belong together: the machine's rate of square matrix products (the best of several,
in the precision that training takes), then for the course's and the paper's clip and encoder:

- pretraining clips/s: forward, backward and optimiser through ``pretrain`` itself, on random clips whose grouping is
cached;
  its share of the machine = 3 x FLOPs of a forward pass (backward counts twice) x clips/s / the measured rate.
- the same in another process that frees memory as the C library does by itself (see ``cross4d_lib/allocator.py``): the
ratio.
- grouping clips/s: farthest point sampling and both levels of neighbours, which the cache saves every epoch.
- the target store of synthetic clips under the shipped teacher: seconds a clip to build, ms a clip to read back, ms to
put a
  batch together, MB for 100 clips as they lie on disk.

Peak memory is the process's so far. On a machine that others use too the rates are low and swing; the load is printed.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from timing import SIDE, product_rate, seconds_of

from cross4d_lib.datasets import load_dataset
from cross4d_lib.encoders import Point4D, count_flops, count_parameters
from cross4d_lib.experiments import load_profile
from cross4d_lib.experiments.run import default_device
from cross4d_lib.targets import Batch, TargetStore, build_targets
from cross4d_lib.teachers import load_teacher
from cross4d_lib.training import has_half, pretrain

BATCH = {"course": 16, "paper": 4}  # clips a step on a CPU; a GPU takes the profile's
STORED = {"course": 8, "paper": 4}  # clips in the store


class RandomStore:
    """Stands in for a TargetStore: one batch of random clips with their grouping, random targets, about half of them
    visible."""

    key = "random"

    def __init__(self, encoder: Point4D, clips: int, frames: int, points: int, dim: int, device):
        cloud = torch.randn(clips, frames, points, 3)
        grouping = encoder.cpu().group(cloud)
        tokens = grouping["point"].shape[1]
        visible = torch.rand(clips, tokens) < 0.5
        summaries = {name: torch.randn(clips, dim) for name in ("class", "mean")}
        self.clips, self.dim, self.mean = clips, dim, {name: torch.zeros(dim) for name in ("dense", *summaries)}
        self.whole = Batch(
            cloud, grouping, torch.randn(clips, tokens, dim) * visible[..., None], visible, summaries
        ).to(device)

    def __len__(self) -> int:
        return self.clips

    def batch(self, indices, device=None) -> Batch:
        return self.whole


def pretraining(size: str, device, budget: float, rates: dict[str, float]) -> dict:
    """Steps of pretraining: clips/s and share of the machine. One epoch is one step."""
    profile = load_profile(size)
    encoder = Point4D(**profile.encoder)
    flops = count_flops(encoder, profile.frames, profile.points)["all"]
    clips = profile.batch if device.type == "cuda" else BATCH[size]
    store = RandomStore(encoder, clips, profile.frames, profile.points, profile.dim, device)
    encoder.to(device)
    warm = pretrain(encoder, store, epochs=2)
    log = pretrain(encoder, store, epochs=max(3, round(budget * warm.clips_per_second / clips)))
    rate = rates["bfloat16" if has_half(device) else "float32"]
    return {
        "parameters": count_parameters(encoder),
        "forward_flops": flops,
        "batch": clips,
        "steps": len(log.epochs),
        "clips_per_second": log.clips_per_second,
        "share_of_machine": 3 * flops * log.clips_per_second / rate,
    }


def as_libc_frees(size: str, budget: float) -> float:
    """Clips/s of ``pretraining`` where freed memory goes back to the system: an empty setting of the user's switches
    ours off."""
    program = f"import torch, bench_pretrain as b; torch.set_num_threads({torch.get_num_threads()}); print(b.pretraining({size!r}, torch.device('cpu'), {budget}, dict(float32=1, bfloat16=1))['clips_per_second'])"
    environment = os.environ | {
        "GLIBC_TUNABLES": "",
        "PYTHONPATH": os.pathsep.join([os.path.dirname(os.path.abspath(__file__)), *sys.path]),
    }
    return float(
        subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        ).stdout
    )


def grouping(size: str, device, budget: float) -> float:
    """Clips a second of sampling and neighbours, one clip after another."""
    profile = load_profile(size)
    encoder, cloud = Point4D(**profile.encoder), torch.randn(1, profile.frames, profile.points, 3, device=device)
    times = seconds_of(lambda: encoder.group(cloud), device, budget)
    return len(times) / sum(times)


def store(size: str, device) -> dict:
    """A real target store of synthetic clips: time to build, to read and to make a batch of, and its size."""
    profile, clips = load_profile(size), STORED[size]
    dataset = load_dataset(
        "synthetic-actions", frames=profile.frames, points=profile.points, stride="uniform", limit=clips
    )
    made = seconds_of(
        lambda: [dataset[i] for i in range(clips)], torch.device("cpu"), 0, 1
    )  # after the first call they are in memory
    assert made[0] < 1
    teacher, encoder = load_teacher("cross4d-tiny", device=device), Point4D(**profile.encoder)
    teacher(torch.rand(2, 3, profile.size, profile.size, device=device))  # warm
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        built = build_targets(
            dataset, teacher, profile.dim, profile.size, encoder=encoder, cache=folder, progress=False
        )
        build = (time.perf_counter() - start) / clips
        reread = TargetStore(built.path)
        read = min(seconds_of(lambda: [reread.read(i) for i in range(clips)], torch.device("cpu"), 0)) / clips
        batch = min(seconds_of(lambda: reread.batch([i % clips for i in range(16)], device), device, 0.5))
        return {
            "build_s_per_clip": build,
            "read_ms_per_clip": 1e3 * read,
            "batch_of_16_ms": 1e3 * batch,
            "MB_per_100_clips": built.measured_bytes() / clips * 100 / 1e6,
        }


def peak_memory_mb() -> float:
    """Most memory the process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--sizes", nargs="+", choices=list(BATCH), default=list(BATCH))
    parser.add_argument(
        "--seconds", type=float, default=10, help="of training a size; the other measures take a fifth each"
    )
    parser.add_argument("--threads", type=int, help="torch threads, all cores unless told")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device, budget = default_device(), arguments.seconds
    rates = {
        str(dtype).removeprefix("torch."): product_rate(device, dtype, budget / 5)
        for dtype in (torch.float32, torch.bfloat16)
    }
    machine = {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "torch": torch.__version__,
        "trains_in": "bfloat16" if has_half(device) else "float32",
        "product_flops_per_second": rates,
    }
    print(
        f"{machine['device']}, {machine['cores']} cores, {machine['threads']} threads, load {machine['load']:.1f}, torch {machine['torch']}, trains in {machine['trains_in']}"
    )
    print(
        f"products {SIDE} x {SIDE}: "
        + ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {name}" for name, rate in rates.items())
        + "\n"
    )
    rows = []
    for size in arguments.sizes:
        profile = load_profile(size)
        row = {"size": size, "clip": f"{profile.frames} x {profile.points}", **pretraining(size, device, budget, rates)}
        row |= {
            "grouping_clips_per_second": grouping(size, device, budget / 5),
            **store(size, device),
            "peak_memory_MB": peak_memory_mb(),
        }
        if device.type == "cpu":
            row["times_as_libc_frees"] = row["clips_per_second"] / as_libc_frees(size, budget)
        if device.type == "cuda":
            row["peak_gpu_memory_MB"] = torch.cuda.max_memory_allocated(device) / 1e6
        rows.append(row)
    for name in rows[0]:
        print(
            f"{name.replace('_', ' '):28s}"
            + "".join(
                f"{row[name]:>16,.2f}"
                if isinstance(row[name], float)
                else f"{row[name]:>16,}"
                if isinstance(row[name], int)
                else f"{row[name]:>16s}"
                for row in rows
            )
        )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump({"machine": machine, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
