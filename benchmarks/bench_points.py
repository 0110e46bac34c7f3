"""How fast are the point operators, beside what a reader would otherwise install?

    python benchmarks/bench_points.py [--json PATH] [--repeats 9]

Each row times ours and a peer in the SAME run, in turn, and takes medians; before timing, the picks are asserted equal
(FPS: identical indices; neighbours: identical distances, since cKDTree leaves the order of ties open). The thread count
holds for both sides: frames are shared out among as many threads for the peer as for us. On a machine that others
use too, read the single-threaded rows; the load is printed.

Rows: farthest point sampling against fpsample, grouping (both levels of a hierarchy) against scipy's cKDTree, the two
together (FPS once, its prefix for the second level) in clips/s, torch's ways to gather and to take the maximum of a
linear map over neighbours, forward and backward.
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor

import fpsample
import numpy as np
import torch
from scipy.spatial import cKDTree
from timing import medians

from cross4d_lib.points import farthest_point_sample, gather_points, max_of_linear, nearest_neighbours

HIERARCHIES = [(24, 2048, 256, 64, 16), (24, 2048, 256, 64, 32), (12, 512, 128, 32, 16)]  # frames, N, M1, M2, k


def surface_clip(frames: int, points: int) -> torch.Tensor:
    """A bumpy closed surface that turns, with millimetre noise: points as a depth camera sees them. (T, N, 3)."""
    rng = np.random.default_rng(0)
    ray = rng.standard_normal((frames, points, 3))
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    phase = 0.1 * np.arange(frames)[:, None]
    radius = 0.4 + 0.1 * np.sin(3 * ray[..., 0] + phase) * np.cos(4 * ray[..., 1] - phase)
    clip = ray * radius[..., None] * [0.6, 1.8, 0.4] + 0.001 * rng.standard_normal(ray.shape)
    return torch.from_numpy(clip.astype(np.float32))


def peer_sample(pool, clip: torch.Tensor, samples: int) -> np.ndarray:
    return np.stack(list(pool(lambda frame: fpsample.fps_sampling(frame, samples, start_idx=0), clip.numpy())))


def peer_group(pool, queries: torch.Tensor, clip: torch.Tensor, k: int) -> np.ndarray:
    return np.stack(list(pool(lambda q, frame: cKDTree(frame).query(q, k)[1], queries.numpy(), clip.numpy())))


def assert_same_neighbours(ours, peer, queries, clip):
    def distances(index):
        return (gather_points(clip, torch.as_tensor(index)).double() - queries[:, :, None].double()).square().sum(-1)

    torch.testing.assert_close(distances(ours), distances(peer), rtol=1e-6, atol=1e-9)


def operator_rows(threads: int, repeats: int):
    """Yields (what, peer, [our ms, the peer's ms]). ``pool`` maps a function over frames with the given threads."""
    pool = ThreadPoolExecutor(threads).map if threads > 1 else map
    for frames, n, first, second, k in HIERARCHIES:
        clip = surface_clip(frames, n)
        order = farthest_point_sample(clip, first)
        centres = gather_points(clip, order)  # (T, M1, 3); its prefix is the second level
        tops = centres[:, :second].contiguous()
        for samples in (first, second) if k == 16 else ():
            assert (farthest_point_sample(clip, samples).numpy() == peer_sample(pool, clip, samples)).all()
            pair = lambda: farthest_point_sample(clip, samples), lambda: peer_sample(pool, clip, samples)
            yield f"FPS {frames}x{n}->{samples}", "fpsample", medians(repeats, *pair)
        for queries, points in ((centres, clip), (tops, centres)):
            assert_same_neighbours(
                nearest_neighbours(queries, points, k), peer_group(pool, queries, points, k), queries, points
            )
            pair = lambda: nearest_neighbours(queries, points, k), lambda: peer_group(pool, queries, points, k)
            yield f"kNN {frames}x({queries.shape[1]} of {points.shape[1]}, k={k})", "cKDTree", medians(repeats, *pair)

        def ours():
            centres = gather_points(clip, farthest_point_sample(clip, first))
            return nearest_neighbours(centres, clip, k), nearest_neighbours(centres[:, :second], centres, k)

        def peers():
            centres = gather_points(clip, torch.from_numpy(peer_sample(pool, clip, first).astype(np.int64)))
            return peer_group(pool, centres, clip, k), peer_group(pool, centres[:, :second], centres, k)

        yield f"clip {frames}x{n}->{first}->{second}, k={k}", "fpsample+cKDTree", medians(repeats, ours, peers)


def gather_rows(repeats: int):
    """index_select on a flat table (ours) against torch.gather along the points, forward and forward + backward."""
    for frames, n, c, m, k in [(96, 128, 64, 32, 16), (48, 2048, 3, 256, 16), (48, 256, 96, 64, 16)]:
        values = torch.randn(frames, n, c, requires_grad=True)
        index = torch.randint(n, (frames, m, k))

        def ours():
            return gather_points(values, index)

        def torch_gather():
            return values.gather(1, index.flatten(1)[..., None].expand(-1, -1, c)).view(frames, m, k, c)

        assert torch.equal(ours(), torch_gather())
        gradient = torch.randn(frames, m, k, c)
        pair = [
            lambda gather=gather: torch.autograd.grad(gather(), values, gradient) for gather in (ours, torch_gather)
        ]
        yield f"gather {frames}x{n}x{c} at {m}x{k}", "torch.gather", medians(repeats, ours, torch_gather)
        yield "  and its backward", "torch.gather", medians(repeats, *pair)


def max_rows(repeats: int):
    """A linear map and the maximum over neighbours (ours) against torch's two calls, forward alone and with backward,
    at the course's two levels."""

    def torchs(values, weight, bias):
        return torch.nn.functional.linear(values, weight, bias).max(dim=-2).values

    for m, h, c in [(128, 64, 64), (32, 128, 128)]:
        for dtype in (torch.float32, torch.bfloat16):
            inputs = [torch.randn(shape, dtype=dtype) for shape in ((96, m, 16, h), (c, h), (c,))]
            for tensor in inputs:
                tensor.requires_grad_()
            gradient = torch.randn(96, m, c, dtype=dtype)
            ways = max_of_linear, torchs
            forward = [lambda way=way: way(*inputs) for way in ways]
            backward = [lambda way=way: torch.autograd.grad(way(*inputs), inputs, gradient) for way in ways]
            name = f"max of linear 96x{m}x16, {h}->{c}, {str(dtype)[6:]}"
            yield name, "torch", medians(repeats, *forward)
            yield "  and its backward", "torch", medians(repeats, *backward)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--repeats", type=int, default=9)
    arguments = parser.parse_args()
    cores, rows = len(os.sched_getaffinity(0)), []
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, medians of {arguments.repeats}, torch {torch.__version__}\n")
    print(f"{'':42s} {'threads':>7s} {'ours ms':>9s} {'peer ms':>9s} {'ratio':>6s} {'clips/s':>8s}  peer")
    for threads in dict.fromkeys((1, cores)):
        torch.set_num_threads(threads)
        for sources in (
            operator_rows(threads, arguments.repeats),
            gather_rows(arguments.repeats),
            max_rows(arguments.repeats),
        ):
            for name, peer, (ours_ms, peer_ms) in sources:
                rate = f"{1e3 / ours_ms:8.0f}" if "torch" not in peer else " " * 8
                print(f"{name:42s} {threads:7d} {ours_ms:9.3f} {peer_ms:9.3f} {peer_ms / ours_ms:6.1f} {rate}  {peer}")
                rows.append(
                    {
                        "what": name.strip(),
                        "threads": threads,
                        "peer": peer,
                        "ours_ms": ours_ms,
                        "peer_ms": peer_ms,
                        "ratio": peer_ms / ours_ms,
                    }
                )
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(
                {"cores": cores, "load": os.getloadavg()[0], "repeats": arguments.repeats, "rows": rows}, file, indent=1
            )


if __name__ == "__main__":
    main()
