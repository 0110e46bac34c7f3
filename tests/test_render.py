"""Eq. 1: the render is exactly a z-buffered splat under one fitted pinhole camera, and units do not matter.

Claims proved:
1. The index map is, bit for bit, that of a rasteriser that asks every pixel which of the points whose disc covers it is
   nearest, the lower index where depths are equal; for any size, radius, number of points, and points beside or behind.
2. ``visible`` is what its rule says and nothing else (how true the rules are: test_visibility.py); ``pixel`` is the
   floor of the projection; the image is 0 exactly where no point is, otherwise linear in depth from 1 (near) to
   SHADE_FAR (far), the same in three channels.
3. The fitted camera holds every point of every frame inside the image, but for stray ones, which decide nothing.
   Scaling a clip by a power of two changes no bit of the rendering; any other unit, and translation (of float64 points
   by any distance), change pixel positions by rounding alone.
4. Frames do not influence each other; reordering points reorders the answer; a yaw carries the camera around the clip.
5. Degenerate clips are drawn or refused with frame and point, never drawn wrong.
"""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cross4d_lib.decisions import BACK_OFF_MARGIN, FIELD_OF_VIEW, SHADE_FAR, SHADE_QUANTILES, SPLAT, STRAY_FACTOR
from cross4d_lib.errors import ConfigError, DataError, SparseRenderWarning
from cross4d_lib.render import (
    Camera,
    depth_range,
    disc,
    fit_camera,
    owners,
    render,
    shade,
    splat_radius,
    stray_points,
    z_buffer,
    z_buffer_batched,
)

FIELDS = ("image", "index", "visible", "pixel")


def cloud(frames, points, seed=0):
    """A moving, flattened blob (T, N, 3) away from the origin, as a sensor would give it."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.randn(frames, points, 3, generator=generator) * torch.tensor([0.3, 0.8, 0.2])
    return shape + torch.tensor([0.2, -0.1, 3.0]) + 0.05 * torch.arange(frames)[:, None, None]


def brute_force(pixel, depth, size, radius):
    """The definition, one pixel and one point at a time. Lists in, (T, H, W) list out."""
    index = [[[-1] * size for _ in range(size)] for _ in depth]
    for f in range(len(depth)):
        for row in range(size):
            for column in range(size):
                best = -1
                for n, (x, y) in enumerate(pixel[f]):
                    covers = (column - x) ** 2 + (row - y) ** 2 <= radius**2
                    if covers and depth[f][n] > 0 and (best < 0 or depth[f][n] < depth[f][best]):
                        best = n
                index[f][row][column] = best
    return index


def assert_same(a, b, fields=FIELDS):
    for field in fields:
        assert torch.equal(getattr(a, field), getattr(b, field)), field


# ----------------------------------------------------------------------------------- 1. the index map is the definition


@st.composite
def splats(draw):
    """pixel (T, N, 2), depth (T, N), size, radius: depths from a few values (ties), some <= 0, some points outside."""
    frames, points, size = draw(st.integers(1, 2)), draw(st.integers(1, 20)), draw(st.integers(1, 14))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    pixel = torch.randint(-3, size + 3, (frames, points, 2), generator=generator)
    if draw(st.booleans()):
        depth = torch.randint(-1, 4, (frames, points), generator=generator).float()
    else:
        depth = torch.randn(frames, points, generator=generator) * 10.0 ** draw(st.integers(-30, 30))
    radius = draw(st.sampled_from([0.0, 0.99, 1.0, math.sqrt(2), 1.5, 2.0, 3.7, 20.0]))
    return pixel, depth, size, radius


@settings(deadline=None, max_examples=60)
@given(splats())
def test_z_buffer_is_the_brute_force_rasteriser(splat):
    pixel, depth, size, radius = splat
    expected = brute_force(pixel.tolist(), depth.tolist(), size, radius)
    for route in (z_buffer, z_buffer_batched):  # compiled for the CPU, batched for a GPU
        index = route(pixel, depth, size, radius)
        assert index.dtype == torch.int64 and index.tolist() == expected


def test_both_routes_agree_at_the_papers_size():
    clip = cloud(3, 2048).div(0.01).round().mul(0.01)  # depths in centimetres: ties in most pixels
    camera = fit_camera(clip, 126)
    position, depth = camera.project(clip)
    pixel, radius = position.floor().long(), splat_radius(126, 2048)
    index = z_buffer(pixel, depth, 126, radius)
    assert torch.equal(index, z_buffer_batched(pixel, depth, 126, radius))
    strided = z_buffer(pixel.flip(2).flip(2), depth.T.contiguous().T.requires_grad_(), 126, radius)  # any layout
    assert torch.equal(index, strided)


@pytest.mark.parametrize(
    "size, points, radius", [(1, 5, None), (14, 40, None), (21, 12, 0.0), (28, 60, 2.5), (17, 1, None)]
)
def test_render_is_the_brute_force_rasteriser(size, points, radius):
    """The whole way: the pixels are projected here in float64, the depths are the camera's own (their last bit decides
    ties)."""
    clip = cloud(2, points)
    view = render(clip, size, radius=radius)
    camera = view.camera
    local = (clip.double() - camera.position.double()).numpy()  # yaw 0: the rotation is the identity
    place = local[..., :2] / local[..., 2:] * camera.focal + size / 2
    np.testing.assert_allclose(camera.project(clip)[0], place, atol=1e-4)
    settled = np.abs(place - np.round(place)) > 1e-4  # away from a pixel's border
    np.testing.assert_array_equal(view.pixel.numpy()[settled], np.floor(place)[settled])
    radius = SPLAT * size / math.sqrt(points) if radius is None else radius
    assert view.index.tolist() == brute_force(view.pixel.tolist(), camera.project(clip)[1].tolist(), size, radius)


def test_equal_depth_goes_to_the_lower_index():
    pixel = torch.tensor([[[2, 2], [2, 2], [3, 2]]])
    ahead = z_buffer(pixel, torch.tensor([[2.0, 2.0, 2.0]]), 5, 1.0)[0]
    assert ahead[2].tolist() == [-1, 0, 0, 0, 2]
    behind = z_buffer(pixel, torch.tensor([[2.0, 2.0, 1.9999999]]), 5, 1.0)[0]  # one bit nearer is nearer
    assert behind[2].tolist() == [-1, 0, 2, 2, 2]


def test_disc_and_radius_by_hand():
    assert disc(0) == [(0, 0)] and len(disc(1)) == 5 and len(disc(1.5)) == 9 and len(disc(2)) == 13
    assert splat_radius(126, 2048) == pytest.approx(1.53, abs=0.01)
    assert splat_radius(126, 512) == pytest.approx(
        2 * splat_radius(126, 2048)
    )  # a quarter of the points, twice the spacing


# ------------------------------------------------------------------------------------ 2. what a Rendering's fields mean


@settings(deadline=None, max_examples=25)
@given(frames=st.integers(1, 3), points=st.integers(1, 300), size=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_fields_are_what_their_definitions_say(frames, points, size, seed):
    clip = cloud(frames, points, seed)
    view, owned = render(clip, size), render(clip, size, visibility="pixel")
    assert_same(view, owned, ("image", "index", "pixel"))
    assert view.image.shape == (frames, 3, size, size) and view.image.dtype == torch.float32
    assert view.index.shape == (frames, size, size) and view.index.dtype == torch.int64
    assert view.visible.shape == (frames, points) and view.visible.dtype == torch.bool
    assert view.pixel.shape == (frames, points, 2) and view.pixel.dtype == torch.int64
    for f in range(frames):
        owning = set(view.index[f].flatten().tolist()) - {-1}
        assert owning == set(owned.visible[f].nonzero().flatten().tolist())
    assert torch.equal(view.pixel, view.camera.project(clip)[0].floor().long())
    assert ((view.image[:, 0] == 0) == (view.index < 0)).all()
    assert torch.equal(view.image[:, 0], view.image[:, 1]) and torch.equal(view.image[:, 0], view.image[:, 2])
    shown = view.image[view.image > 0]
    assert shown.min() >= SHADE_FAR and shown.max() <= 1


def test_grey_is_linear_in_depth_over_one_range_a_clip():
    clip = cloud(3, 200)
    view = render(clip, 40)
    depth = view.camera.project(clip)[1].double()
    near, far = np.quantile(depth, SHADE_QUANTILES)
    assert depth_range(depth.float()) == pytest.approx((near, far))
    for f, row, column in (view.index >= 0).nonzero()[::37].tolist():
        d = depth[f, view.index[f, row, column]].item()
        share = min(max((far - d) / (far - near), 0), 1)  # 1 at the near end
        assert view.image[f, 0, row, column].item() == pytest.approx(SHADE_FAR + (1 - SHADE_FAR) * share, abs=1e-5)


def test_owners_of_an_empty_map_are_none():
    assert not owners(torch.full((2, 4, 4), -1), 3).any()


def test_a_point_wholly_behind_another_is_hidden():
    clip = torch.tensor(
        [[[0.0, 0, 1], [0, 0, 2], [0.5, 0.5, 2], [-0.5, -0.5, 2]]]
    )  # the centroid lies on the first two's line
    assert render(clip, 64).visible.tolist() == [[True, False, True, True]]


# ------------------------------------------------------------------------------ 3. the camera fits, units do not matter


@st.composite
def affine_clips(draw):
    """(T, N, 3) float32: a Gaussian blob under a random affine map, in a unit from 1e-3 to 1e3."""
    frames, points = draw(st.integers(1, 3)), draw(st.integers(1, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrix = generator.standard_normal((3, 3)) * draw(st.sampled_from([(1, 1, 1), (1, 1, 0), (1, 0, 0), (1, 0.01, 5)]))
    blob = generator.standard_normal((frames, points, 3)) @ matrix + 5 * generator.standard_normal(3)
    return torch.from_numpy(blob * 10.0 ** draw(st.floats(-3, 3))).float()


@settings(deadline=None, max_examples=40)
@given(affine_clips(), st.integers(1, 130), st.floats(-math.pi, math.pi))
def test_every_point_of_every_frame_is_inside_but_for_stray_ones(clip, size, yaw):
    view = render(clip, size, fit_camera(clip, size, yaw))
    position, depth = view.camera.project(clip)
    kept = ~stray_points(clip)
    inside = ((view.pixel >= 0) & (view.pixel < size)).all(-1)
    assert (depth[kept] > 0).all() and inside[kept].all() and view.outside == (~inside).sum()
    reach = (position[kept] - size / 2).abs().max() / (size / 2)
    assert reach <= 1 - BACK_OFF_MARGIN + 0.01
    assert (view.visible.any(1) | ~kept.any(1)).all()  # every frame shows something


def test_the_camera_is_as_near_as_it_can_be():
    """Some point touches the margin: as many patches on the subject as a fixed camera allows."""
    clip = cloud(4, 500)
    position, _ = fit_camera(clip, 100).project(clip)
    assert (position - 50).abs().max().item() == pytest.approx(50 * (1 - BACK_OFF_MARGIN), rel=1e-4)
    assert fit_camera(clip, 100).focal == pytest.approx(50 / math.tan(math.radians(FIELD_OF_VIEW / 2)))


@settings(deadline=None, max_examples=30)
@given(affine_clips(), st.integers(-20, 20))
def test_a_power_of_two_changes_no_bit(clip, power):
    assert_same(render(clip, 28), render(clip * 2.0**power, 28))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(-3, 3), st.tuples(*[st.floats(-5, 5)] * 3))
def test_any_unit_and_any_place_look_the_same(seed, power, offset):
    """Float32 rounds coordinates, so a point at the border of a pixel may cross it; nothing else happens."""
    clip = cloud(2, 80, seed)
    before = fit_camera(clip, 56).project(clip)[0]
    moved = (clip + torch.tensor(offset)) * 10.0**power
    after = fit_camera(moved, 56).project(moved)[0]
    torch.testing.assert_close(before, after, atol=2e-3, rtol=0)
    assert (render(clip, 56).pixel == render(moved, 56).pixel).float().mean() > 0.97


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    strays=st.integers(0, 8),
    far=st.floats(1.0, 1e6),
    yaw=st.floats(-math.pi, math.pi),
)
def test_a_few_points_anywhere_decide_neither_the_camera_nor_the_picture(seed, strays, far, yaw):
    """Up to 2 % of a clip's points, thrown up to 1e6 sizes away, change the camera's distance by no more than
    STRAY_FACTOR (nearer ones are not stray, or decide which of the clip's own tail are) and a margin for perspective.
    Where they are what is stray, camera, grey and what is seen of the rest are as without them."""
    clip = cloud(4, 100, seed)
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(strays, 3, generator=generator), dim=1)
    thrown = clip.clone()
    place = torch.randperm(400, generator=generator)[:strays]
    thrown.view(-1, 3)[place] = clip.reshape(-1, 3).median(0).values + far * direction
    rest = torch.ones(400, dtype=torch.bool).index_fill_(0, place, False)
    before, after = (fit_camera(c, 126, yaw) for c in (thrown.view(-1, 3)[rest][None], thrown))
    middle = thrown.view(-1, 3)[rest].mean(0)
    distance, most = lambda camera: (camera.position - middle).norm().item(), 1.4 * STRAY_FACTOR
    assert 1 / most < distance(after) / distance(before) < most
    own = stray_points(thrown.view(-1, 3)[rest]).any()
    if torch.equal(stray_points(thrown).view(-1), ~rest) and not own:
        torch.testing.assert_close(after.position, before.position)
        shares = [
            render(c, 126, camera).visible.reshape(-1)[rest].float().mean().item()
            for c, camera in ((thrown, after), (clip, before))
        ]
        assert shares[0] == pytest.approx(shares[1], abs=0.1)  # a stray in front may hide some
        # one grey for one depth, with the strays or without
        depth = before.project(thrown)[1]
        seen = render(thrown, 126, before)
        alone = shade(seen.index, depth, *depth_range(depth.reshape(-1)[rest]))
        of_rest = (seen.index >= 0) & rest.view(4, 100).gather(1, seen.index.clamp_min(0).view(4, -1)).view_as(
            seen.index
        )
        torch.testing.assert_close(seen.image[:, 0][of_rest], alone[:, 0][of_rest])


def test_what_is_stray_depends_on_no_unit_and_no_side_and_is_nothing_in_a_small_cloud():
    clip = cloud(4, 250)
    assert not stray_points(clip).any()
    clip[2, 7] = torch.tensor([40.0, 0, 3])
    expected = torch.zeros(4, 250, dtype=torch.bool)
    expected[2, 7] = True
    turned = clip @ fit_camera(clip, 10, 0.7).rotation.T
    for same in (clip, clip * 1e-4, clip + 100, turned, clip.double()):
        assert torch.equal(stray_points(same), expected)
    assert not stray_points(clip[2:3, :20]).any()  # one of 20 is more than 2 %
    many = cloud(4, 250)
    many[:, :6] = 40.0  # and so are 6 of 250
    assert not stray_points(many).any()
    apart = torch.zeros(1, 100, 3)
    apart[0, 0] = 1.0
    assert not stray_points(apart).any()  # all others coincide: they have no size to be far in


@pytest.mark.parametrize("place", [(4.5e5, 5.4e6, 120), (-1e9, 0, 1e9), (0, 0, 1e12)])
@pytest.mark.parametrize("form", [torch.as_tensor, np.asarray])
def test_float64_points_far_from_the_origin_look_as_they_do_near_it(place, form):
    clip = cloud(2, 200).double()
    rounding = 1e-4 * max(1, np.spacing(max(map(abs, place))) / 1e-7)
    place = torch.tensor(place, dtype=torch.float64)
    near, far = render(clip, 56), render(form(clip + place), 56)
    torch.testing.assert_close(
        near.camera.project(clip)[0], far.camera.project(clip + place)[0], atol=max(2e-3, 20 * rounding), rtol=0
    )
    assert (near.visible == far.visible).float().mean() > 0.97 and far.image.dtype == torch.float32
    for yaw in (0.5, 2.0):
        turned = [fit_camera(c, 56, yaw).project(c)[0] for c in (clip, clip + place)]
        torch.testing.assert_close(*turned, atol=max(2e-3, 20 * rounding), rtol=0)


def test_a_render_that_shows_little_warns_and_no_other_does(recwarn):
    """A subject that crosses a wide scene is small in the one fixed camera."""
    clip = cloud(6, 200)
    render(clip)
    render(clip[:, :50] + 100 * torch.arange(6)[:, None, None])  # too few points to tell
    assert not recwarn
    with pytest.warns(SparseRenderWarning, match="fewer than 6 of 81 patches") as caught:
        render(clip + torch.tensor([20.0, 0, 0]) * torch.arange(6)[:, None, None])
    assert caught[0].filename == __file__


# ---------------------------------------------------------------------------------- 4. frames, order of points, cameras


def test_rendering_twice_gives_the_same_bits():
    clip = cloud(3, 400)
    assert_same(render(clip), render(clip.clone()))


def test_a_frame_is_drawn_as_if_it_were_alone():
    clip = cloud(4, 150)
    together = render(clip, 42)
    for f in range(4):
        alone = render(clip[f : f + 1], 42, together.camera)
        for field in ("index", "visible", "pixel"):
            assert torch.equal(getattr(alone, field)[0], getattr(together, field)[f])
    swapped = render(clip.flip(0), 42, together.camera)
    for field in FIELDS:  # the image too: its grey range is the clip's, in any order of frames
        assert torch.equal(getattr(swapped, field).flip(0), getattr(together, field))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_reordering_points_reorders_the_answer(seed):
    clip = cloud(2, 120, seed)
    view = render(clip, 42)
    depth = view.camera.project(clip)[1]
    assume(all(len(d.unique()) == len(d) for d in depth))  # a tie is decided by the order itself
    order = torch.randperm(120, generator=torch.Generator().manual_seed(seed))
    shuffled = render(clip[:, order], 42, view.camera)
    assert torch.equal(shuffled.visible, view.visible[:, order])
    assert torch.equal(shuffled.pixel, view.pixel[:, order])
    assert torch.equal(shuffled.image, view.image)
    renamed = torch.where(shuffled.index >= 0, order[shuffled.index.clamp_min(0)], -1)  # new name -> old name
    assert torch.equal(renamed, view.index)


def test_yaw_carries_the_camera_around_the_vertical_axis():
    pair = torch.tensor([[[-1.0, 0, 0], [1.0, 0, 0]]])  # one to the left, one to the right of the frontal camera
    seen = lambda yaw: render(pair, 64, fit_camera(pair, 64, yaw))
    assert seen(0).visible.tolist() == [[True, True]]
    assert seen(0).pixel[0, 0, 0] < 32 < seen(0).pixel[0, 1, 0]
    assert seen(math.pi / 2).visible.tolist() == [
        [True, False]
    ]  # it looks along +x now, so the left one hides the right one
    assert seen(-math.pi / 2).visible.tolist() == [[False, True]]
    assert seen(math.pi).pixel[0, 1, 0] < 32 < seen(math.pi).pixel[0, 0, 0]  # from behind, left and right change places


@pytest.mark.parametrize("yaw", [0.3, math.pi / 2, 2.5, -1.0])
def test_moving_the_camera_is_turning_the_clip(yaw):
    clip = cloud(2, 100)
    camera = fit_camera(clip, 60, yaw)
    torch.testing.assert_close(camera.rotation @ camera.rotation.T, torch.eye(3))
    assert torch.linalg.det(camera.rotation).item() == pytest.approx(1)
    turned = (clip - clip.mean((0, 1))) @ camera.rotation.T
    torch.testing.assert_close(camera.project(clip)[0], fit_camera(turned, 60).project(turned)[0], atol=2e-3, rtol=0)


# -------------------------------------------------------------------------------------------------- 5. degenerate clips


def test_one_point_is_drawn_in_the_middle():
    view = render(torch.tensor([[[7.0, -3.0, 11.0]]]), 9, radius=0)
    assert view.index.flatten().nonzero().numel() == 80  # -1 everywhere but at one pixel
    assert view.index[0, 4, 4] == 0 and view.visible.all() and view.image[0, 0, 4, 4] == 1


@pytest.mark.parametrize("place", [0.0, 1.0, -1000.0, 1e8])
def test_points_that_all_coincide_show_the_first(place):
    view = render(torch.full((2, 5, 3), place), 21, visibility="pixel")
    assert view.visible.tolist() == [[True, False, False, False, False]] * 2
    assert render(torch.full((2, 5, 3), place), 21, visibility="depth").visible.all()  # all of them lie on the surface
    assert (view.image[view.image > 0] == 1).all()


def test_points_that_nearly_coincide_far_from_the_origin_stay_inside():
    """One rounding step apart at 1,000: the camera must not back off by less than float32 can tell."""
    clip = torch.full((1, 2, 3), 1000.0)
    clip[0, 1] = torch.nextafter(clip[0, 1], torch.tensor(2000.0))
    view = render(clip, 40)
    assert ((view.pixel >= 0) & (view.pixel < 40)).all() and view.visible.any()


def test_a_line_towards_the_camera_shows_its_nearest_point():
    clip = torch.zeros(1, 6, 3)
    clip[0, :, 2] = torch.tensor([5.0, 2, 9, 1, 4, 3])
    view = render(clip, 30)
    assert view.visible.tolist() == [[False, False, False, True, False, False]]


def test_a_point_behind_the_camera_is_not_drawn():
    camera = Camera(torch.eye(3), torch.zeros(3), 50.0, 32)
    clip = torch.tensor([[[0.0, 0, -1], [0, 0, 0], [0.1, 0, 2]]])  # behind, in the camera's own place, in front
    view = render(clip, camera=camera)
    assert view.index.shape == (1, 32, 32)  # the camera's size
    assert view.visible.tolist() == [[False, False, True]]
    nothing = render(clip[:, :2], camera=camera)
    assert (nothing.index == -1).all() and (nothing.image == 0).all() and not nothing.visible.any()


def test_an_empty_grey_range_is_a_step_and_not_a_nan():
    index = torch.tensor([[[0, 1], [2, -1]]])
    image = shade(index, torch.tensor([[1.0, 2.0, 3.0]]), 2.0, 2.0)
    assert image[0, 0].tolist() == [[1.0, 1.0], [SHADE_FAR, 0.0]]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_coordinate_that_is_not_finite_is_named(value):
    clip = cloud(3, 8)
    clip[2, 5, 1] = value
    with pytest.raises(DataError, match="frame 2, point 5 .* Fix"):
        render(clip)


@pytest.mark.parametrize("shape", [(0, 10, 3), (2, 0, 3)])
def test_an_empty_clip_is_refused(shape):
    with pytest.raises(DataError, match="nothing to draw"):
        render(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(10, 3), (1, 2, 10, 3), (2, 10, 2), (3,)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ConfigError, match="T, N, 3"):
        render(torch.zeros(shape))


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": -3},
        {"size": 12.5},
        {"size": "126"},
        {"device": "cuda:77"},
        {"device": "tpu"},
        {"radius": -1.0},
        {"radius": math.nan},
        {"radius": math.inf},
    ],
)
def test_a_wrong_size_or_radius_is_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        render(cloud(1, 5), **wrong)


@pytest.mark.parametrize("points", ["a clip", None, [["x"]], [[[1, 2]], [[1, 2, 3]]]])
def test_points_that_are_no_numbers_are_refused(points):
    with pytest.raises(ConfigError, match="points"):
        render(points)


# --------------------------------------------------------------------------------------------------- numpy, torch, CUDA


def test_numpy_and_torch_give_the_same_bits():
    clip = cloud(2, 90)
    view = render(clip)
    assert_same(view, render(clip.numpy()))
    assert_same(view, render(clip.double().numpy()))
    assert_same(view, render(clip.numpy(), size=np.int64(126)))
    assert_same(view, render(clip.tolist(), size=126.0))
    millimetres = (1000 * clip).int()
    assert_same(render(millimetres), render(millimetres.numpy().astype(float)))
    assert_same(view, render(clip.transpose(1, 2).contiguous().transpose(1, 2)))  # strided


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here: the GPU path of render is not tested")
def test_cuda_gives_the_same_index_map():
    clip = cloud(3, 1000)
    view = render(clip)
    position, depth = view.camera.project(clip)
    radius = splat_radius(126, 1000)
    assert torch.equal(z_buffer(view.pixel.cuda(), depth.cuda(), 126, radius).cpu(), view.index)
    there = render(clip, device="cuda")  # its projection may round differently
    assert there.image.is_cuda
    torch.testing.assert_close(there.camera.project(clip.cuda())[0].cpu(), position, atol=1e-3, rtol=0)
    assert (there.index.cpu() == view.index).float().mean() > 0.99
