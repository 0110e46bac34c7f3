"""How fast are the teachers (Eq. 2), and what share of what this machine can multiply do they use?

    python benchmarks/bench_teachers.py [--json PATH] [--teachers NAME ...] [--paper] [--seconds 4] [--threads N]

All in one run, so that the numbers belong together: the device's rate of square matrix products (the best of several,
in the precision the teacher takes), then for each family's small member, with random weights where the trained ones
need a download:

- images/s over a clip of 24 frames at the size its patches divide, preprocessing and all, through
  ``load_teacher(...)(images)``;
- its share of the device = operations of an image x images/s / the measured rate. Operations are counted by hand: 24
  D^2 a token and block, 4 tokens x D a token and block for attention (multiplication and addition are two).
- peak memory: on a GPU what torch held at most for this teacher, on a CPU what the process has held so far.

On a GPU, or with --paper, DINOv2-large follows at full size, and from its timed part what the target step of
MSR-Action3D at the paper's size costs: 556 clips x 24 frames. That number is EXTRAPOLATED and printed as such.
"""

import argparse
import json
import os
import resource
import sys

import torch
from timing import SIDE, product_rate, seconds_of

from cross4d_lib.experiments.run import default_device
from cross4d_lib.teachers import family_of, load_teacher

FRAMES = 24  # of a clip, the paper's
CLIPS = 556  # of MSR-Action3D as it is distributed
SMALL = (
    "cross4d-tiny",
    "facebook/dinov2-small/untrained",
    "facebook/dinov2-with-registers-small/untrained",
    "facebook/dinov3-vits16-pretrain-lvd1689m/untrained",
    "vjepa2-tiny/untrained",
    "videomae-tiny/untrained",
)
LARGE = (
    "facebook/dinov3-vitl16-pretrain-lvd1689m/untrained",
    "facebook/vjepa2-vitl-fpc64-256/untrained",
    "MCG-NJU/videomae-large/untrained",
)
PAPER = "facebook/dinov2-large/untrained"  # random weights multiply as fast as trained ones


def flops_of_an_image(teacher, size: int, frames: int) -> float:
    """Operations a frame, blocks only. A video teacher joins ``tubelet`` frames in a token and attends over its whole
    window."""
    patches, tubelet = (size // teacher.patch) ** 2, getattr(teacher, "tubelet", 0)
    if not tubelet:
        tokens, items = patches + 1, 1.0  # registers are too few to count
    else:
        window = teacher.window or frames
        tokens, items = window // tubelet * patches, -(-frames // window) / frames
    return items * teacher.depth * tokens * (24 * teacher.dim**2 + 4 * tokens * teacher.dim)


def measure(name: str, device, budget: float, rates: dict[str, float]) -> dict:
    """One teacher's row."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    teacher = load_teacher(name, device=device)
    size = teacher.image_size(126)
    image = torch.rand(FRAMES, 3, size, size) * 0.9 + 0.1  # nothing empty: every patch is computed
    seconds = min(seconds_of(lambda: teacher(image), device, budget, least=2))
    dtype = str(teacher.dtype).removeprefix("torch.")
    if dtype not in rates:
        rates[dtype] = product_rate(device, teacher.dtype, budget / 4)
    rate = FRAMES / seconds
    memory = (
        torch.cuda.max_memory_allocated()
        if device.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    )
    return {
        "teacher": name,
        "family": family_of(name).label,
        "trained": teacher.trained,
        "size": size,
        "dtype": dtype,
        "images_per_second": rate,
        "gflops_per_image": flops_of_an_image(teacher, size, FRAMES) / 1e9,
        "share_of_device": flops_of_an_image(teacher, size, FRAMES) * rate / rates[dtype],
        "peak_memory_MB": memory / 1e6,
    }


def show(row: dict) -> None:
    print(
        f"{row['teacher']:58s}{row['size']:5d}{row['images_per_second']:11,.1f}{row['gflops_per_image']:9,.2f}"
        f"{row['share_of_device']:8.2f}{row['peak_memory_MB']:10,.0f}  {row['dtype']}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--teachers", nargs="+", metavar="NAME", help="these instead of each family's small member")
    parser.add_argument("--paper", action="store_true", help="DINOv2-large and its cost for MSR-Action3D on a CPU too")
    parser.add_argument("--seconds", type=float, default=4, help="of timing a teacher")
    parser.add_argument("--threads", type=int, help="torch threads, default: all cores")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = default_device()
    names = list(arguments.teachers or (SMALL if device.type == "cpu" else SMALL + LARGE))
    rates = {"float32": product_rate(device, torch.float32, arguments.seconds / 4)}
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"cpu, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    print(f"{where}, torch {torch.__version__}; a clip of {FRAMES} frames\n")
    print(f"{'teacher':58s}{'px':>5s}{'images/s':>11s}{'GFLOP':>9s}{'share':>8s}{'peak MB':>10s}  precision")
    rows = []
    for name in names:
        rows.append(measure(name, device, arguments.seconds, rates))
        show(rows[-1])
    cost = None
    if device.type == "cuda" or arguments.paper:
        rows.append(measure(PAPER, device, arguments.seconds, rates))
        show(rows[-1])
        cost = {
            "teacher": PAPER,
            "clips": CLIPS,
            "frames": FRAMES,
            "timed_images": FRAMES,
            "seconds": CLIPS * FRAMES / rows[-1]["images_per_second"],
        }
        print(
            f"\nEXTRAPOLATED from {FRAMES} timed images: {CLIPS} clips x {FRAMES} frames take {cost['seconds']:,.0f} s "
            f"in {PAPER.removesuffix('/untrained')}, renders and writing not counted"
        )
    print(
        "\nproducts "
        + f"{SIDE} x {SIDE}: "
        + ", ".join(f"{rate / 1e9:,.0f} GFLOP/s in {name}" for name, rate in rates.items())
    )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(
                {"where": where, "product_flops_per_second": rates, "rows": rows, "paper_cost": cost}, file, indent=1
            )


if __name__ == "__main__":
    main()
