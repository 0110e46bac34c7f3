"""How fast is the render (Eq. 1), beside the z-buffers a reader would write?

    python benchmarks/bench_render.py [--json PATH] [--repeats 9]

One clip of 24 frames x 2,048 points at 126 px, as in the paper. Each row times our z-buffer and a peer on the SAME
projected points in the SAME run, in turn, and takes medians; before timing, the index maps are asserted identical,
pixel for pixel, ties included. A last row gives the whole ``render``: camera, projection, z-buffer, shading,
visibility.

Peers, none of which loops over points in Python:

- np.minimum.at: one scattered minimum over packed (depth, index) keys, the direct translation to numpy;
- lexsort: all fragments sorted by pixel, depth and index, the first of each pixel kept;
- painter: points from far to near, each overwriting what lies behind it, by numpy's fancy assignment;
- scatter_reduce: the same keys and minimum in torch, which is our own route on a GPU.

With several threads a pool shares the frames among the numpy peers, torch shares as it likes, and our compiled loop
stays on one thread (build_targets prepares several clips side by side instead). Single-threaded rows count CPU time,
which other users of the machine do not lengthen; the others count wall time, so read them on an idle machine: the load
is printed.
"""

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from timing import medians

from cross4d_lib.render import disc, fit_camera, render, splat_radius, z_buffer, z_buffer_batched

FRAMES, POINTS, SIZE = 24, 2048, 126


def surface_clip(frames: int, points: int) -> torch.Tensor:
    """A bumpy upright surface that turns, with millimetre noise and depths rounded to a millimetre, so that ties occur.
    (T, N, 3)."""
    rng = np.random.default_rng(0)
    ray = rng.standard_normal((frames, points, 3))
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    phase = 0.1 * np.arange(frames)[:, None]
    radius = 0.4 + 0.1 * np.sin(3 * ray[..., 0] + phase) * np.cos(4 * ray[..., 1] - phase)
    clip = ray * radius[..., None] * [0.6, 1.8, 0.4] + 0.001 * rng.standard_normal(ray.shape)
    return torch.from_numpy(clip.round(3).astype(np.float32))


def fragments(pixel, depth, offsets, size):
    """Every pixel that every disc of a frame covers: (place, point), (n,) each. pixel (N, 2), depth (N,)."""
    x, y = (pixel[:, None, axis] + offsets[None, :, axis] for axis in (0, 1))  # (N, offsets)
    inside = (x >= 0) & (x < size) & (y >= 0) & (y < size) & (depth > 0)[:, None]
    return (y * size + x)[inside], np.nonzero(inside)[0]


def minimum_at(pixel, depth, offsets, size):
    place, point = fragments(pixel, depth, offsets, size)
    buffer = np.full(size * size, np.iinfo(np.int64).max)
    np.minimum.at(buffer, place, depth.view(np.int32)[point].astype(np.int64) << 32 | point)
    return np.where(buffer == np.iinfo(np.int64).max, -1, buffer & 0xFFFFFFFF)


def lexsort(pixel, depth, offsets, size):
    place, point = fragments(pixel, depth, offsets, size)
    order = np.lexsort((point, depth[point], place))
    places, first = np.unique(place[order], return_index=True)
    index = np.full(size * size, -1)
    index[places] = point[order][first]
    return index


def painter(pixel, depth, offsets, size):
    far_first = np.lexsort((np.arange(len(depth)), depth))[
        ::-1
    ]  # among equals the lowest index comes last, so it stays on top
    place, rank = fragments(pixel[far_first], depth[far_first], offsets, size)
    index = np.full(size * size, -1)
    index[place] = far_first[rank]
    return index


def rows(threads: int, repeats: int):
    """Yields (what, peer, our ms, the peer's ms); the last row has no peer."""
    share = ThreadPoolExecutor(threads).map if threads > 1 else map
    clock = time.process_time if threads == 1 else time.perf_counter
    clip = surface_clip(FRAMES, POINTS)
    position, depth = fit_camera(clip, SIZE).project(clip)
    pixel, radius = position.floor().long(), splat_radius(SIZE, POINTS)
    offsets = np.array(disc(radius))

    def ours():
        return z_buffer(pixel, depth, SIZE, radius)

    def frame_by_frame(peer):
        frames = share(lambda p, d: peer(p, d, offsets, SIZE), pixel.numpy(), depth.numpy())
        return np.stack(list(frames)).reshape(FRAMES, SIZE, SIZE)

    peers = {"np.minimum.at": minimum_at, "lexsort": lexsort, "painter": painter}
    calls = {name: lambda peer=peer: frame_by_frame(peer) for name, peer in peers.items()}
    calls["scatter_reduce"] = lambda: z_buffer_batched(pixel, depth, SIZE, radius).numpy()
    for name, theirs in calls.items():
        np.testing.assert_array_equal(ours().numpy(), theirs())
        yield "z-buffer", name, *medians(repeats, ours, theirs, clock=clock)
    yield "render", None, *medians(repeats, lambda: render(clip, SIZE), clock=clock), None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    cores, table = len(os.sched_getaffinity(0)), []
    print(
        f"{FRAMES} frames x {POINTS} points at {SIZE} px; {cores} cores, load {os.getloadavg()[0]:.1f}, "
        f"medians of {arguments.repeats}, torch {torch.__version__}\n"
    )
    print(f"{'':10s} {'threads':>7s} {'ours ms':>9s} {'frames/s':>9s} {'peer ms':>9s} {'ratio':>6s}  peer")
    for threads in dict.fromkeys((1, cores)):
        torch.set_num_threads(threads)
        for what, peer, ours_ms, peer_ms in rows(threads, arguments.repeats):
            beside = f"{peer_ms:9.3f} {peer_ms / ours_ms:6.1f}  {peer}" if peer else ""
            print(f"{what:10s} {threads:7d} {ours_ms:9.3f} {1e3 * FRAMES / ours_ms:9.0f} {beside}")
            table.append(
                {
                    "what": what,
                    "threads": threads,
                    "peer": peer,
                    "ours_ms": ours_ms,
                    "peer_ms": peer_ms,
                    "frames_per_s": 1e3 * FRAMES / ours_ms,
                    "ratio": peer_ms / ours_ms if peer else None,
                }
            )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(
                {
                    "frames": FRAMES,
                    "points": POINTS,
                    "size": SIZE,
                    "cores": cores,
                    "load": os.getloadavg()[0],
                    "repeats": arguments.repeats,
                    "rows": table,
                },
                file,
                indent=1,
            )


if __name__ == "__main__":
    main()
