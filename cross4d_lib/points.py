"""Choosing centres and their neighbourhoods in a frame of points: the operators every point encoder waits for.

A hierarchy over a frame (N points -> M centres -> fewer centres) needs four steps: *farthest point sampling* picks
centres that cover the shape, *nearest neighbours* fills a patch around each of them, *gather* fetches what lies there,
and *max of linear* keeps, channel by channel, the largest value that a network's last layer gives in a neighbourhood.
Every function takes any leading dimensions, so a batch of clips (B, T, N, 3) goes in as it is.

Picks are exact and deterministic, and the same on every device: ties go to the lowest index, and the squared distance
is always the float32 number (dx*dx + dy*dy) + dz*dz, rounded after each operation. On the CPU compiled loops (numba) do
the work, the frames shared out among torch.get_num_threads() threads; elsewhere batched torch operations do.

Coordinates must be finite: NaN has no distance, so it is refused with a DataError, whatever the device.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from math import gcd

import numba
import numpy as np
import torch

from .errors import ConfigError, DataError

BLOCK = 64  # points per block: enough to fill SIMD registers, few enough to search one by one
RANKED = 4 * BLOCK  # up to so many candidates are ranked by counting, which is quadratic but SIMD; more are sorted
BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}  # how the compiled maximum looks at numbers
CHUNK = 1 << 24  # distances the torch path of nearest_neighbours holds at once (some 48 bytes each on the way)


def farthest_point_sample(points: torch.Tensor, samples: int) -> torch.Tensor:
    """Indices of ``samples`` points that cover each frame. points : (..., N, 3) -> (..., samples) int64.

    The first pick is point 0; each next one is the point farthest from all picked so far. Starting at index 0 is our
    decision: the points of a clip come in random order, so it is a random point, and no generator is needed. When every
    point has been covered (duplicates), the largest distance is 0 and index 0 is picked again.

    A PREFIX of the order is the sample of that size: ``farthest_point_sample(p, 256)[..., :64]`` are the picks of
    ``farthest_point_sample(p, 64)``, so one call serves every level of a hierarchy.

    Raises ConfigError unless 1 <= samples <= N, DataError when a coordinate is not finite.
    """
    lead, frames = _frames(points, "farthest_point_sample")  # (F, N, 3)
    if not 1 <= samples <= frames.shape[1]:
        raise ConfigError(
            f"samples={samples} of N={frames.shape[1]} points", "farthest_point_sample", "1 <= samples <= N"
        )
    if frames.device.type != "cpu":
        return _sample_torch(frames, samples).reshape(*lead, samples)
    picks = torch.empty(len(frames), samples, dtype=torch.int64)
    _share(_sample_kernel, frames.numpy(), picks.numpy())
    return picks.reshape(*lead, samples)


def nearest_neighbours(queries: torch.Tensor, points: torch.Tensor, k: int) -> torch.Tensor:
    """The exact k nearest points of each query, nearest first. (..., M, 3), (..., N, 3) -> (..., M, k) int64.

    Equally near points come in the order of their index. A query that is itself one of the points therefore has itself
    first (or, if that point is repeated, its first repetition). Leading dimensions of the two must agree.

    Raises ConfigError unless 1 <= k <= N, or when the leading dimensions differ; DataError when a coordinate is not
    finite.
    """
    if queries.shape[:-2] != points.shape[:-2]:
        raise ConfigError(
            f"queries lead with {tuple(queries.shape[:-2])}, points with {tuple(points.shape[:-2])}",
            "nearest_neighbours",
            "pass the same frames to both",
        )
    lead, frames = _frames(points, "nearest_neighbours points")  # (F, N, 3)
    _, centres = _frames(queries, "nearest_neighbours queries", points)  # (F, M, 3)
    if not 1 <= k <= frames.shape[1]:
        raise ConfigError(f"k={k} of N={frames.shape[1]} points", "nearest_neighbours", "1 <= k <= N")
    if frames.device.type != "cpu":
        return _nearest_torch(centres, frames, k).reshape(*lead, queries.shape[-2], k)
    nearest = torch.empty(len(frames), centres.shape[1], k, dtype=torch.int64)
    _share(_nearest_kernel, centres.numpy(), frames.numpy(), nearest.numpy())
    return nearest.reshape(*lead, queries.shape[-2], k)


def nearest_point(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """The index of the point nearest to each query. (..., M, 3), (..., N, 3) -> (..., M) int64."""
    return nearest_neighbours(queries, points, 1)[..., 0]


def ball_query(queries: torch.Tensor, points: torch.Tensor, radius: float, k: int) -> torch.Tensor:
    """The first k points, in the order they come, at most ``radius`` from each query, frame by frame. queries (..., T,
    S, 3), points (..., T, N, 3) -> (..., T, S, k) int64.

    A ball with fewer points repeats its first one, as in PointNet++; an empty ball holds the nearest point alone (our
    decision: the published operator then returns point 0). Points come in random order, so the first k are a random
    choice.
    """
    distance = torch.cdist(queries, points, compute_mode="donot_use_mm_for_euclid_dist")  # (..., T, S, N)
    order = torch.arange(points.shape[-2], device=points.device)
    inside = torch.where(distance <= radius, order, len(order))
    found = inside.topk(k, -1, largest=False).values  # (..., T, S, k), rising
    first = torch.where(found[..., :1] == len(order), distance.argmin(-1, keepdim=True), found[..., :1])
    return torch.where(found == len(order), first, found)


def gather_points(values: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows of ``values`` at ``index``, frame by frame; differentiable in values.

    values : (..., N, C). index : (..., M) or (..., M, k) int64, with the same leading dimensions.
    Returns (..., M, C) or (..., M, k, C). Reading whole rows of one flat table is the fastest of torch's ways on one
    core, forward and backward (benchmarks/bench_points.py). On CUDA the backward adds in no fixed order, unless torch's
    deterministic algorithms are asked for.
    """
    lead, (n, c) = values.shape[:-2], values.shape[-2:]
    if index.shape[: len(lead)] != lead or not 1 <= index.dim() - len(lead) <= 2:
        raise ConfigError(
            f"index {tuple(index.shape)} into values {tuple(values.shape)}",
            "gather_points",
            "index is (..., M) or (..., M, k)",
        )
    rows = index.reshape(lead.numel(), index.shape[len(lead) :].numel())  # (F, M*k)
    rows = rows + n * torch.arange(len(rows), device=index.device)[:, None]
    return values.reshape(-1, c).index_select(0, rows.reshape(-1)).reshape(*index.shape, c)


def max_of_linear(values: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """A linear map of every neighbour, then the largest result of each neighbourhood, channel by channel.

    values (..., k, H), weight (C, H), bias (C,) -> (..., C): ``linear(values, weight, bias).max(dim=-2).values``, in
    the precision of autocast. Among equals the first neighbour is chosen, NaN wins. The bias is the same for all
    neighbours, so it is added after the maximum.

    On the CPU torch's maximum looks at one number at a time, and its backward multiplies a gradient that is zero at
    k - 1 of k neighbours; compiled loops do without both for float32 and bfloat16 (benchmarks/bench_points.py).
    """
    known = values.dtype in BITS and torch.get_autocast_dtype("cpu") in BITS
    if values.device.type == "cpu" and known and 0 < values.shape[-2] < 2**15:  # k fits into int16
        largest = _MaxOfLinear.apply(values, weight)
    else:
        largest = torch.nn.functional.linear(values, weight).max(dim=-2).values
    return largest + bias.to(largest.dtype)


class _MaxOfLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, weight):
        results = torch.nn.functional.linear(values, weight)
        rows = results.reshape(results.shape[:-2].numel(), *results.shape[-2:])  # (R, k, C)
        largest = torch.empty_like(rows[:, 0])
        which = torch.empty_like(largest, dtype=BITS[largest.dtype])
        _share(_max_kernel, *map(_bits, (rows, largest, which)))
        ctx.save_for_backward(values.to(largest.dtype), weight, which)
        ctx.dtype = values.dtype
        return largest.reshape(*values.shape[:-2], len(weight))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        values, weight, which = ctx.saved_tensors
        groups = gcd(len(which), 32)  # the weight's gradient is summed group by group, however many threads there are
        split = lambda rows: rows.reshape(groups, len(which) // groups, *rows.shape[1:]).contiguous()
        rows = split(values.reshape(len(which), *values.shape[-2:]))  # (groups, R / groups, k, H)
        to_values, to_weight = torch.empty_like(rows), torch.zeros(groups, *weight.shape)
        weights = weight.detach().float().expand(groups, *weight.shape)
        parts = split(gradient.reshape(which.shape)), split(which), rows, weights, to_values, to_weight
        _share(_max_of_linear_backward_kernel, *map(_bits, parts))
        return to_values.reshape(values.shape).to(ctx.dtype), to_weight.sum(0).to(weight.dtype)


def _bits(tensor: torch.Tensor) -> np.ndarray:
    """float32 and bfloat16 as the integers that kernels take (numpy has no bfloat16); integers as they are."""
    return tensor.detach().view(BITS.get(tensor.dtype, tensor.dtype)).numpy()


def _frames(points: torch.Tensor, where: str, around: torch.Tensor | None = None) -> tuple[torch.Size, torch.Tensor]:
    """(..., N, 3) -> the leading dimensions and contiguous float32 frames (F, N, 3), out of autograd's sight.

    float64 coordinates may lie far from the origin (metres of a map), where float32 is coarse: they are measured from
    the first point of their frame, or of ``around``'s, before they are rounded.
    """
    if points.dim() < 2 or points.shape[-1] != 3:
        raise ConfigError(f"points of shape {tuple(points.shape)}", where, "pass coordinates (..., N, 3)")
    lead, frames = points.shape[:-2], points.detach()
    if torch.float64 in (points.dtype, getattr(around, "dtype", None)):
        frames = frames.double() - (points if around is None else around).detach()[..., :1, :]
    frames = frames.to(torch.float32)
    if not frames.sum().isfinite() and not (finite := frames.isfinite().all(-1)).all():  # the sum is the quicker look
        *frame, point = (~finite).nonzero()[0].tolist()
        raise DataError(
            f"frame {', '.join(map(str, frame)) or 0}, point {point} is not finite: {points[*frame, point].tolist()}",
            where,
            "remove NaN and infinite points first",
        )
    return lead, frames.reshape(lead.numel(), *points.shape[-2:]).contiguous()


# --------------------------------------------------------------------------------------------------- CPU: numba kernels


def _compiled(function):
    """numba.njit without the interpreter lock, cached on disk where that is possible, and without fastmath.

    Two habits make the loops below fast. The points lie in one array per axis, and every hot loop does ONE simple thing
    over whole arrays, so that LLVM turns it into SIMD instructions. And a running minimum or maximum is taken over the
    BITS of the distances, read as int32: for floats >= 0 these sort like the floats, and integers need no care for NaN.
    """
    try:
        return numba.njit(function, cache=True, nogil=True, error_model="numpy")
    except RuntimeError:  # no folder to cache in: compile anew in each process
        return numba.njit(function, nogil=True, error_model="numpy")


@_compiled
def _load(frame, x, y, z, padding):
    """Copy a frame (N, 3) into one array per axis, and fill these up to whole blocks with the point ``padding``."""
    n = len(frame)
    for i in range(n):
        x[i], y[i], z[i] = frame[i, 0], frame[i, 1], frame[i, 2]
    x[n:], y[n:], z[n:] = padding[0], padding[1], padding[2]


@_compiled
def _sample_kernel(frames, picks):
    """Farthest point sampling. frames : (F, N, 3) float32 -> picks : (F, S) int64, written in place."""
    size = -(-frames.shape[1] // BLOCK) * BLOCK  # N, rounded up to whole blocks
    x, y, z, to_chosen = np.empty((4, size), np.float32)  # to_chosen: squared distance to the nearest chosen point
    bits = to_chosen.view(np.int32)
    for f in range(len(frames)):
        # Padding by copies of point 0, which is chosen first: their distance is 0, and a tie with index 0 they lose.
        _load(frames[f], x, y, z, frames[f, 0])
        to_chosen[:] = np.inf
        last = 0
        picks[f, 0] = 0
        for s in range(1, picks.shape[1]):
            px, py, pz = x[last], y[last], z[last]
            for i in range(size):
                dx, dy, dz = x[i] - px, y[i] - py, z[i] - pz
                d = dx * dx + dy * dy + dz * dz
                to_chosen[i] = d if d < to_chosen[i] else to_chosen[i]
            farthest, winner = np.int32(-1), 0
            for start in range(0, size, BLOCK):
                in_block = np.int32(-1)
                for i in range(start, start + BLOCK):
                    in_block = max(in_block, bits[i])
                if in_block > farthest:  # strictly: the first block wins a tie
                    farthest, winner = in_block, start
            last = winner
            while bits[last] != farthest:  # the first such point of the winning block
                last += 1
            picks[f, s] = last


@_compiled
def _limit(values, k):
    """A limit that the k smallest of an int32 array keep, and no others except equals of the k-th: by bisection."""
    low, high = values[0], values[0]
    for value in values:
        low, high = min(low, value), max(high, value)
    while low < high:
        middle = np.int32((np.int64(low) + np.int64(high)) >> 1)
        count = np.int32(0)
        for value in values:
            count = np.int32(count + np.int32(value <= middle))
        if count == k:
            return middle
        if count > k:
            high = middle
        else:
            low = np.int32(middle + 1)
    return high


@_compiled
def _nearest_kernel(queries, frames, nearest):
    """k nearest neighbours. queries : (F, M, 3), frames : (F, N, 3) float32 -> nearest : (F, M, k) int64, in place.

    Keeping a sorted list of the k best would spend its time on branches nobody can predict. Instead: deal the N
    distances out to BLOCK lanes (point i to lane i mod BLOCK) and take each lane's minimum. A limit that k lane
    minima keep is kept by the k nearest points; only the few points within it are collected and ranked.
    """
    k = nearest.shape[2]
    size = -(-frames.shape[1] // BLOCK) * BLOCK
    x, y, z, distance = np.empty((4, size), np.float32)
    bits = distance.view(np.int32)
    lanes = np.empty(BLOCK, np.int32)
    keys = np.empty(size + 1, np.int64)  # (distance, index) of a candidate in one integer: no two are equal
    far_away = np.full(3, np.inf, np.float32)
    for f in range(len(frames)):
        _load(frames[f], x, y, z, far_away)
        for m in range(queries.shape[1]):
            qx, qy, qz = queries[f, m, 0], queries[f, m, 1], queries[f, m, 2]
            for i in range(size):
                dx, dy, dz = x[i] - qx, y[i] - qy, z[i] - qz
                distance[i] = dx * dx + dy * dy + dz * dz
            lanes[:] = bits[:BLOCK]
            for start in range(BLOCK, size, BLOCK):
                row = bits[start : start + BLOCK]
                for lane in range(BLOCK):
                    lanes[lane] = min(lanes[lane], row[lane])
            limit = _limit(lanes, k) if 2 * k <= BLOCK else _limit(bits, k)
            count = 0
            for lane in range(BLOCK):
                if lanes[lane] <= limit:
                    for i in range(lane, size, BLOCK):
                        keys[count] = np.int64(bits[i]) << 32 | i
                        count += bits[i] <= limit  # without a branch: the next key overwrites one beyond the limit
            if count > RANKED:  # many repeated points, or a large k
                nearest[f, m] = np.sort(keys[:count])[:k] & 0xFFFFFFFF
                continue
            for c in range(count):
                rank = 0
                for other in range(count):
                    rank += keys[other] < keys[c]
                if rank < k:
                    nearest[f, m, rank] = keys[c] & 0xFFFFFFFF


@_compiled
def _number(bits, shift):
    """The number in the bits of a float32 (shift 0) or of a bfloat16 (shift 16), which is the upper half of one."""
    return np.int32(np.int32(bits) << shift).view(np.float32)


@_compiled
def _max_kernel(values, largest, which):
    """values : (R, k, C) bits -> largest (R, C) bits, and which of the k it is (R, C); both in place."""
    shift = 32 - 8 * values.itemsize
    most = np.empty(values.shape[2], np.float32)
    for r in range(len(values)):
        bits, at = largest[r], which[r]
        bits[:], most[:], at[:] = values[r, 0], -np.inf, 0
        for i in range(values.shape[1]):
            row = values[r, i]
            for c in range(len(row)):
                value = _number(row[c], shift)
                better = not value <= most[c] and most[c] == most[c]  # the first NaN is better than all and stays
                most[c] = value if better else most[c]
                bits[c] = row[c] if better else bits[c]
                at[c] = i if better else at[c]


@_compiled
def _max_of_linear_backward_kernel(gradient, which, values, weight, to_values, to_weight):
    """gradient, which : (B, R, C). values : (B, R, k, H). weight : (B, C, H) -> the gradients of the two, like them, in
    place. All bits; weights of float32."""
    shift = 32 - 8 * values.itemsize
    k, width = values.shape[2:]
    read, total = np.empty((k, width), np.float32), np.empty((k, width), np.float32)
    total_bits = total.view(np.int32)
    for b in range(len(values)):
        weights, sums = weight[b].copy().view(np.float32), to_weight[b].view(np.float32)
        for r in range(values.shape[1]):
            for i in range(k):
                number, row = read[i], values[b, r, i]
                for h in range(width):
                    number[h] = _number(row[h], shift)
            total[:] = 0
            for c in range(gradient.shape[2]):
                g, i = _number(gradient[b, r, c], shift), which[b, r, c]
                row, other = total[i], weights[c]
                for h in range(width):
                    row[h] += g * other[h]
                row, other = sums[c], read[i]
                for h in range(width):
                    row[h] += g * other[h]
            for i in range(k):
                row, bits = to_values[b, r, i], total_bits[i]
                for h in range(width):  # to the nearest number, to the even one of two
                    half = 0x7FFF + ((bits[h] >> 16) & 1) if shift else 0
                    row[h] = (bits[h] + half) >> shift


@lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads to share frames among. A forked process inherits no threads, so the pool is looked up by process id."""
    return ThreadPoolExecutor(threads, thread_name_prefix="points")


def _share(kernel, *arrays: np.ndarray) -> None:
    """Run a kernel over frames: arrays whose first axis is the frame, cut into one run of frames per torch thread.

    The kernels write to their own frames alone and never submit work, so any number of callers may share the pool.
    """
    frames = len(arrays[0])
    threads = min(torch.get_num_threads(), frames)
    if threads < 2:
        return kernel(*arrays)
    cuts = [frames * t // threads for t in range(threads + 1)]
    runs = [[array[a:b] for array in arrays] for a, b in zip(cuts, cuts[1:])]
    waiting = [_pool(threads - 1, os.getpid()).submit(kernel, *run) for run in runs[1:]]
    kernel(*runs[0])  # the calling thread takes its share
    for share in waiting:
        share.result()


# ----------------------------------------------------------------------------------- other devices: batched torch loops


def _squared_distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """(..., 3), (..., 3) -> (...) with the kernels' order of operations. Never compile this: a fused multiply-add
    differs."""
    dx, dy, dz = (a - b).unbind(-1)
    return dx * dx + dy * dy + dz * dz


def _sample_torch(frames: torch.Tensor, samples: int) -> torch.Tensor:
    """(F, N, 3) -> (F, samples): all frames advance together, one pick a step. torch's argmax returns the first
    maximum."""
    every = torch.arange(len(frames), device=frames.device)
    picks = torch.zeros(len(frames), samples, dtype=torch.int64, device=frames.device)
    to_chosen = torch.full(frames.shape[:2], torch.inf, device=frames.device)  # (F, N)
    for s in range(1, samples):
        chosen = frames[every, picks[:, s - 1], None]  # (F, 1, 3)
        to_chosen = torch.minimum(to_chosen, _squared_distance(frames, chosen))
        picks[:, s] = to_chosen.argmax(1)
    return picks


def _nearest_torch(queries: torch.Tensor, frames: torch.Tensor, k: int) -> torch.Tensor:
    """(F, M, 3), (F, N, 3) -> (F, M, k), a few queries of every frame at a time.

    topk breaks ties as it likes, so it is given keys without ties: the bits of a non-negative float, read as an
    integer, sort like the float; the index goes into the lower half.
    """
    index = torch.arange(frames.shape[1], device=frames.device)
    step = max(1, CHUNK // max(1, frames.shape[0] * frames.shape[1]))
    nearest = []
    for part in queries.split(step, dim=1):  # (F, m, 3)
        distance = _squared_distance(part[:, :, None], frames[:, None])  # (F, m, N)
        keys = distance.view(torch.int32).to(torch.int64) << 32 | index
        nearest.append(keys.topk(k, dim=-1, largest=False, sorted=True).values & 0xFFFFFFFF)
    return torch.cat(nearest, 1)
