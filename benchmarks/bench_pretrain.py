"""How fast is pretraining, and what share of what this machine can multiply does it use?

    python benchmarks/bench_pretrain.py [--sizes quick course paper] [--seconds 5] [--threads 1] [--json PATH]

All in one run, so that the numbers belong together, and one line each:

- the machine's rate of square matrix products, the best of several, in float32 and in bfloat16;
- dense pretraining at the clip and encoder size of each profile: clips/s through ``pretrain`` itself, on random clips
  whose grouping is stored, and its share of the machine = 3 x FLOPs of a forward pass (backward counts twice) x clips/s
  / the rate of products in the same precision; products with zeros that the library leaves out count as done;
- attention, forward and backward, at the tokens and heads of each: ``scaled_dot_product_attention`` against the
  products and softmax written out. ``encoders/layers.py`` takes what is faster;
- the same pretraining where freed memory goes back to the system (see MEMORY in ``cross4d_lib/cli.py``).

With one CPU thread the clock counts the process's own time, so that other processes disturb little.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from types import SimpleNamespace

os.environ.setdefault("TQDM_DISABLE", "1")

import torch
from timing import MEMORY, SIDE, clock_for, medians, product_rate, start_as_cross4d_does

from cross4d_lib.encoders import Point4D, count_flops
from cross4d_lib.experiments import load_profile
from cross4d_lib.experiments.run import default_device
from cross4d_lib.precision import PRECISIONS, precision_of
from cross4d_lib.training import pretrain

BATCH = {"quick": 8, "course": 16, "paper": 8}  # clips a step


class RandomBatch(SimpleNamespace):
    """Clips, their grouping, targets (B, M, d_p), and which tokens have one (B, M): what dense pretraining asks for."""

    def merged(self, merge: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.targets, self.visible

    def to(self, device):
        return self


class RandomStore:
    """Stands in for a TargetStore of one batch of random clips."""

    key, views = "random", 1

    def __init__(self, encoder: Point4D, profile, clips: int, device):
        points = torch.randn(clips, profile.frames, profile.points, 3)
        grouping = {name: index.to(device) for name, index in encoder.group(points).items()}
        shape = grouping["point"].shape
        targets, visible = torch.randn(*shape, profile.dim, device=device), torch.rand(shape, device=device) < 0.5
        self.whole = RandomBatch(points=points.to(device), grouping=grouping, targets=targets, visible=visible)
        self.dim, self.clips, self.mean = profile.dim, clips, {"dense": torch.zeros(profile.dim)}

    def __len__(self) -> int:
        return self.clips

    def __getitem__(self, i: int) -> int:
        return i

    def collate(self, items) -> RandomBatch:
        return self.whole


def pretraining(size: str, precision: str, device, seconds: float) -> tuple[float, float]:
    """Clips/s and floating-point operations/s of pretraining: the median of its steps, an epoch each."""
    profile, clock = load_profile(size), clock_for(device)
    encoder = Point4D(**profile.encoder)
    flops = count_flops(encoder, profile.frames, profile.points)["all"]
    store, times = RandomStore(encoder, profile, BATCH[size], device), []
    encoder.to(device)

    def steps(number: int) -> float:
        times[:] = [clock()]
        options = {"batch": BATCH[size], "precision": precision}
        pretrain(encoder, store, epochs=number, after_epoch=lambda epoch, row: times.append(clock()), **options)
        return statistics.median(b - a for a, b in zip(times[1:], times[2:]))

    rate = BATCH[size] / steps(max(3, round(seconds / steps(2))))
    return rate, 3 * flops * rate


def attention(size: str, precision: str, device, repeats: int = 3) -> tuple[str, float]:
    """The shape, and how many times as fast fused attention is as the written-out one, forward and backward."""
    profile = load_profile(size)
    config = Point4D.Config(**profile.encoder)
    shape = 2, config.heads, profile.frames * config.tokens, config.dim // config.heads
    q, k, v = (torch.randn(shape, device=device, dtype=getattr(torch, precision), requires_grad=True) for _ in "qkv")
    gradient = torch.randn_like(q)
    ways = (
        torch.nn.functional.scaled_dot_product_attention,
        lambda q, k, v: torch.softmax((q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1), -1) @ v,
    )

    def both(way):
        torch.autograd.grad(way(q, k, v), (q, k, v), gradient)
        if device.type == "cuda":
            torch.cuda.synchronize()

    fused, written = medians(repeats, *(lambda way=way: both(way) for way in ways), clock=clock_for(device))
    return f"{shape[1]} heads, {shape[2]:,} tokens", written / fused


def as_libc_frees(size: str, precision: str, seconds: float) -> float:
    """Clips/s of ``pretraining`` in a process that gives freed memory back: a user's own setting switches ours off."""
    command = [sys.executable, __file__, "--sizes", size, "--seconds", str(seconds), "--speed-alone", precision]
    environment = {name: value for name, value in os.environ.items() if name not in MEMORY} | {"GLIBC_TUNABLES": ""}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(out.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=list(BATCH), default=list(BATCH))
    parser.add_argument("--seconds", type=float, default=5, help="time for each of the measurements")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--speed-alone", metavar="PRECISION", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device, seconds = default_device(), arguments.seconds
    if arguments.speed_alone:
        return print(pretraining(arguments.sizes[0], arguments.speed_alone, device, seconds)[0])
    rates = {precision: product_rate(device, getattr(torch, precision), seconds / 5) for precision in PRECISIONS}
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{arguments.threads} CPU thread(s)"
    print(f"{name}, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}, trains in {precision_of(device)}")
    print(f"products {SIDE} x {SIDE}: " + ", ".join(f"{p} {rate / 1e9:,.0f} GFLOP/s" for p, rate in rates.items()))
    rows, start = [], time.perf_counter()
    for size in arguments.sizes:
        row = {"size": size, "batch": BATCH[size], "rates": rates}
        for precision, rate in rates.items():
            clips, flops = pretraining(size, precision, device, seconds)
            shape, fused = attention(size, precision, device)
            row[precision] = {"clips_per_second": clips, "share": flops / rate, "fused_attention": fused}
            print(
                f"{size:7s} {precision:9s} {clips:8.2f} clips/s, {flops / rate:4.0%} of the product rate;"
                f" fused attention x {fused:.2f} ({shape})"
            )
        speed_up = row["bfloat16"]["clips_per_second"] / row["float32"]["clips_per_second"]
        print(f"{size:7s} bfloat16 trains x {speed_up:.2f}")
        rows.append(row)
    if device.type == "cpu":
        size = "course" if "course" in arguments.sizes else arguments.sizes[0]
        precision = precision_of(device)
        kept = pretraining(size, precision, device, seconds)[0] / as_libc_frees(size, precision, seconds)
        print(f"{size:7s} freed memory kept trains x {kept:.2f}")
    print(f"{time.perf_counter() - start:.0f} s")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    start_as_cross4d_does(main)
