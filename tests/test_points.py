"""The fast point operators pick exactly what their definitions say, whatever the route.

Claims proved:
1. farthest_point_sample is the greedy farthest point order from index 0 with ties to the lowest index: equal to a
   brute-force oracle (including clouds full of repetitions) and to fpsample; its prefixes are the smaller samples.
2. nearest_neighbours is the exact, stable order by distance: equal to a full stable sort, for any k up to N.
3. The torch path (used on CUDA) and the numba path (used on the CPU) pick identically, as do any number of threads.
4. gather_points reads the rows its index names, and its gradient adds each row's gradients up.
5. Coordinates that are not finite are refused by frame and point; float64 far from the origin keeps its precision.
6. max_of_linear is torch's linear map and maximum, bit for bit, ties and NaN among them; its gradients are
   torch's within a rounding.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import fpsample
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cross4d_lib import points as operators
from cross4d_lib.errors import ConfigError, DataError
from cross4d_lib.points import (
    farthest_point_sample,
    gather_points,
    max_of_linear,
    nearest_neighbours,
    nearest_point,
)


def squared_distance(a, b):
    """float32, rounded after each operation, in the order the library promises."""
    dx, dy, dz = np.moveaxis(a - b, -1, 0)
    return dx * dx + dy * dy + dz * dz


def oracle_sample(frame, samples):
    picks = [0]
    while len(picks) < samples:
        to_picks = np.min([squared_distance(frame, frame[p]) for p in picks], axis=0)  # (N,)
        picks.append(int(np.argmax(to_picks)))  # the first maximum
    return np.array(picks)


def oracle_nearest(queries, frame, k):
    return np.argsort(squared_distance(queries[:, None], frame[None]), axis=1, kind="stable")[:, :k]


@st.composite
def clouds(draw):
    """(F, N, 3) float32: spread out, on a coarse grid (ties and repetitions everywhere) or one point N times."""
    frames, n = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 17, 63, 64, 65, 128, 200, 333]))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cloud = generator.standard_normal((frames, n, 3)).astype(np.float32)
    kind = draw(st.sampled_from(["spread", "grid", "one point"]))
    if kind == "grid":
        cloud = np.round(cloud)
    elif kind == "one point":
        cloud[:] = cloud[:, :1]
    return torch.from_numpy(cloud)


@settings(deadline=None, max_examples=60)
@given(clouds(), st.data())
def test_sample_is_the_greedy_farthest_order(cloud, data):
    samples = data.draw(st.integers(1, min(cloud.shape[1], 40)) | st.just(cloud.shape[1]))
    picks = farthest_point_sample(cloud, samples)
    assert picks.dtype == torch.int64 and picks.shape == (len(cloud), samples)
    for frame, found in zip(cloud.numpy(), picks.numpy()):
        np.testing.assert_array_equal(found, oracle_sample(frame, samples))
    assert torch.equal(operators._sample_torch(cloud, samples), picks)
    prefix = data.draw(st.integers(1, samples))
    assert torch.equal(farthest_point_sample(cloud, prefix), picks[:, :prefix])


@pytest.mark.parametrize("n, samples", [(2048, 256), (2048, 64), (512, 128), (512, 32), (1000, 1000)])
def test_sample_is_identical_to_fpsample(n, samples):
    cloud = torch.randn(6, n, 3, generator=torch.Generator().manual_seed(n + samples))
    peer = np.stack([fpsample.fps_sampling(frame, samples, start_idx=0) for frame in cloud.numpy()])
    np.testing.assert_array_equal(farthest_point_sample(cloud, samples).numpy(), peer)


def test_covered_cloud_repeats_index_zero():
    assert farthest_point_sample(torch.ones(5, 3), 4).tolist() == [0, 0, 0, 0]
    two_places = torch.tensor([[0.0, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert farthest_point_sample(two_places, 4).tolist() == [0, 2, 0, 0]


@settings(deadline=None, max_examples=80)
@given(clouds(), st.data())
def test_nearest_is_the_stable_order_by_distance(cloud, data):
    n = cloud.shape[1]
    k = data.draw(st.integers(1, min(n, 40)) | st.just(n))
    own = cloud[:, : data.draw(st.integers(1, min(n, 20)))]  # queries that are points ...
    queries = torch.cat([own, own + 0.3], 1)  # ... and some that are not
    nearest = nearest_neighbours(queries, cloud, k)
    assert nearest.dtype == torch.int64 and nearest.shape == (*queries.shape[:2], k)
    for q, frame, found in zip(queries.numpy(), cloud.numpy(), nearest.numpy()):
        np.testing.assert_array_equal(found, oracle_nearest(q, frame, k))
    assert torch.equal(operators._nearest_torch(queries, cloud, k), nearest)
    assert torch.equal(nearest_point(queries, cloud), nearest[..., 0])


@pytest.mark.parametrize("n, k", [(2048, 1), (2048, 16), (2048, 32), (2048, 33), (2048, 300), (2048, 2048), (300, 16)])
def test_nearest_at_the_sizes_of_the_method(n, k):
    """Through every branch: limit by lanes or by all distances, few candidates ranked, many sorted."""
    generator = torch.Generator().manual_seed(n + k)
    cloud, queries = torch.randn(n, 3, generator=generator), torch.randn(20, 3, generator=generator)
    np.testing.assert_array_equal(
        nearest_neighbours(queries, cloud, k).numpy(), oracle_nearest(queries.numpy(), cloud.numpy(), k)
    )


def test_thousands_of_repetitions_keep_the_lowest_indices():
    cloud = torch.cat([torch.zeros(1000, 3), torch.ones(1048, 3)])
    assert nearest_neighbours(torch.ones(1, 3), cloud, 16)[0].tolist() == list(range(1000, 1016))


def test_a_centre_has_itself_first():
    cloud = torch.randn(2, 4, 500, 3)
    centres = farthest_point_sample(cloud, 60)
    assert torch.equal(nearest_neighbours(gather_points(cloud, centres), cloud, 16)[..., 0], centres)


def test_torch_path_in_chunks(monkeypatch):
    cloud = torch.randn(3, 100, 3)
    monkeypatch.setattr(operators, "CHUNK", 1000)
    assert torch.equal(operators._nearest_torch(cloud, cloud, 7), nearest_neighbours(cloud, cloud, 7))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_picks_what_the_cpu_picks():
    cloud = torch.randn(2, 6, 700, 3)
    picks = farthest_point_sample(cloud, 90)
    assert torch.equal(farthest_point_sample(cloud.cuda(), 90).cpu(), picks)
    centres = gather_points(cloud, picks)
    assert torch.equal(
        nearest_neighbours(centres.cuda(), cloud.cuda(), 16).cpu(), nearest_neighbours(centres, cloud, 16)
    )


def test_any_leading_dimensions_layout_and_dtype():
    cloud = torch.randn(2, 3, 80, 3)
    picks, nearest = farthest_point_sample(cloud, 9), nearest_neighbours(cloud[..., :5, :], cloud, 4)
    assert picks.shape == (2, 3, 9) and nearest.shape == (2, 3, 5, 4)
    assert torch.equal(farthest_point_sample(cloud[1, 2], 9), picks[1, 2])  # no leading dimension
    strided = cloud.transpose(-1, -2).contiguous().transpose(-1, -2).requires_grad_()
    assert torch.equal(farthest_point_sample(strided, 9), picks)
    assert torch.equal(farthest_point_sample(cloud.double(), 9), picks)  # distances are float32 whatever comes in
    assert farthest_point_sample(cloud[:0], 9).shape == (0, 3, 9)
    assert nearest_neighbours(cloud[..., :0, :], cloud, 4).shape == (2, 3, 0, 4)
    assert gather_points(cloud[:0], picks[:0]).shape == (0, 3, 9, 3)


def test_refusals():
    cloud = torch.randn(2, 10, 3)
    for call in (
        lambda: farthest_point_sample(cloud, 11),
        lambda: farthest_point_sample(cloud, 0),
        lambda: farthest_point_sample(cloud[..., :2], 3),
        lambda: nearest_neighbours(cloud, cloud, 11),
        lambda: nearest_neighbours(cloud, cloud, 0),
        lambda: nearest_neighbours(cloud[:1], cloud, 3),
        lambda: gather_points(cloud, torch.zeros(3, 4, dtype=torch.int64)),
        lambda: gather_points(cloud, torch.zeros(2, 4, 4, 4, dtype=torch.int64)),
    ):
        with pytest.raises(ConfigError):
            call()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("path", ["cpu", "other"])
def test_coordinates_that_are_not_finite_are_refused(value, path, monkeypatch):
    """By frame and point, before any kernel runs: the CPU's or the one of other devices ("meta" computes nothing)."""
    cloud = torch.randn(2, 3, 40, 3)
    spoilt = cloud.clone()
    spoilt[1, 2, 17, 1] = value
    if path == "other":
        monkeypatch.setattr(operators, "_share", lambda kernel, *arrays: pytest.fail("a CPU kernel"))
        monkeypatch.setattr(torch.Tensor, "device", torch.device("meta"))
    for call in (
        lambda: farthest_point_sample(spoilt, 5),
        lambda: nearest_neighbours(spoilt, cloud, 4),
        lambda: nearest_neighbours(cloud, spoilt, 4),
        lambda: nearest_point(spoilt, cloud),
        lambda: farthest_point_sample(spoilt.double(), 5),
    ):
        with pytest.raises(DataError, match=r"frame 1, 2, point 17 is not finite: \[.*(nan|inf)"):
            call()
    with pytest.raises(DataError, match="frame 0, point 17 "):
        farthest_point_sample(spoilt[1, 2], 5)
    with pytest.raises(DataError, match="frame 1, 2, point 0 "):  # in float64, frames are measured from point 0
        farthest_point_sample(spoilt[:, :, 17:].double(), 5)


def test_large_finite_coordinates_are_taken():
    assert farthest_point_sample(torch.full((1, 3, 3), 3e38), 2).tolist() == [[0, 0]]  # their sum is infinite


def test_float64_coordinates_of_a_map():
    """Metres of UTM: float32 there is coarser than the spacing of the points."""
    cloud = torch.randn(2, 200, 3, generator=torch.Generator().manual_seed(0)).double()
    far = cloud + torch.tensor([4.5e5, 5.4e6, 100.0])
    assert torch.equal(farthest_point_sample(far, 50), farthest_point_sample(cloud, 50))
    assert torch.equal(nearest_neighbours(far[:, :20], far, 8), nearest_neighbours(cloud[:, :20], cloud, 8))
    near = far.float()  # queries rounded before: the points around them keep their precision
    assert torch.equal(nearest_point(near, far), nearest_point(near.double(), far))


@pytest.mark.parametrize("shape", [(7,), (7, 5)])
def test_gather_reads_rows_and_adds_gradients(shape):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(2, 3, 11, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    index = torch.randint(11, (2, 3, *shape), generator=generator)
    gathered = gather_points(values, index)
    weight = torch.randn(gathered.shape, generator=generator, dtype=torch.float64)
    (gathered * weight).sum().backward()
    gradient = torch.zeros_like(values)
    for b in range(2):
        for t in range(3):
            assert torch.equal(gathered[b, t], values[b, t][index[b, t]])
            for row, g in zip(index[b, t].flatten(), weight[b, t].reshape(-1, 4)):
                gradient[b, t, row] += g
    torch.testing.assert_close(values.grad, gradient)


@pytest.fixture
def torch_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def work(seed):
    cloud = torch.randn(5, 300, 3, generator=torch.Generator().manual_seed(seed))
    picks = farthest_point_sample(cloud, 40)
    return torch.cat([picks, nearest_neighbours(gather_points(cloud, picks), cloud, 16).flatten(1)], 1)


@pytest.mark.parametrize("shape", [(2, 3, 5, 16, 8), (4, 1, 7), (9, 6), (1, 9, 1), (0, 4, 3)])
@pytest.mark.parametrize("kind", ["spread", "ties", "nan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_max_of_linear(shape, kind, dtype):
    """The maximum bit for bit; gradients as torch's in float64 at the same neighbours, within a rounding of dtype."""
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.randn(*shape, generator=generator).to(dtype)
    values, weight, bias = draw(*shape), draw(5, shape[-1]), draw(5)
    if kind != "spread":
        values, weight = values.round(), weight.round()
    if kind == "nan":
        values[values > 1] = torch.nan
    inputs = [tensor.clone().requires_grad_() for tensor in (values, weight, bias)]
    results = torch.nn.functional.linear(values, weight)
    largest, which = results.max(dim=-2, keepdim=True)
    found = max_of_linear(*inputs)
    assert found.dtype == dtype and torch.equal(found.nan_to_num(9), (largest.squeeze(-2) + bias).nan_to_num(9))
    if kind == "nan":
        return
    gradient = draw(*shape[:-2], 5)
    exact = [tensor.double().requires_grad_() for tensor in (values, weight, bias)]
    (torch.nn.functional.linear(*exact).gather(-2, which).squeeze(-2) * gradient.double()).sum().backward()
    found.backward(gradient)
    near = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float64: 1e-12}[dtype]
    for ours, theirs in zip(inputs, exact):
        assert ours.grad.dtype == dtype
        torch.testing.assert_close(ours.grad.double(), theirs.grad, rtol=near, atol=near)


def test_max_of_linear_under_autocast():
    """Products in bfloat16, gradients in the precision of what they belong to; rounded to nearest, not cut off."""
    values, weight, bias = (
        torch.randn(6, 8, 4, requires_grad=True),
        torch.randn(3, 4, requires_grad=True),
        torch.ones(3),
    )
    with torch.autocast("cpu", torch.bfloat16):
        largest = max_of_linear(values, weight, bias)
    assert largest.dtype == torch.bfloat16
    largest.sum().backward()
    assert values.grad.dtype == weight.grad.dtype == torch.float32
    rounded = weight.detach().bfloat16().float().flatten()
    alone = values.grad[(values.grad != 0).any(-1)]
    assert any(torch.isin(row, rounded).all() for row in alone)  # a neighbour that is the largest in one channel alone


def test_threads_change_nothing(torch_threads):
    torch_threads(1)
    alone = [work(seed) for seed in range(12)]
    torch_threads(3)
    with ThreadPoolExecutor(4) as callers:  # several callers at once, each sharing its frames out
        together = list(callers.map(work, range(12)))
    assert all(torch.equal(a, b) for a, b in zip(alone, together))


def test_threads_change_no_gradient(torch_threads):
    values, weight, bias = (
        torch.randn(2, 48, 4, 8, requires_grad=True),
        torch.randn(6, 8, requires_grad=True),
        torch.ones(6),
    )
    gradient, found = torch.randn(2, 48, 6), []
    for threads in (1, 3):
        torch_threads(threads)
        found.append(torch.autograd.grad(max_of_linear(values, weight, bias), (values, weight), gradient))
    assert all(torch.equal(a, b) for a, b in zip(*found))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks:DeprecationWarning")
def test_a_forked_process_does_not_wait_for_its_parents_threads(torch_threads):
    torch_threads(2)
    expected = work(0)  # the pool now has live threads
    child = os.fork()
    if child == 0:
        os._exit(0 if torch.equal(work(0), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
