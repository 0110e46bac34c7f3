"""Who is visible (Eq. 3): both rules of the render against shapes on which a ray from the camera gives the answer.

Claims proved:
1. Rule "depth" is its definition, one point at a time.
2. On a sphere, on two planes one behind the other and on a body of capsules the rule "depth" agrees with ray casting
   better than the rule "pixel"; of the plane behind it shows less than a quarter as much as of the one in front.
3. Of a one-sided scan, all of which the sensor saw, "depth" shows nine in ten points and "pixel" half.
4. Neither rule depends on the unit, and "depth" hardly on the number of points.
"""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cross4d_lib as c4d
from cross4d_lib.decisions import DEPTH_DISC, DEPTH_SLOPE
from cross4d_lib.errors import ConfigError
from cross4d_lib.render import VISIBILITIES, fit_camera, render, splat_radius


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def sphere(points=2048, seed=0):
    ray = torch.randn(1, points, 3, generator=torch.Generator().manual_seed(seed))
    return ray / ray.norm(dim=-1, keepdim=True) + torch.tensor([0.0, 0.0, 4.0])


def planes(points=2048):
    """Two squares across the view, the second one a unit behind and wholly hidden by the first."""
    cloud = 2 * random(1, points, 3) - 1
    cloud[..., 2] = 4.0
    cloud[:, points // 2 :, :2] *= 0.8
    cloud[:, points // 2 :, 2] = 5.0
    return cloud


def capsules(points=2048):
    """A trunk and an arm in front of it: points (1, N, 3) with the segments and radii they lie on."""
    ends = torch.tensor([[[0.0, -1, 4], [0.0, 1, 4]], [[-0.5, 0, 3.2], [0.5, 0, 3.2]]])
    radii = torch.tensor([0.35, 0.15])
    which = (torch.arange(points) % 3 == 0).long()
    along, round_ = random(points, seed=1), 2 * math.pi * random(points, seed=2)
    start, direction = ends[which, 0], ends[which, 1] - ends[which, 0]
    one = torch.nn.functional.normalize(torch.linalg.cross(direction, torch.tensor([[0.3, 0.2, 1.0]])), dim=-1)
    two = torch.nn.functional.normalize(torch.linalg.cross(direction, one), dim=-1)
    rim = round_.cos()[:, None] * one + round_.sin()[:, None] * two
    return (start + along[:, None] * direction + radii[which, None] * rim)[None], ends, radii


def in_sight_of_sphere(cloud, camera):
    return ((camera.position - cloud) * (cloud - torch.tensor([0.0, 0.0, 4.0]))).sum(-1) > 0


def in_sight_of_capsules(cloud, camera, ends, radii):
    """March along the ray from the camera to each point: seen where no capsule is entered before it is reached."""
    share = torch.linspace(0.5, 0.985, 400)[:, None, None]  # of the way; the capsules begin beyond the first half
    place = camera.position + share * (cloud[0] - camera.position)  # (400, N, 3)
    inside = torch.zeros(place.shape[:2], dtype=torch.bool)
    for (a, b), radius in zip(ends, radii):
        along = ((place - a) @ (b - a) / (b - a).square().sum()).clamp(0, 1)
        inside |= (place - a - along[..., None] * (b - a)).norm(dim=-1) < 0.99 * radius
    return ~inside.any(0)[None]


def agreement(visible, truth):
    return (visible == truth).float().mean().item()


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 120), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_rule_depth_is_its_definition(points, size, seed):
    clip = sphere(points, seed).repeat(2, 1, 1) + 0.3 * random(2, points, 3, seed=seed)
    view = render(clip, size, visibility="depth")
    depth, radius = view.camera.project(clip)[1], DEPTH_DISC * splat_radius(size, points)
    for f in range(2):
        for n in range(points):
            x, y = view.pixel[f, n].tolist()
            reach = (view.pixel[f] - view.pixel[f, n]).square().sum(-1) <= radius**2  # discs that cover its own pixel
            behind = (depth[f, n] - depth[f][reach].min()).item()
            slack = DEPTH_SLOPE * radius / view.camera.focal * depth[f, n].item()
            inside = 0 <= x < size and 0 <= y < size
            if abs(behind - slack) > 1e-5:
                assert view.visible[f, n].item() == (inside and behind <= slack)


def test_of_a_sphere_about_the_half_is_seen_that_faces_the_camera():
    ball = sphere()
    camera = fit_camera(ball)
    truth = in_sight_of_sphere(ball, camera)
    seen = {rule: render(ball, camera=camera, visibility=rule).visible for rule in VISIBILITIES}
    assert truth.float().mean().item() == pytest.approx(0.34, abs=0.03)
    assert seen["depth"].float().mean().item() == pytest.approx(0.38, abs=0.05)
    assert seen["pixel"].float().mean() > 0.7  # the back shines through between the discs
    assert agreement(seen["depth"], truth) > agreement(seen["pixel"], truth) + 0.2


def test_of_a_plane_behind_another_less_than_a_quarter_as_much_is_seen():
    both = planes()
    near, far = torch.arange(2048) < 1024, torch.arange(2048) >= 1024
    share = lambda rule, part: render(both, visibility=rule).visible[0, part].float().mean().item()
    assert share("depth", far) < 0.25 * share("depth", near) and share("depth", near) > 0.95
    assert share("pixel", far) > 0.5 * share("pixel", near)


def test_an_arm_hides_the_trunk_behind_it():
    cloud, ends, radii = capsules()
    camera = fit_camera(cloud)
    truth = in_sight_of_capsules(cloud, camera, ends, radii)
    seen = {rule: render(cloud, camera=camera, visibility=rule).visible for rule in VISIBILITIES}
    assert 0.3 < truth.float().mean() < 0.6
    assert agreement(seen["depth"], truth) > 0.8 > agreement(seen["pixel"], truth)


@pytest.mark.parametrize("points", [256, 512, 2048])
def test_of_a_scan_that_the_sensor_saw_nearly_all_is_visible(points):
    clips = c4d.load_dataset("synthetic-actions", split="train", frames=4, points=points, stride="uniform", limit=6)
    share = lambda rule: sum(render(clip.points, visibility=rule).visible.float().mean().item() for clip in clips) / 6
    assert share("depth") > 0.9 > 0.85 > share("pixel")


def test_no_rule_depends_on_the_unit_and_depth_hardly_on_the_number_of_points():
    for rule in VISIBILITIES:
        assert torch.equal(render(sphere(), visibility=rule).visible, render(1024 * sphere(), visibility=rule).visible)
    shares = {n: render(sphere(n), visibility="depth").visible.float().mean().item() for n in (256, 1024, 4096)}
    assert max(shares.values()) - min(shares.values()) < 0.1


def test_another_word_is_refused():
    with pytest.raises(ConfigError, match="visibility='z'"):
        render(sphere(5), visibility="z")
