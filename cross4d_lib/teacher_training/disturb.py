"""What distinguishes a recorded body from a computed one: clothes, and the faults of a depth sensor. In torch,
on any device.

Lengths are in camera distances (see ``recipe.py``); the camera stands at the origin and looks along +z.
"""

from __future__ import annotations

import math

import torch

from .recipe import Cloth, Sensor

WAVES = 12  # plane waves that make up the folds
GRAZING = 0.25  # cosine between normal and ray below which a return is weak


def uniform(shape, low: float, high: float, generator: torch.Generator) -> torch.Tensor:
    """Random numbers in [low, high) on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device) * (high - low) + low


def clothe_points(
    points: torch.Tensor, normals: torch.Tensor, clip: torch.Tensor, cloth: Cloth, generator: torch.Generator
) -> torch.Tensor:
    """Thicken bodies and lay folds: points (B, n, 3) move along their normals (B, n, 3). clip (B,) : 0, 1, ...; rows of
    equal number wear the same clothes.

    The displacement is ``a + b sqrt(2 / K) sum_k cos(w_k x + p_k)``: a is evenly drawn up to ``inflate``, b up to
    ``folds``, the K waves have directions at random and lengths from ``wave``. At a place x the sum has mean 0 and
    variance K / 2, so the folds' deviation is b.
    """
    if cloth.inflate == 0 and cloth.folds == 0:
        return points
    wearers = int(clip.max()) + 1
    thickness, depth = (
        uniform((wearers, 1), 0, cloth.inflate, generator),
        uniform((wearers, 1), 0, cloth.folds, generator),
    )
    direction = torch.nn.functional.normalize(
        torch.randn(wearers, WAVES, 3, generator=generator, device=generator.device), dim=-1
    )
    length = uniform((wearers, WAVES, 1), *map(math.log, cloth.wave), generator).exp()  # as many short as long ones
    phase = uniform((wearers, 1, WAVES), 0, 2 * math.pi, generator)
    angle = points @ (direction * (2 * math.pi / length))[clip].mT + phase[clip]  # (B, n, K)
    moved = thickness[clip] + depth[clip] * angle.cos().sum(-1) * math.sqrt(2 / WAVES)  # (B, n)
    return points + moved[..., None] * normals


def measure_depth(depth: torch.Tensor, sensor: Sensor, generator: torch.Generator) -> torch.Tensor:
    """Depths (B, n) as a structured-light sensor reports them. Noise and steps grow with the distance squared, for it
    measures the disparity 1 / z; each row draws how strong they are and where its steps lie."""
    deviation = uniform((len(depth), 1), 0, sensor.noise, generator)
    if sensor.noise:
        depth = depth + deviation * depth.square() * torch.randn(
            depth.shape, generator=generator, device=generator.device
        )
    if sensor.step:
        step, phase = (
            uniform((len(depth), 1), 0.05 * sensor.step, sensor.step, generator),
            uniform((len(depth), 1), 0, 1, generator),
        )
        depth = 1 / (step * ((1 / depth / step + phase).round() - phase)).clamp_min(1e-3)
    return depth


def lost_points(
    pixels: torch.Tensor, grazing: torch.Tensor, size: int, sensor: Sensor, generator: torch.Generator
) -> torch.Tensor:
    """Which points a view has no return from: (B, n) bool. pixels (B, n, 2); grazing (B, n) : cosine between normal and
    ray.

    Round holes with ragged rims around points drawn by chance, and a share of the points seen at a grazing angle.
    """
    lost = torch.zeros(pixels.shape[:2], dtype=torch.bool, device=pixels.device)
    if sensor.edges:
        share = uniform((len(pixels), 1), 0, sensor.edges, generator)
        lost |= (grazing.abs() < GRAZING) & (uniform(lost.shape, 0, 1, generator) < share)
    for _ in range(sensor.holes):
        middle = torch.randint(pixels.shape[1], (len(pixels), 1, 1), generator=generator, device=pixels.device).expand(
            -1, -1, 2
        )
        radius = uniform((len(pixels), 1), 0, sensor.hole * size, generator) * uniform(lost.shape, 0.7, 1.3, generator)
        lost |= (pixels - pixels.gather(1, middle)).float().norm(dim=-1) < radius
    return lost
