"""Eq. 2: a teacher is exactly the frozen Hugging Face model behind it, and the projection keeps what the loss looks at.

Claims proved:
1. Patches are ``last_hidden_state[:, 1:]`` and the summary the class token of the raw Dinov2Model on normalised
   pixels, at its own image size and, with bicubically interpolated positions, at any other multiple of the patch.
2. What an image's features are depends on nothing else: not on the batch it came in, nor on who asked first.
3. A model that reads foreground only equals the full model where all is foreground; elsewhere it equals the full
   model run on the foreground tokens alone, and its empty patches are 0.
4. No gradient ever. The revision changes with weights, settings and preprocessing, and with nothing else.
   ``/untrained`` is another model, fixed by its seed, that says what it is.
5. A teacher that cannot be loaded, images that do not fit it in shape, dtype or range, and options without such a value
   are refused with file, reason and fix; no network is tried when offline. A shipped teacher is byte for byte the one
   that ships.
6. The random projection is one fixed matrix that nearly keeps angles (Johnson-Lindenstrauss); the PCA is orthonormal,
   has fixed signs, and no projection of its size reconstructs better.

The models are tiny, random and made here.
"""

import json
import math
import shutil
import socket
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2Model

from cross4d_lib.errors import ConfigError, TeacherError
from cross4d_lib.precision import precision_of
from cross4d_lib.render import render
from cross4d_lib.teachers import SHIPPED, Teacher, image_size, load_teacher, pca_projection, random_projection
from cross4d_lib.teachers.frozen import IMAGENET_MEAN, IMAGENET_STD
from cross4d_lib.teachers.image import foreground_patches, foreground_share
from cross4d_lib.teachers.provenance import FILES

ROOT = Path(__file__).parents[1]
IMAGE = 56  # pixels: 4 x 4 patches of 14, or 8 x 8 of 7
CLOSE = {"atol": 2e-5, "rtol": 1e-5}  # float32 sums in another order


def save_model(folder, patch=14, seed=100, **settings):
    """A tiny random Dinov2 in a folder, as save_pretrained writes it. Returns the raw model."""
    torch.manual_seed(seed)
    config = Dinov2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=IMAGE,
        patch_size=patch,
        mlp_ratio=2,
        initializer_range=0.2,
        **settings,
    )
    model = Dinov2Model(config).eval()
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def model14(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dinov2-14")
    return folder, save_model(folder, 14)


@pytest.fixture(scope="module")
def model7(tmp_path_factory):
    """Patch 7, foreground tokens only, its own mean and standard deviation."""
    folder = tmp_path_factory.mktemp("dinov2-7")
    model = save_model(folder, 7, seed=101, foreground_tokens_only=True)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.1, 0.2, 0.3], "image_std": [0.5, 0.6, 0.7]})
    )
    return folder, model


@pytest.fixture
def copy14(model14, tmp_path):
    """A folder to damage."""
    return shutil.copytree(model14[0], tmp_path / "teacher")


def load(folder, **options):
    return load_teacher(str(folder), **({"dtype": torch.float32} | options))


def edit_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def images(count=3, size=IMAGE, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.1  # no empty pixel


def drawn(frames=4, size=IMAGE):
    """Renders of a blob that shrinks, so that every frame has another number of foreground patches."""
    shape = torch.randn(frames, 150, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.3, 0.8, 0.2])
    return render(shape * torch.linspace(1, 0.3, frames)[:, None, None], size).image


def normalised(image, mean=IMAGENET_MEAN, std=IMAGENET_STD):
    return (image - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


# -------------------------------------------------------------------------------- 1. the teacher is the model behind it


@pytest.mark.parametrize("size", [IMAGE, 84, 28])
def test_features_are_the_raw_models_last_hidden_state(model14, size):
    folder, model = model14
    image = images(size=size)
    with torch.no_grad():
        expected = model(normalised(image)).last_hidden_state  # (3, 1 + h*w, 32)
    found = load(folder)(image)
    grid = size // 14
    assert found.patches.shape == (3, grid, grid, 32) and found.summary.shape == (3, 32)
    assert found.patches.dtype == found.summary.dtype == torch.float32
    torch.testing.assert_close(found.patches.flatten(1, 2), expected[:, 1:], **CLOSE)
    torch.testing.assert_close(found.summary, expected[:, 0], **CLOSE)


def test_positions_are_interpolated_bicubically(model14):
    """At 84 px the 4 x 4 position embeddings become 6 x 6; on pixels of the mean colour nothing else tells patches
    apart."""
    folder, model = model14
    grey = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand(1, 3, 84, 84)
    with torch.no_grad():
        positions = model.embeddings.position_embeddings[:, 1:].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
        positions = (
            torch.nn.functional.interpolate(positions, size=(6, 6), mode="bicubic", align_corners=False).flatten(2).mT
        )  # (1, 36, 32)
        first = model.embeddings.cls_token + model.embeddings.position_embeddings[:, :1]
        patch = model.embeddings.patch_embeddings.projection.bias + positions
        expected = model.layernorm(model.encoder(torch.cat([first, patch], 1)).last_hidden_state)
    torch.testing.assert_close(load(folder)(grey).patches.flatten(1, 2), expected[:, 1:], **CLOSE)


def test_patches_are_row_major(model14):
    """A bright patch in row 1, column 2 changes the feature there more than anywhere else."""
    teacher = load(model14[0])
    image = torch.full((1, 3, IMAGE, IMAGE), 0.5)
    lit = image.clone()
    lit[..., 14:28, 28:42] = 1.0
    change = (teacher(lit).patches - teacher(image).patches).norm(dim=-1)[0]
    assert divmod(change.argmax().item(), 4) == (1, 2)


def test_mean_and_deviation_are_the_folders_own(model7):
    folder, model = model7
    image = images(2)
    with torch.no_grad():
        expected = model(normalised(image, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7])).last_hidden_state
    torch.testing.assert_close(load(folder)(image).summary, expected[:, 0], **CLOSE)


def test_a_render_goes_in_as_it_is(model14):
    clip = torch.randn(3, 100, 3, generator=torch.Generator().manual_seed(0))
    found = load(model14[0])(render(clip, 42).image)
    assert found.patches.shape == (3, 3, 3, 32)


def test_half_the_bits_say_nearly_the_same(model14):
    """bfloat16 keeps 8 bits, so each feature is off by a percent or so; it is handed out as float32."""
    full, half = load(model14[0])(images()), load(model14[0], dtype=torch.bfloat16)(images())
    assert half.patches.dtype == half.summary.dtype == torch.float32 and not torch.equal(full.patches, half.patches)
    assert torch.nn.functional.cosine_similarity(full.patches, half.patches, dim=-1).min() > 0.995
    assert torch.nn.functional.cosine_similarity(full.summary, half.summary, dim=-1).min() > 0.995


@pytest.mark.parametrize("name", list(SHIPPED))
def test_a_shipped_teacher_is_what_it_says(name):
    teacher = load_teacher(name, dtype=torch.float32)
    assert teacher.name == name and teacher.trained and "UNTRAINED" not in teacher.description
    side = teacher.image_size(126)
    found, grid = teacher(drawn(2, side)), side // teacher.patch
    assert found.patches.shape == (2, grid, grid, teacher.dim) and found.summary.shape == (2, teacher.dim)
    assert (SHIPPED[name] / "model.safetensors").stat().st_size <= 12e6
    assert f"# {name}\n" in (SHIPPED[name] / "README.md").read_text()
    assert load(SHIPPED[name]).revision == teacher.revision  # by name or by folder, the same model
    packed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "cross4d_lib.teachers"
    ]
    assert any(fnmatch(f"{name}/model.safetensors", pattern) for pattern in packed)  # an installed library has it too


# ---------------------------------------------------------------------------- 2. an image's features are its own affair


@pytest.mark.parametrize("model", ["model14", "model7"])
def test_batches_change_nothing(model, request):
    folder, _ = request.getfixturevalue(model)
    image = torch.cat([drawn(5), images(1)])  # from nearly empty to full
    whole = load(folder, batch=64)(image)
    for batch in (1, 2, 4):
        parts = load(folder, batch=batch)(image)
        torch.testing.assert_close(parts.patches, whole.patches, **CLOSE)
        torch.testing.assert_close(parts.summary, whole.summary, **CLOSE)


def test_loading_and_running_twice_gives_the_same_bits(model7):
    image = drawn()
    teacher = load(model7[0])
    first, again, other = teacher(image), teacher(image), load(model7[0])(image)
    assert torch.equal(first.patches, again.patches) and torch.equal(first.patches, other.patches)
    assert torch.equal(first.summary, again.summary) and torch.equal(first.summary, other.summary)


# --------------------------------------------------------------------------------------------------- 3. foreground only


def test_where_all_is_foreground_it_is_the_full_model(model7):
    folder, model = model7
    image = images(2)
    with torch.no_grad():
        expected = model(normalised(image, [0.1, 0.2, 0.3], [0.5, 0.6, 0.7])).last_hidden_state
    found = load(folder)(image)
    torch.testing.assert_close(found.patches.flatten(1, 2), expected[:, 1:], **CLOSE)
    torch.testing.assert_close(found.summary, expected[:, 0], **CLOSE)


def test_elsewhere_it_is_the_model_on_the_foreground_tokens_alone(model7):
    folder, model = model7
    image = drawn()
    found = load(folder)(image)
    counts = []
    for f in range(len(image)):
        shown = [p for p in range(64) if (image[f, 0].unfold(0, 7, 7).unfold(1, 7, 7).reshape(64, 49)[p] > 0).any()]
        counts.append(len(shown))
        with torch.no_grad():
            tokens = model.embeddings(normalised(image[f : f + 1], [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]))
            alone = model.layernorm(model.encoder(tokens[:, [0] + [1 + p for p in shown]]).last_hidden_state)[0]
        torch.testing.assert_close(found.summary[f], alone[0], **CLOSE)
        torch.testing.assert_close(found.patches[f].flatten(0, 1)[shown], alone[1:], **CLOSE)
        empty = [p for p in range(64) if p not in shown]
        assert (found.patches[f].flatten(0, 1)[empty] == 0).all() and empty
    assert len(set(counts)) == len(counts)  # the frames did differ in what they show


def test_an_empty_frame_has_a_summary_and_no_patches(model7):
    found = load(model7[0])(torch.cat([torch.zeros(1, 3, IMAGE, IMAGE), drawn(1)]))
    assert (found.patches[0] == 0).all() and found.summary[0].isfinite().all() and (found.patches[1] != 0).any()


def test_foreground_patches_by_hand():
    image = torch.zeros(2, 3, 4, 4)
    image[0, :, 0, 2] = 0.5  # one pixel in patch 1 of 2 x 2
    image[1, :, 2:, :] = 0.5  # patches 2 and 3, whole
    assert foreground_share(image, 2).tolist() == [[0, 0.25, 0, 0], [0, 0, 1, 1]]
    assert foreground_patches(image, 2).tolist() == [
        [0, 1],
        [2, 3],
    ]  # two each; the first image fills up with its lowest empty one
    assert foreground_patches(torch.zeros(1, 3, 4, 4), 2).tolist() == [[0]]


# ------------------------------------------------------------------------ 4. frozen, named by revision, untrained twins


def test_there_is_never_a_gradient(model14):
    teacher = load(model14[0])
    assert not any(p.requires_grad for p in teacher.model.parameters()) and not teacher.model.training
    found = teacher(images(1).requires_grad_())
    for features in (found.patches, found.summary):
        assert not features.requires_grad and features.grad_fn is None and features.is_inference()


def test_the_revision_names_the_model(model14, copy14):
    revision = load(model14[0]).revision
    assert (
        revision == load(model14[0], batch=1).revision == load(copy14).revision
    )  # where it lies and how it is read is nothing
    assert load(copy14, dtype=torch.bfloat16).revision != revision  # other features

    def changed(edit):
        edit()
        return load(copy14).revision

    def one_weight():
        weights = load_file(copy14 / "model.safetensors")
        weights["layernorm.bias"][3] += 1e-3
        save_file(weights, copy14 / "model.safetensors", metadata={"format": "pt"})

    edits = [
        one_weight,
        lambda: edit_config(copy14, num_attention_heads=4),  # the same weights, cut into other heads
        lambda: edit_config(copy14, foreground_tokens_only=True),
        lambda: (copy14 / "preprocessor_config.json").write_text(
            json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3})
        ),
    ]
    revisions = [revision, *map(changed, edits)]
    assert len(set(revisions)) == len(revisions)
    edits = {"hidden_act": "relu", "layer_norm_eps": 1e-2, "qkv_bias": False}
    for key, value in edits.items():  # each decides features, so each is in the revision
        edit_config(copy14, **{key: value})
        revisions.append(load(copy14).revision)
    assert len(set(revisions)) == len(revisions)
    edit_config(copy14, transformers_version="0.0.0", _note="nothing that matters")
    assert load(copy14).revision == revisions[-1]


def test_untrained_is_another_model_fixed_by_its_seed(model14):
    trained = load(model14[0])
    state = torch.random.get_rng_state()
    untrained = load(f"{model14[0]}/untrained")
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's random numbers move
    assert trained.trained and "UNTRAINED" not in trained.description
    assert not untrained.trained and "UNTRAINED" in untrained.description and untrained.name.endswith("/untrained")
    assert (untrained.patch, untrained.dim) == (trained.patch, trained.dim)
    torch.manual_seed(123)
    again, other = load(f"{model14[0]}/untrained"), load(f"{model14[0]}/untrained", seed=1)
    assert untrained.revision == again.revision
    assert len({trained.revision, untrained.revision, other.revision}) == 3
    image = images(1)
    assert torch.equal(untrained(image).patches, again(image).patches)
    assert not torch.allclose(untrained(image).patches, trained(image).patches, atol=0.1)
    assert not load_teacher("cross4d-tiny/untrained").trained


def test_untrained_needs_no_weights(copy14):
    (copy14 / "model.safetensors").unlink()
    assert not load(f"{copy14}/untrained").trained


# ---------------------------------------------------------------------------------------------------------- 5. refusals


def refusal(name, **options):
    with pytest.raises(TeacherError) as caught:
        load(name, **options)
    assert (
        str(name).removesuffix("/untrained").removeprefix("./") in caught.value.where
        and caught.value.what
        and caught.value.fix
    )
    return str(caught.value)


def test_a_folder_without_its_files_is_refused(copy14, tmp_path):
    (copy14 / "model.safetensors").unlink()
    assert "without weights" in refusal(copy14)
    (copy14 / "config.json").unlink()
    assert "no config.json" in refusal(copy14)
    assert "no config.json" in refusal(f"{copy14}/untrained")
    assert "no such folder" in refusal(tmp_path / "nowhere")
    assert "no such folder" in refusal("./nowhere/at-all")
    assert "no such folder" in refusal("some/where/deep")  # more than owner/name


def test_damaged_files_are_refused(copy14):
    weights = copy14 / "model.safetensors"
    whole = weights.read_bytes()
    for length in (len(whole) // 2, 100, 0):
        weights.write_bytes(whole[:length])
        assert "damaged" in refusal(copy14)
    weights.write_bytes(whole)
    (copy14 / "preprocessor_config.json").write_text("{")
    assert "cannot be loaded (JSONDecodeError" in refusal(copy14)
    (copy14 / "config.json").write_text("not json")
    assert "cannot be loaded" in refusal(copy14)


def test_weights_that_are_not_whole_are_refused(copy14):
    weights = load_file(copy14 / "model.safetensors")
    some = {k: v for k, v in weights.items() if "layer.1." not in k}
    save_file(some, copy14 / "model.safetensors", metadata={"format": "pt"})
    message = refusal(copy14)
    assert f"weights missing for {len(weights) - len(some)} tensors" in message and "layer.1." in message
    weights["layernorm.weight"] = torch.ones(16)  # of another width
    save_file(weights, copy14 / "model.safetensors", metadata={"format": "pt"})
    assert "cannot be loaded" in refusal(copy14)


def test_weights_that_are_not_numbers_are_refused(copy14):
    weights = load_file(copy14 / "model.safetensors")
    weights["layernorm.bias"][0] = math.nan
    save_file(weights, copy14 / "model.safetensors", metadata={"format": "pt"})
    teacher = load(copy14)
    with pytest.raises(TeacherError, match="not finite .*teacher.* Fix: the weights are damaged"):
        teacher(images(1))


@pytest.mark.parametrize("shape", [(3, IMAGE, IMAGE), (1, 1, IMAGE, IMAGE), (1, 3, IMAGE, 42)])
def test_images_of_another_shape_are_refused(model14, shape):
    with pytest.raises(TeacherError, match=r"give \(T, 3, size, size\)"):
        load(model14[0])(torch.rand(shape))


@pytest.mark.parametrize(
    "image, found",
    [
        ((images(2) * 255).byte(), "images of uint8 from"),
        (images(2) * 255, "images of float32 from .* to 25"),
        (images(2) - 0.5, "from -0"),
        (images(2) * math.nan, "to nan"),
        (torch.ones(2, 3, IMAGE, IMAGE, dtype=torch.int64), "images of int64 from 1 to 1"),
    ],
)
def test_images_of_another_range_are_refused_with_the_range(model14, image, found):
    with pytest.raises(TeacherError, match=rf"{found}.*floats in \[0, 1\]"):
        load(model14[0])(image)
    with pytest.raises(TeacherError, match=found):
        load(model14[0])(image.numpy())


@pytest.mark.parametrize("count, size", [(0, IMAGE), (2, 0)])
def test_no_pixels_are_refused(model14, count, size):
    with pytest.raises(TeacherError, match=rf"shape \({count}, 3, {size}, {size}\)"):
        load(model14[0])(images(count, size))


def test_arrays_are_images_too(model14):
    teacher = load(model14[0])
    assert torch.equal(teacher(images().numpy()).patches, teacher(images()).patches)
    assert torch.equal(teacher(images().numpy()[::-1]).patches, teacher(images().flip(0)).patches)
    assert torch.equal(teacher(images().numpy().astype("float64")).patches, teacher(images()).patches)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"device": "cuda"}, "device='cuda' is not on this machine"),
        ({"device": "cuda:99"}, "device='cuda:99' is not on this machine"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"dtype": "bfloat"}, "dtype='bfloat'"),
        ({"dtype": torch.int8}, "dtype=torch.int8"),
        ({"dtype": "nn"}, "dtype='nn'"),
        ({"batch": 0}, "batch=0"),
        ({"batch": 2.5}, "batch=2.5"),
    ],
)
def test_options_without_such_a_value_are_refused(model14, monkeypatch, options, message):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ConfigError, match=message):
        load(model14[0], **options)


def test_options_may_be_names_and_numpys_numbers(model14):
    teacher = load(model14[0], dtype="bfloat16", device="cpu", batch=np.int64(2))
    assert teacher.dtype == torch.bfloat16 and teacher.batch == 2
    assert load_teacher(str(model14[0])).dtype == getattr(torch, precision_of("cpu"))


@pytest.mark.parametrize("patch", [[14, 14], (14, 14)])
def test_a_side_may_be_stated_as_a_pair(model14, copy14, patch):
    edit_config(copy14, patch_size=patch, image_size=[IMAGE, IMAGE])
    teacher = load(copy14)
    assert teacher.patch == 14 and image_size(str(copy14), 60) == teacher.image_size(60) == 56
    assert teacher.revision == load(model14[0]).revision
    for size in (IMAGE, 84):
        assert torch.equal(teacher(images(size=size)).patches, load(model14[0])(images(size=size)).patches)
    edit_config(copy14, patch_size=[14, 7])
    assert "a side of [14, 7] pixels" in refusal(copy14)


@pytest.mark.parametrize("key", ["num_hidden_layers", "hidden_size", "image_size"])
def test_absurd_sizes_are_refused_before_anything_is_allocated(copy14, key):
    edit_config(copy14, **{key: 10**9})
    assert f"{key} is 1,000,000,000" in refusal(copy14)
    assert f"{key} is 1,000,000,000" in refusal(f"{copy14}/untrained")


def test_a_shipped_teacher_that_was_changed_is_refused(tmp_path, monkeypatch):
    """One flipped bit in any of its files."""
    shipped = SHIPPED["cross4d-tiny"]
    for file in (file for file in FILES if (shipped / file).is_file()):
        folder = shutil.copytree(shipped, tmp_path / file)
        monkeypatch.setitem(SHIPPED, "cross4d-tiny", folder)
        assert load_teacher("cross4d-tiny").name == "cross4d-tiny"
        data = bytearray((folder / file).read_bytes())
        data[-2] ^= 1
        (folder / file).write_bytes(data)
        with pytest.raises(TeacherError, match="not those that ship.*reinstall"):
            load_teacher("cross4d-tiny")


def test_a_grid_that_does_not_fit_the_render_is_refused(model14):
    with pytest.raises(TeacherError, match="patches of 14 px do not divide images of 60 px .*render at size=56"):
        load(model14[0])(images(1, 60))


def test_an_empty_name_is_refused():
    for name in ("", "/untrained"):
        with pytest.raises(ConfigError, match="cross4d-tiny"):
            load_teacher(name)


def test_offline_a_hub_id_is_refused_without_trying_the_network(monkeypatch):
    import huggingface_hub.constants

    tried = []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda *where, **_: tried.append(where) or pytest.fail(f"looked up {where}")
    )
    monkeypatch.setattr(
        socket.socket, "connect", lambda _, where: tried.append(where) or pytest.fail(f"connected to {where}")
    )
    for name in ("nobody-here/no-such-dinov2", "nobody-here/no-such-dinov2/untrained"):
        assert "offline, give a folder, or use cross4d-tiny" in refusal(name)
    assert not tried


# ------------------------------------------------------------------------------------------------------- 6. projections


def test_the_random_projection_is_one_fixed_matrix():
    matrix = random_projection(192, 384)
    assert matrix.shape == (192, 384) and matrix.dtype == torch.float32
    state = torch.random.get_rng_state()
    torch.manual_seed(99)
    assert torch.equal(matrix, random_projection(192, 384))
    torch.random.set_rng_state(state)
    assert not torch.equal(matrix, random_projection(192, 384, seed=1))
    assert matrix.mean().abs() < 4 / math.sqrt(384 * matrix.numel())  # four standard errors of entries N(0, 1/384)
    assert (matrix * 384**0.5).std().item() == pytest.approx(1, abs=4 / math.sqrt(2 * matrix.numel()))
    for wrong in ((0, 5), (5, 0)):
        with pytest.raises(ConfigError):
            random_projection(*wrong)


def test_the_random_projection_keeps_all_pairs_of_a_clip():
    """Johnson-Lindenstrauss. For unit x, y with cosine c, (xW)(yW)^T = (1 + c)/2 A - (1 - c)/2 B, where A and B are
    means of d_p squared standard Gaussians. Each leaves 1 by more than eps with probability < 2 exp(-d_p (eps^2/4 -
    eps^3/6)), and if neither does, the error is at most eps. Over n(n+1)/2 pairs, failing once in a thousand matrices,
    that gives eps; a cosine also divides by two lengths, whose squares lie in 1 +- eps, so its error is at most 2 eps /
    (1 - eps)."""
    count, dim_in, dim_out = 40, 1024, 384
    fails = lambda eps: count * (count + 1) / 2 * 4 * math.exp(-dim_out * (eps**2 / 4 - eps**3 / 6))
    eps = next(k / 1000 for k in range(1, 1000) if fails(k / 1000) < 1e-3)
    assert eps < 0.5  # the bound says something
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(count, dim_in, generator=generator) + 2 * torch.randn(
        dim_in, generator=generator
    )  # a common part, as teachers have
    unit = torch.nn.functional.normalize(features, dim=-1)
    there = unit @ random_projection(dim_in, dim_out)
    assert (there @ there.T - unit @ unit.T).abs().max() < eps
    cosine = torch.nn.functional.normalize(there, dim=-1)
    assert (cosine @ cosine.T - unit @ unit.T).abs().max() < 2 * eps / (1 - eps)


def test_the_random_projection_nearly_keeps_angles():
    """How nearly: the cosine of d_p pairs of Gaussians (a sample correlation) scatters by (1 - c^2) / sqrt(d_p) around
    c. Over 500 pairs with known c the standardised error has root mean square 1 (five standard errors: +- 0.16) and
    none is beyond 5."""
    dim_in, dim_out, pairs = 1024, 384, 500
    generator = torch.Generator().manual_seed(6)
    c = torch.linspace(-0.9, 0.9, pairs)
    x, other = torch.nn.functional.normalize(torch.randn(2, pairs, dim_in, generator=generator), dim=-1)
    across = torch.nn.functional.normalize(other - (other * x).sum(-1, keepdim=True) * x, dim=-1)
    y = c[:, None] * x + (1 - c[:, None] ** 2).sqrt() * across
    matrix = random_projection(dim_in, dim_out)
    error = torch.nn.functional.cosine_similarity(x @ matrix, y @ matrix, dim=-1) - c
    standardised = error / ((1 - c**2) / dim_out**0.5)
    assert standardised.square().mean().sqrt().item() == pytest.approx(1, abs=5 / math.sqrt(2 * pairs))
    assert standardised.abs().max() < 5


def reconstruction_error(features, basis):
    centred = features.double() - features.double().mean(0)
    return (centred - centred @ basis.double() @ basis.double().T).square().sum().item()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(3, 60), st.integers(1, 12), st.data())
def test_pca_is_orthonormal_and_reconstructs_best(seed, count, dim_in, data):
    dim_out = data.draw(st.integers(1, min(count - 1, dim_in)))
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, dim_in, generator=generator) @ torch.randn(dim_in, dim_in, generator=generator) + 5
    basis = pca_projection(features, dim_out)
    assert basis.shape == (dim_in, dim_out) and basis.dtype == torch.float32
    torch.testing.assert_close(basis.T @ basis, torch.eye(dim_out), atol=1e-5, rtol=0)
    best = (
        torch.linalg.svdvals(features.double() - features.double().mean(0))[dim_out:].square().sum().item()
    )  # Eckart-Young
    scale = reconstruction_error(features, torch.zeros(dim_in, 1))
    assert reconstruction_error(features, basis) == pytest.approx(best, abs=1e-5 * scale)
    rival = torch.linalg.qr(torch.randn(dim_in, dim_out, generator=generator)).Q
    assert reconstruction_error(features, basis) <= reconstruction_error(features, rival) + 1e-5 * scale


def test_pca_directions_come_in_order_and_with_fixed_signs():
    generator = torch.Generator().manual_seed(3)
    features = torch.randn(200, 6, generator=generator) * torch.tensor(
        [1.0, 5, 3, 0.5, 8, 2]
    )  # far apart, so directions are settled
    basis = pca_projection(features, 4)
    assert basis.abs().argmax(0).tolist() == [4, 1, 2, 5]
    assert (basis.gather(0, basis.abs().argmax(0, keepdim=True)) > 0).all()
    for same in (
        features.flip(0),
        features + 7,
        3 * features,
        -features,
    ):  # the same cloud: reordered, moved, grown, mirrored
        torch.testing.assert_close(pca_projection(same, 4), basis, atol=1e-5, rtol=0)


def test_too_many_directions_are_refused():
    features = torch.randn(5, 8)
    assert pca_projection(features, 4).shape == (8, 4)
    for wrong in (5, 0, -1):
        with pytest.raises(ConfigError, match="principal directions .*from 1 to 4"):
            pca_projection(features, wrong)
    with pytest.raises(ConfigError, match="from 1 to 8"):
        pca_projection(torch.randn(50, 8), 9)


def test_a_teacher_of_ones_own_needs_forward_alone():
    class Grey(Teacher):
        name, revision, patch, dim, trained, description = "grey", "0", 7, 1, True, "mean grey of a patch"

    with pytest.raises(NotImplementedError):
        Grey()(images(1))
