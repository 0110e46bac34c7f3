"""How fast do the readers yield clips, beside merely reading the same bytes, and does a file larger than memory stay
outside it?

    python benchmarks/bench_readers.py [--json PATH] [--repeats 5] [--clips 12]

Files of the published sizes are written to a temporary folder; the real MSR-Action3D and the animals are timed too
where $CROSS4D_DATA has them. Each row times ours (find, read, check, back-project, sample a clip of the paper's size)
and a peer that only gets the same numbers off the disk and does nothing with them, in the SAME run, in turn, and takes
medians: numpy.fromfile for meshes, Pillow for depth maps, numpy.memmap for HDF5, scipy.io.loadmat for .mat. Files are
in the system's cache for both. A ratio of 0.5 means that a clip takes twice as long as its bytes.

The last row streams 20 clips from an HDF5 file of 3 GB (sparse on disk) and states how far the process's memory grew.
"""

import argparse
import json
import os
import struct
import tempfile
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from PIL import Image
from timing import medians

from cross4d_lib.clips import frame_indices, sample_clip
from cross4d_lib.datasets import load_source

MOST_GROWTH = 16e6  # bytes, while streaming


def write_meshes(root: Path, count: int) -> None:
    """Animations of 50 frames (the release's mean) of a bumpy ball of 5,000 vertices."""
    rng = np.random.default_rng(0)
    ray = rng.standard_normal((5000, 3))
    ball = (ray / np.linalg.norm(ray, axis=1, keepdims=True) * [0.5, 0.8, 1.5] + [0, 0.8, 0]).astype("<f4")
    corners = rng.integers(0, 5000, (10_000, 3)).astype("<i4")
    for k in range(count):
        path = root / f"ball{k % 3}Q_Roll{k}" / f"ball{k % 3}Q_Roll{k}.anime"
        path.parent.mkdir(parents=True)
        offsets = rng.normal(0, 0.05, (49, 5000, 3)).astype("<f4")
        path.write_bytes(struct.pack("<3i", 50, 5000, 10_000) + ball.tobytes() + corners.tobytes() + offsets.tobytes())


def write_depth_maps(root: Path, count: int) -> None:
    """Videos of 80 frames of 512 x 424 with a person's 12,000 noisy pixels."""
    rng = np.random.default_rng(0)
    pictures = []
    for f in range(80):
        depth = np.zeros((424, 512), np.uint16)
        depth[100:300, 200 + f // 4 : 260 + f // 4] = 2500 + rng.integers(0, 40, (200, 60))
        pictures.append(Image.fromarray(depth))
    for k in range(count):
        folder = root / f"S001C001P001R001A{k + 1:03}"
        folder.mkdir(parents=True)
        for f, picture in enumerate(pictures, start=1):
            picture.save(folder / f"MDepth-{f:08}.png")


def write_scenes(path: Path, count: int, sparse: bool = False) -> None:
    """Sequences of 300 frames of 8,192 points. sparse : room for them, never written, so that gigabytes take no
    time."""
    with h5py.File(path, "w") as file:
        for key, kind, tail in (("pcd", h5py.h5t.IEEE_F32LE, (3,)), ("semantic", h5py.h5t.STD_I32LE, ())):
            storage = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            storage.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            storage.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            h5py.h5d.create(file.id, key.encode(), kind, h5py.h5s.create_simple((count, 300, 8192, *tail)), storage)
        if not sparse:
            rng = np.random.default_rng(0)
            for s in range(count):
                file["pcd"][s] = rng.standard_normal((300, 8192, 3), np.float32)
                file["semantic"][s] = rng.integers(0, 49, (300, 8192))


def raw_frames(path: Path, entry, frames: int) -> None:
    """The clip's frames and labels through numpy.memmap, at the places where HDF5 put them."""
    with h5py.File(path) as file:
        places = [(file[key].id.get_offset(), file[key].dtype, file[key].shape) for key in ("pcd", "semantic")]
    for offset, kind, shape in places:
        array = np.memmap(path, kind, "r", offset, shape)
        for f in frame_indices(300, frames)[0]:
            np.array(array[entry.handle[1], f])


def png_frames(entry, stride: int) -> None:
    files = sorted(Path(entry.handle).iterdir())
    for f in frame_indices(len(files), 24, stride)[0]:
        with Image.open(files[f]) as picture:
            np.asarray(picture)


def rows(folder: Path, clips: int, repeats: int):
    """Yields (what, peer, clips, [our seconds, the peer's])."""

    def timed(what, name, root, size, peer_name, peer, limit=clips):
        source = load_source(name)
        entries = source.entries(root)[:: max(1, len(source.entries(root)) // limit)][:limit]
        frames, points, stride = size

        def ours():
            for entry in entries:
                clip = sample_clip(source.read(entry), frames, points, stride)
                assert clip.points.shape == (frames, points, 3)

        return what, peer_name, len(entries), medians(repeats, ours, lambda: [peer(entry) for entry in entries])

    write_meshes(folder / "meshes", clips)
    yield timed(
        "deforming-things4d 16x2048",
        "deforming-things4d",
        folder / "meshes",
        (16, 2048, 1),
        "numpy.fromfile",
        lambda e: np.fromfile(e.handle.path, "<f4"),
    )
    write_depth_maps(folder / "maps", clips)
    yield timed(
        "ntu-rgbd60 24x2048, stride 2",
        "ntu-rgbd60",
        folder / "maps",
        (24, 2048, 2),
        "Pillow",
        lambda e: png_frames(e, 2),
    )
    (folder / "scenes").mkdir()
    write_scenes(folder / "scenes" / "train1.h5", 4)
    yield timed(
        "hoi4d 24x2048",
        "hoi4d",
        folder / "scenes",
        (24, 2048, 1),
        "numpy.memmap",
        lambda e: raw_frames(e.handle[0], e, 24),
    )
    (folder / "scenes" / "train1.h5").unlink()
    data = Path(os.environ.get("CROSS4D_DATA", "/nowhere"))
    if (data / "animals").is_dir():
        yield timed(
            "real animals 16x2048",
            "animals",
            None,
            (16, 2048, 1),
            "numpy.fromfile",
            lambda e: np.fromfile(e.handle.path, "<f4"),
            10 * clips,
        )
    if (data / "msr-action3d").is_dir():
        loaded = lambda e: scipy.io.loadmat(e.handle) if e.handle.suffix == ".mat" else np.fromfile(e.handle, "<i4")
        yield timed("real msr-action3d 24x2048", "msr-action3d", None, (24, 2048, 1), "scipy.io.loadmat", loaded)


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def stream(folder: Path, clips: int = 20) -> tuple[int, float]:
    """The file's bytes, and by how many the process grew at most after its first clip."""
    write_scenes(folder / "train1.h5", 78, sparse=True)
    source = load_source("hoi4d")
    entries = source.entries(folder)[: clips + 1]
    sample_clip(source.read(entries[0]), 24, 2048)
    start, most = resident(), 0
    for entry in entries[1:]:
        sample_clip(source.read(entry), 24, 2048)
        most = max(most, resident() - start)
    return (folder / "train1.h5").stat().st_size, most


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="PATH", help="also write the rows there")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    cores, written = len(os.sched_getaffinity(0)), []
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}, medians of {arguments.repeats}\n")
    print(f"{'':34s} {'clips':>5s} {'ours ms':>9s} {'peer ms':>9s} {'ratio':>6s} {'clips/s':>8s}  peer")
    with tempfile.TemporaryDirectory() as folder:
        for what, peer, count, (ours, theirs) in rows(Path(folder), arguments.clips, arguments.repeats):
            print(
                f"{what:34s} {count:5d} {ours / count:9.2f} {theirs / count:9.2f} {theirs / ours:6.2f} "
                f"{1e3 * count / ours:8.0f}  {peer}",
                flush=True,
            )
            written.append(
                {
                    "what": what,
                    "peer": peer,
                    "clips": count,
                    "ours_ms": ours / count,
                    "peer_ms": theirs / count,
                    "ratio": theirs / ours,
                }
            )
        size, growth = stream(Path(folder))
        print(
            f"\n20 clips from an HDF5 file of {size / 1e9:.1f} GB: memory grew by {growth / 1e6:.1f} MB "
            f"(limit {MOST_GROWTH / 1e6:.0f}), {growth / size:.4f} of the file"
        )
        written.append(
            {"what": "hoi4d streamed", "file_bytes": size, "growth_bytes": growth, "limit_bytes": MOST_GROWTH}
        )
        assert growth < MOST_GROWTH
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(
                {"cores": cores, "load": os.getloadavg()[0], "repeats": arguments.repeats, "rows": written},
                file,
                indent=1,
            )


if __name__ == "__main__":
    main()
