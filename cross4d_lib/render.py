"""Eq. 1: I_f = R(P_f; pi). One fixed pinhole camera a clip, a z-buffered splat of discs, the index of the point in each
pixel.

The index map is the whole trick of the method: because we draw the image ourselves, we know which 3D point every pixel
shows, so no calibration is needed to carry a 2D feature back (Eq. 3, in ``correspondence.py``).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit

from .clips import check_finite, whole_number
from .decisions import (
    BACK_OFF_MARGIN,
    DEPTH_DISC,
    DEPTH_SLOPE,
    FEW_PATCHES,
    FIELD_OF_VIEW,
    FLOAT32_BLUR,
    SHADE_FAR,
    SHADE_QUANTILES,
    SPLAT,
    STRAY_FACTOR,
    STRAY_QUANTILE,
    VISIBILITY,
)
from .errors import ConfigError, DataError, SparseRenderWarning

EMPTY = torch.iinfo(torch.int64).max  # a pixel that no point covers
VISIBILITIES = ("depth", "pixel")  # rules of who is visible: ours, and the paper's as far as its coverages tell


@dataclass(frozen=True)
class Camera:
    """A pinhole camera pi, fixed for a whole clip.

    rotation : (3, 3) float32, world to camera. position : (3,), world; float32, or float64 where that is too coarse.
    focal : in pixels. size : image side in pixels; the principal point is the image's centre.
    """

    rotation: torch.Tensor
    position: torch.Tensor
    focal: float
    size: int

    def project(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """World points (..., 3) -> pixel coordinates (..., 2) (column, row) and depth (...,) in world units, float32.

        The position is subtracted in the precision of the points or its own, whichever is higher, and the rest is
        float32. Depth <= 0 lies behind the camera; its pixel coordinates mean nothing.
        """
        rotation, position = self.rotation.to(points.device), self.position.to(points.device)
        local = (points - position).float() @ rotation.T  # (..., 3)
        depth = local[..., 2]
        pixels = local[..., :2] / depth.clamp_min(1e-12)[..., None] * self.focal + self.size / 2
        return pixels, depth


@dataclass(frozen=True)
class Rendering:
    """What R returns for a clip.

    image : (T, 3, H, W) float32 in [0, 1], the same grey in the three channels, 0 where nothing is seen.
    index : (T, H, W) int64, the nearest point in that pixel, -1 where nothing is seen.
    visible : (T, N) bool, the set V_f of Eq. 3 by the rule that was asked for: "depth" (``on_the_surface``) or "pixel",
    where a point is visible that owns at least one pixel of its frame.
    pixel : (T, N, 2) int64, column and row of the pixel the point projects to; may lie outside the image.
    camera : the Camera. outside : how many of the T * N points fall off the image.
    """

    image: torch.Tensor
    index: torch.Tensor
    visible: torch.Tensor
    pixel: torch.Tensor
    camera: Camera

    @property
    def outside(self) -> int:
        return int(((self.pixel < 0) | (self.pixel >= self.camera.size)).any(-1).sum())


def stray_points(points: torch.Tensor) -> torch.Tensor:
    """Points that lie far from the rest of the clip, such as a sensor's speckle: (..., 3) -> (...,) bool.

    Far is beyond STRAY_FACTOR times the distance from the median that holds STRAY_QUANTILE of all points; so no more
    than the remaining share can be stray, and what is, in whatever unit and from whatever side it is seen.
    """
    flat = points.reshape(-1, 3).double()
    distance = (flat - flat.median(0).values).norm(dim=-1)  # (T*N,)
    held = distance.kthvalue(math.ceil(STRAY_QUANTILE * len(distance))).values
    return ((distance > STRAY_FACTOR * held) & (held > 0)).reshape(points.shape[:-1])


def fit_camera(points: torch.Tensor, size: int = 126, yaw: float = 0.0) -> Camera:
    """The fixed camera of a clip: looks at the clip's centroid, backed off until every point of every frame is inside.

    Stray points (``stray_points``) decide neither where it looks nor from how far, and may fall off the image.
    points : (T, N, 3). yaw : radians the camera is carried around the vertical axis; 0 looks along +z like the sensor.
    A point (x, y, z) relative to the centroid is inside when max(|x|, |y|) <= t (z + d), t the tangent of half the
    field of view less the margin; d is the smallest distance that satisfies all points. Units cancel. If all points
    coincide the distance is 1.
    """
    return _camera_around(points[~stray_points(points)], size, yaw)


def _camera_around(points: torch.Tensor, size: int, yaw: float = 0.0) -> Camera:
    """``fit_camera`` for points (n, 3) without strays."""
    tangent = math.tan(math.radians(FIELD_OF_VIEW) / 2)
    cos, sin = math.cos(yaw), math.sin(yaw)
    rotation = torch.tensor([[cos, 0.0, -sin], [0.0, 1.0, 0.0], [sin, 0.0, cos]], device=points.device)
    flat = points.double()
    centroid = flat.mean(0)
    local = (flat - centroid) @ rotation.double().T  # (T*N, 3)
    extent = local.norm(dim=-1).max().item()
    if extent == 0:
        distance = 1.0
    else:
        inside = local[:, :2].abs().amax(-1) / (tangent * (1 - BACK_OFF_MARGIN)) - local[:, 2]
        in_front = -local[:, 2].min() + 0.1 * extent  # never nearer than a tenth of the extent to the first point
        distance = max(inside.max().item(), in_front.item())
    distance = max(distance, 1e-12 * centroid.norm().item())  # nearer, float64 could not tell camera and points apart
    position = centroid - distance * rotation[2].double()
    coarse = (position - position.float()).abs().max() > FLOAT32_BLUR * distance
    return Camera(rotation, position if coarse else position.float(), size / 2 / tangent, size)


def splat_radius(size: int, points: int) -> float:
    """Radius in pixels of the disc drawn for a point: it grows with the spacing of the points, so that surfaces
    close."""
    return SPLAT * size / math.sqrt(points)


def disc(radius: float) -> list[tuple[int, int]]:
    """Pixel offsets (dx, dy) of a disc: dx^2 + dy^2 <= radius^2. Always holds (0, 0)."""
    reach = int(radius)
    return [
        (dx, dy)
        for dy in range(-reach, reach + 1)
        for dx in range(-reach, reach + 1)
        if dx * dx + dy * dy <= radius * radius
    ]


def z_buffer(pixel: torch.Tensor, depth: torch.Tensor, size: int, radius: float) -> torch.Tensor:
    """The nearest point in every pixel. pixel (T, N, 2) int64, depth (T, N) float32 -> (T, H, W) int64, -1 where empty.

    Every point draws a disc of constant depth; where discs overlap the nearest wins, the lower index where depths are
    equal. Points at depth <= 0 are behind the camera and draw nothing. Compiled code does it on the CPU,
    ``z_buffer_batched`` elsewhere, with the same answer.
    """
    if depth.device.type != "cpu":
        return z_buffer_batched(pixel, depth, size, radius)
    index = torch.empty(len(depth), size, size, dtype=torch.int64)
    _draw(pixel.contiguous().numpy(), depth.detach().contiguous().numpy(), np.array(disc(radius)), index.numpy())
    return index


@njit(cache=True, nogil=True)
def _draw(pixel, depth, offsets, index):
    """The textbook z-buffer. pixel (T, N, 2) int64, depth (T, N) float32, offsets (m, 2) -> index (T, H, W) int64, in
    place."""
    frames, height, width = index.shape
    nearest = np.empty((height, width), depth.dtype)
    for f in range(frames):
        index[f] = -1
        nearest[:] = np.inf
        for n in range(depth.shape[1]):
            d, column, row = depth[f, n], pixel[f, n, 0], pixel[f, n, 1]
            if d > 0:
                for o in range(len(offsets)):
                    x, y = column + offsets[o, 0], row + offsets[o, 1]
                    if 0 <= x < width and 0 <= y < height and d < nearest[y, x]:  # strictly: the first of equals stays
                        nearest[y, x] = d
                        index[f, y, x] = n


def z_buffer_batched(pixel: torch.Tensor, depth: torch.Tensor, size: int, radius: float) -> torch.Tensor:
    """``z_buffer`` in torch operations, for a GPU. Depth and point index are packed into one int64, so one minimum per
    pixel is an exact z-buffer whose ties go to the lower index: the bits of a positive float sort like the float
    itself. Python iterates over the disc's few offsets, never over points or pixels.
    """
    frames, count = depth.shape
    key = (depth.contiguous().view(torch.int32).long() << 32) | torch.arange(count, device=depth.device)  # (T, N)
    first_row = torch.arange(frames, device=depth.device)[:, None] * size  # (T, 1) row of the frame in the tall image
    outside = frames * size * size  # one spare pixel takes what falls beside the image
    buffer = torch.full((outside + 1,), EMPTY, device=depth.device)
    column, row = pixel.unbind(-1)
    drawn = depth > 0
    for dx, dy in disc(radius):
        x, y = column + dx, row + dy
        inside = drawn & (x >= 0) & (x < size) & (y >= 0) & (y < size)
        place = torch.where(inside, (first_row + y) * size + x, outside)
        buffer.scatter_reduce_(0, place.view(-1), key.view(-1), "amin")
    buffer = buffer[:-1].view(frames, size, size)
    return torch.where(buffer == EMPTY, -1, buffer & 0xFFFFFFFF)


def depth_range(depth: torch.Tensor) -> tuple[float, float]:
    """Near and far end of a clip's grey scale: two percentiles of its points' depths (any shape), world units."""
    in_front = depth[depth > 0]
    if not len(in_front):
        return 0.0, 1.0
    near, far = torch.quantile(_thin(in_front), in_front.new_tensor(SHADE_QUANTILES)).tolist()
    return near, far


def shade(index: torch.Tensor, depth: torch.Tensor, near, far) -> torch.Tensor:
    """Depth-shaded image (T, 3, H, W) float32 from the index map (T, H, W) and point depths (T, N).

    Grey is linear in depth: 1 at ``near``, SHADE_FAR at ``far`` (numbers, or tensors that broadcast to (T, N)). A clip
    has one range for all its frames, so a surface keeps its grey while it stays where it is. An empty range makes a
    step: 1 up to ``near``, SHADE_FAR beyond.
    """
    reach = torch.as_tensor(far - near).clamp_min(torch.finfo(torch.float32).tiny)  # relative to no unit
    nearness = 1 - ((depth - near) / reach).clamp(0, 1)  # (T, N)
    grey = SHADE_FAR + (1 - SHADE_FAR) * nearness
    frames, height, width = index.shape
    image = torch.gather(grey, 1, index.clamp_min(0).view(frames, -1)).view(frames, height, width)
    image = torch.where(index >= 0, image, 0.0)
    return image[:, None].expand(-1, 3, -1, -1).contiguous()


def mean_grey(image: torch.Tensor) -> torch.Tensor:
    """How bright each picture is drawn: the mean over the pixels that show something, 0 where none does. (T, 3, H, W)
    -> (T,) float64."""
    grey = image[:, 0].double()
    return grey.sum((1, 2)) / (grey > 0).sum((1, 2)).clamp_min(1)


def _thin(values: torch.Tensor, most: int = 1 << 16) -> torch.Tensor:
    """Every k-th value, at most ``most`` of them: a quantile does not need more."""
    return values[:: -(-len(values) // most)]


def render(
    points: np.ndarray | torch.Tensor,
    size: int = 126,
    camera: Camera | None = None,
    radius: float | None = None,
    device: str | torch.device | None = None,
    visibility: str = VISIBILITY,
) -> Rendering:
    """Render a clip (Eq. 1). points : (T, N, 3) in any unit -> Rendering.

    size : image side in pixels (paper: 126; ablated 98 and 168). camera : None fits one to the clip. radius : of the
    splat in pixels; None derives it from size and N. visibility : the rule of ``Rendering.visible``, one of
    VISIBILITIES; the picture and its index map are the same under both. Runs where ``points`` lies, or on ``device``.

    Raises DataError on a coordinate that is not finite or a clip without points, ConfigError on a shape, size, radius,
    device or visibility that is none. Warns with SparseRenderWarning where the frames show their points in fewer than
    FEW_PATCHES of 9 x 9 patches.
    """
    cloud = _as_cloud(points, device)
    size = whole_number(size, "size", "render")
    if radius is not None and not 0 <= radius < float("inf"):
        raise ConfigError(f"radius={radius}", "render", "0 for single pixels, or more")
    if visibility not in VISIBILITIES:
        raise ConfigError(f"visibility={visibility!r}", "render", f"one of {', '.join(VISIBILITIES)}")
    kept = ~stray_points(cloud)
    camera = camera or _camera_around(cloud[kept], size)
    position, depth = camera.project(cloud)
    pixel = position.clamp(-1e6, 1e6).floor().long()  # (T, N, 2)
    radius = splat_radius(camera.size, cloud.shape[1]) if radius is None else radius
    index = z_buffer(pixel, depth, camera.size, radius)
    _warn_if_sparse(index, cloud.shape[1])
    if visibility == "pixel":
        visible = owners(index, cloud.shape[1])
    else:
        visible = on_the_surface(pixel, depth, camera, DEPTH_DISC * radius)
    return Rendering(shade(index, depth, *depth_range(depth[kept])), index, visible, pixel, camera)


def _as_cloud(points, device) -> torch.Tensor:
    """One clip (T, N, 3) as a tensor of float32, or of float64 where it came as such. Raises as ``render`` does."""
    try:
        cloud = torch.as_tensor(points, device=device)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:  # torch's, of no array and of no device
        raise ConfigError(
            f"points or device={device!r} that torch does not take ({error})",
            "render",
            "numbers (T, N, 3), device=None",
        ) from error
    cloud = cloud if cloud.dtype == torch.float64 else cloud.float()
    if cloud.ndim != 3 or cloud.shape[-1] != 3:
        raise ConfigError(f"points of shape {tuple(cloud.shape)}", "render", "give one clip, (T, N, 3)")
    if cloud.shape[0] == 0 or cloud.shape[1] == 0:
        raise DataError(
            f"a clip of {cloud.shape[0]} frames x {cloud.shape[1]} points has nothing to draw",
            "render",
            "sample at least one frame and one point",
        )
    if not torch.isfinite(cloud.float()).all():
        check_finite(cloud.cpu().numpy(), "render")
    return cloud


def _warn_if_sparse(index: torch.Tensor, count: int) -> None:
    """Warn where the frames of an index map (T, H, W) show their ``count`` points in fewer than FEW_PATCHES of 9 x 9
    patches."""
    side = -(-index.shape[-1] // 9)
    if side > 1 and count > 10 * FEW_PATCHES:
        shown = torch.nn.functional.max_pool2d((index >= 0).float(), side, ceil_mode=True)  # (T, 9, 9)
        if shown.sum((1, 2)).mean() < FEW_PATCHES:
            warnings.warn(
                f"a frame shows its points in fewer than {FEW_PATCHES} of 81 patches on average; "
                "remove points far from the subject, or cut the clip where it moves far",
                SparseRenderWarning,
                stacklevel=3,
            )


def owners(index: torch.Tensor, count: int) -> torch.Tensor:
    """Which points own at least one pixel. index (T, H, W) int64 -> (T, count) bool."""
    frames = index.shape[0]
    slot = torch.where(index >= 0, index, count).view(frames, -1)  # empty pixels go to a spare slot
    seen = torch.zeros(frames, count + 1, dtype=torch.bool, device=index.device)
    return seen.scatter_(1, slot, True)[:, :count]


def on_the_surface(pixel: torch.Tensor, depth: torch.Tensor, camera: Camera, radius: float) -> torch.Tensor:
    """Which points lie on the nearest surface at the pixel they project to (rule "depth"). pixel (T, N, 2), depth
    (T, N) -> (T, N) bool.

    The surface is the z-buffer of discs of ``radius`` pixels. A point is on it that lies at most DEPTH_SLOPE times the
    disc's radius, in world units at the point's depth, behind it; none is that lies outside the image.
    """
    buffer = z_buffer(pixel, depth, camera.size, radius).flatten(1)  # (T, H*W)
    inside = ((pixel >= 0) & (pixel < camera.size)).all(-1) & (depth > 0)
    column, row = pixel.clamp(0, camera.size - 1).unbind(-1)
    nearest = depth.gather(1, buffer.gather(1, row * camera.size + column).clamp_min(0))  # (T, N)
    return inside & (depth - nearest <= DEPTH_SLOPE * radius / camera.focal * depth)
