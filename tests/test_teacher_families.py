"""Eq. 2 for every family: each adapter is exactly the model behind it, and its patches lie where the render says they
lie.

Claims proved, on tiny random models that this file saves and on the published sizes:
1. Patches and summary are those of the raw transformers model on normalised pixels, prefix tokens skipped: registers
   as many as the configuration says, no class token for video. The grid is row by row: a lit patch changes its own
   feature most.
2. Frame f reads temporal token f // tubelet. Odd and single frames are a clip that stands still at its end. A window
   covers exactly the frames it should. V-JEPA 2 on any grid has the rotary positions of a model built for that grid.
3. Rendered size: ``image_size`` is always divided exactly, is told from a configuration alone, and is what a run's
   spec holds.
4. Text and patches share one space where the checkpoint has the head for it, and only there.
5. Published sizes: parameters counted, one real forward pass each, no network. What is reduced or untrained says so.
6. Refusals: gated, no family, remote code, no weights of that name, too little memory, a wrong grid. Remote code runs
   only when asked for by name. A teacher that fails half way leaves a store that knows what it lacks.
7. ``cross4d-tiny`` is the teacher that the committed rows were measured with.
"""

import json
import shutil
import socket
from types import SimpleNamespace

import pytest
import torch
import transformers as tf
from conftest import DIM, tiny_encoder
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn.functional import normalize

from cross4d_lib import build_targets, patch_index, render
from cross4d_lib.errors import TargetError, TeacherError
from cross4d_lib.experiments import PROFILES, build_spec, load_profile
from cross4d_lib.targets import TargetStore
from cross4d_lib.teachers import Features, Teacher, family_of, frozen, image_size, load_teacher
from cross4d_lib.teachers.frozen import HALF_MEAN, HALF_STD, IMAGENET_MEAN, IMAGENET_STD
from cross4d_lib.teachers.load import ADAPTERS, about_parameters
from cross4d_lib.teachers.published import FAMILIES, PUBLISHED
from cross4d_lib.teachers.video import padded, window_starts

CLOSE = {"atol": 2e-5, "rtol": 1e-5}  # float32 sums in another order
D, SIZE = 24, 64  # 4 x 4 patches of 16 px
SMALL = {
    "hidden_size": D,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 16,
    "image_size": SIZE,
    "initializer_range": 0.2,
}
VIT = {**SMALL, "intermediate_size": 48}
TEXT = {
    "vocab_size": 12,
    "hidden_size": D,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "max_position_embeddings": 8,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
TOWER = {name: value for name, value in VIT.items() if name != "initializer_range"}

MAKERS = {
    "dinov2_with_registers": lambda: tf.Dinov2WithRegistersModel(
        tf.Dinov2WithRegistersConfig(**SMALL, mlp_ratio=2, num_register_tokens=3)
    ),
    "dinov3_vit": lambda: tf.DINOv3ViTModel(tf.DINOv3ViTConfig(**VIT, num_register_tokens=3)),
    "vjepa2": lambda: tf.VJEPA2Model(
        tf.VJEPA2Config(
            **{k: v for k, v in SMALL.items() if k != "image_size"},
            crop_size=SIZE,
            mlp_ratio=2,
            pred_hidden_size=12,
            pred_num_attention_heads=2,
            pred_num_hidden_layers=1,
        )
    ),
    "videomae": lambda: tf.VideoMAEModel(tf.VideoMAEConfig(**VIT, num_frames=4, use_mean_pooling=False)),
    "clip": lambda: tf.CLIPModel(tf.CLIPConfig(text_config=TEXT, vision_config=TOWER, projection_dim=20)),
    "clip_vision_model": lambda: tf.CLIPVisionModel(tf.CLIPVisionConfig(**TOWER)),
    "siglip": lambda: tf.SiglipModel(tf.SiglipConfig(text_config=TEXT, vision_config=TOWER)),
    "siglip_vision_model": lambda: tf.SiglipVisionModel(tf.SiglipVisionConfig(**TOWER)),
}
IMAGES = [kind for kind in MAKERS if FAMILIES[kind].modality == "image"]
VIDEOS = [kind for kind in MAKERS if FAMILIES[kind].modality == "video"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """kind -> (folder, raw model), each made once."""
    made = {}

    def save(kind):
        if kind not in made:
            torch.manual_seed(7)
            model = MAKERS[kind]().eval()
            if kind == "vjepa2":  # keep no activation small
                for p in model.parameters():
                    p.data.add_(0.05 * torch.randn_like(p))
            folder = tmp_path_factory.mktemp(kind)
            model.save_pretrained(folder)
            made[kind] = folder, model
        return made[kind]

    return save


def load(folder, **options):
    return load_teacher(str(folder), **({"dtype": torch.float32} | options))


@pytest.mark.parametrize("kind", MAKERS)
def test_layer_1_is_the_model_with_one_block(saved, kind, tmp_path):
    """Against a folder that holds the same weights and says that there is one block."""
    folder, _ = saved(kind)
    shutil.copytree(folder, tmp_path / "one")
    config = json.loads((folder / "config.json").read_text())
    vision = config.get("vision_config", config)
    vision["num_hidden_layers"] = 1
    for derived in ("stage_names", "out_features", "out_indices"):
        vision.pop(derived, None)
    (tmp_path / "one" / "config.json").write_text(json.dumps(config))
    image = images(4)
    found, expected = load(folder, layer=1)(image), load(tmp_path / "one")(image)
    torch.testing.assert_close(found.patches, expected.patches, **CLOSE)
    torch.testing.assert_close(found.summary, expected.summary, **CLOSE)
    assert not torch.allclose(found.patches, load(folder)(image).patches, atol=1e-3)


def images(count=2, size=SIZE, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def normalised(image, kind):
    mean, std = {
        "clip": (tf.image_utils.OPENAI_CLIP_MEAN, tf.image_utils.OPENAI_CLIP_STD),
        "siglip": (HALF_MEAN, HALF_STD),
    }.get(kind.split("_")[0], (IMAGENET_MEAN, IMAGENET_STD))
    return (image - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def raw(kind, model, image):
    """(patch tokens (b, h*w, D), summary (b, D)) as the family's own documentation says to take them."""
    pixels = normalised(image, kind)
    with torch.no_grad():
        if kind in ("dinov2_with_registers", "dinov3_vit"):
            out = model(pixels).last_hidden_state
            return out[:, 1 + 3 :], out[:, 0]
        vision = getattr(model, "vision_model", model)
        out = vision(pixels, interpolate_pos_encoding=True)
        return (
            vision.post_layernorm(out.last_hidden_state[:, 1:]) if kind.startswith("clip") else out.last_hidden_state
        ), out.pooler_output


# ------------------------------------------------------------------------------- 1. the model, and where its tokens lie


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("size", [SIZE, 48])
def test_image_features_are_the_raw_models(saved, kind, size):
    folder, model = saved(kind)
    image = images(size=size)
    patches, summary = raw(kind, model, image)
    found = load(folder)(image)
    grid = size // 16
    assert found.patches.shape == (2, grid, grid, D) and found.patches.dtype == found.summary.dtype == torch.float32
    torch.testing.assert_close(found.patches.flatten(1, 2), patches, **CLOSE)
    torch.testing.assert_close(found.summary, summary, **CLOSE)


@pytest.mark.parametrize("kind", [*IMAGES, *VIDEOS])
def test_a_lit_patch_changes_its_own_feature_most(saved, kind):
    """Row 1, column 2 of 4 x 4: a transposed, flipped or shifted grid, or a register taken for a patch, would light
    another."""
    teacher = load(saved(kind)[0])
    image = images(4) * 0.2 + 0.4
    lit = image.clone()
    lit[..., 16:32, 32:48] = 1.0
    change = (teacher(lit).patches - teacher(image).patches).norm(dim=-1)  # (4, 4, 4)
    assert [divmod(c.argmax().item(), 4) for c in change] == [(1, 2)] * 4


@pytest.mark.parametrize("kind", [*IMAGES, *VIDEOS])
def test_render_and_teacher_agree_on_the_patch(saved, kind):
    """A point's patch index is the feature whose token saw the point: moving nothing but that point's pixels moves it
    most."""
    teacher = load(saved(kind)[0])
    clip = torch.randn(4, 60, 3, generator=torch.Generator().manual_seed(1)) * torch.tensor([1.0, 1.0, 0.1])
    view = render(clip, teacher.image_size(SIZE))
    index = patch_index(view, teacher.patch)
    n = int((view.visible.all(0)).nonzero()[0])  # a point that every frame sees
    lit = view.image.clone()
    for f in range(4):
        row, column = divmod(int(index[f, n]), SIZE // 16)
        part = lit[f, :, 16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        part.copy_(1 - part)
    change = (teacher(lit).patches - teacher(view.image).patches).norm(dim=-1).flatten(1)
    hit = [int(change[f].argmax()) == int(index[f, n]) for f in range(4)]
    assert all(hit) if kind in IMAGES else any(hit)  # a tubelet joins two frames, whose points may lie in two patches


def test_registers_are_as_many_as_the_configuration_says(saved, tmp_path):
    """With none, the token behind the class token is the first patch."""
    torch.manual_seed(3)
    model = tf.DINOv3ViTModel(tf.DINOv3ViTConfig(**VIT, num_register_tokens=0)).eval()
    model.save_pretrained(tmp_path)
    image = images()
    with torch.no_grad():
        out = model(normalised(image, "dinov3_vit")).last_hidden_state
    assert out.shape[1] == 1 + 16
    torch.testing.assert_close(load(tmp_path)(image).patches.flatten(1, 2), out[:, 1:], **CLOSE)


# -------------------------------------------------------------------------------------------------------------- 2. time


def test_vjepa_features_are_the_raw_encoders(saved):
    folder, model = saved("vjepa2")
    image = images(6)
    with torch.no_grad():
        tokens = model.get_vision_features(normalised(image, "vjepa2")[None])[0].unflatten(0, (3, 4, 4))  # (3, 4, 4, D)
    teacher = load(folder)
    found = teacher(image)
    for f in range(6):
        torch.testing.assert_close(found.patches[f], tokens[f // 2], **CLOSE)
        torch.testing.assert_close(found.summary[f], tokens[f // 2].mean((0, 1)), **CLOSE)
    assert teacher.model.predictor is None


def test_videomae_features_are_the_raw_models(saved):
    folder, model = saved("videomae")
    image = images(4)
    with torch.no_grad():
        tokens = model(normalised(image, "videomae")[None]).last_hidden_state[0].unflatten(0, (2, 4, 4))
    found = load(folder)(image)
    for f in range(4):
        torch.testing.assert_close(found.patches[f], tokens[f // 2], **CLOSE)


def test_one_token_is_one_tubelet_by_hand(saved):
    """Without blocks and norm what is left is the convolution: patch (1, 2) of frames 2 and 3, by one dot product."""
    teacher = load(saved("vjepa2")[0])
    image = images(4)
    with torch.no_grad():
        conv = teacher.model.encoder.embeddings.patch_embeddings.proj  # (D, 3, 2, 16, 16)
        tokens = teacher.model.encoder.embeddings(normalised(image, "vjepa2")[None])[0]  # (2 * 16, D)
        block = normalised(image, "vjepa2")[2:4, :, 16:32, 32:48].transpose(0, 1)  # (3, 2, 16, 16)
        by_hand = torch.einsum("dcthw,cthw->d", conv.weight, block) + conv.bias
    torch.testing.assert_close(tokens[1 * 16 + 1 * 4 + 2], by_hand, **CLOSE)


@pytest.mark.parametrize("kind", VIDEOS)
@pytest.mark.parametrize("frames", [1, 3])
def test_clips_that_do_not_fill_a_tubelet_stand_still_at_their_end(saved, kind, frames):
    teacher = load(saved(kind)[0])
    image = images(frames)
    still = torch.cat([image, image[-1:].expand(4 - frames, -1, -1, -1)])
    found, whole = teacher(image), teacher(still if kind == "videomae" else padded(image, 2))
    assert found.patches.shape == (frames, 4, 4, D)
    torch.testing.assert_close(found.patches, whole.patches[:frames], **CLOSE)


def test_windows_by_hand():
    assert window_starts(16, 16) == [0] and window_starts(24, 16) == [0, 8] and window_starts(48, 16) == [0, 16, 32]
    assert len(padded(torch.zeros(23, 1), 2, 16)) == 24 and len(padded(torch.zeros(8, 1), 2, 16)) == 16
    assert padded(torch.tensor([1.0, 2.0, 3.0]), 2).tolist() == [1, 2, 3, 3]


@pytest.mark.parametrize("batch", [64, 1])
def test_a_frame_reads_the_window_that_holds_it(saved, batch):
    """Ten frames in windows of four: 0-3, 4-7, and 6-9 for what is left; each equals the model on that window alone."""
    teacher = load(saved("videomae")[0], batch=batch)
    image = images(10)
    found = teacher(image).patches
    for window, frames in ((slice(0, 4), range(4)), (slice(4, 8), range(4, 8)), (slice(6, 10), range(8, 10))):
        alone = teacher(image[window]).patches
        for f in frames:
            torch.testing.assert_close(found[f], alone[f - window.start], **CLOSE)
    assert not torch.allclose(
        found[6], teacher(image[6:10]).patches[0], atol=1e-3
    )  # where windows overlap, the earlier counts


def test_rotary_positions_are_those_of_the_grid_at_hand(saved, tmp_path):
    """At 48 px a model for 64 px must be the model for 48 px: transformers alone would take column 3 of row 0 for
    column 0 of row 1."""
    folder, model = saved("vjepa2")
    image = images(4, 48)
    (tmp_path / "config.json").write_text(
        json.dumps(json.loads((folder / "config.json").read_text()) | {"crop_size": 48})
    )
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    built = tf.VJEPA2Model.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        right = built.get_vision_features(normalised(image, "vjepa2")[None])[0]
        wrong = model.get_vision_features(normalised(image, "vjepa2")[None])[0]
    teacher = load(folder)
    teacher(images(2))  # another grid before
    torch.testing.assert_close(teacher(image).patches[::2].flatten(0, 2), right, **CLOSE)
    assert (right - wrong).abs().max() > 1e-3


# ------------------------------------------------------------------------------------------------------------- 3. sizes


def test_every_published_teacher_has_a_size_that_its_patches_divide():
    for name, published in PUBLISHED.items():
        adapter = ADAPTERS[published.model_type]
        vision = adapter.vision_config(adapter.architecture.config_class(**published.config))
        size = image_size(name, 126)
        assert size == image_size(f"{name}/untrained", 126) and size % vision.patch_size == 0
        assert size == 224 if FAMILIES[published.model_type].fixed_size else abs(size - 126) <= vision.patch_size / 2
    assert [
        image_size(name)
        for name in (
            "cross4d-tiny",
            "facebook/dinov2-large",
            "facebook/vjepa2-vitl-fpc64-256",
            "MCG-NJU/videomae-base",
            "who/knows",
        )
    ] == [126, 126, 128, 224, 126]
    assert image_size("facebook/dinov2-large", 100) == 98 and image_size("facebook/dinov2-large", 1) == 14


def test_a_folder_tells_its_size_and_family(saved):
    for kind in MAKERS:
        folder = str(saved(kind)[0])
        assert image_size(folder, 126) == (SIZE if kind == "videomae" else 128) == load(folder).image_size(126)
        assert family_of(folder) == FAMILIES[kind]
    assert family_of("who/knows") is None


def test_runs_hold_their_teachers_size():
    quick = load_profile("quick")
    size = lambda name, **more: (
        build_spec(quick, "synthetic-actions", "dense", 0, targets={"teacher": name, **more}).targets.size
    )
    names = (*quick.teachers, "dinov3-tiny/untrained", "videomae-tiny/untrained")
    sizes = {name: size(name) for name in names}
    assert sizes == {name: image_size(name, quick.size) for name in names} and len(set(sizes.values())) == 3
    assert size("dinov3-tiny/untrained", size=96) == 96
    for profile in PROFILES.values():
        assert profile.teachers[0] == profile.teacher
        assert all(family_of(name) for name in profile.teachers)


def test_a_size_that_does_not_fit_is_refused_with_the_one_that_does(saved):
    with pytest.raises(TeacherError, match="16 px do not divide images of 126 px .*size=128"):
        load(saved("dinov3_vit")[0])(images(size=126))
    with pytest.raises(TeacherError, match="it takes 64 px and nothing else .*size=64"):
        load(saved("videomae")[0])(images(size=48))


# ---------------------------------------------------------------------------------------------------------- 4. language


@pytest.fixture(scope="module", params=["clip", "siglip"])
def speaking(request, saved):
    """A folder with a tokenizer of a few words beside the model."""
    folder, model = saved(request.param)
    words = ["<unk>", "<pad>", "<s>", "</s>", "a", "hand", "foot", "moving"]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="</s>", bos_token="<s>"
    ).save_pretrained(folder)
    return request.param, folder, model


def test_words_and_patches_share_one_space(speaking):
    """The text is the model's own text feature; aligned patches are the model's own head on each patch alone."""
    kind, folder, model = speaking
    teacher = load(folder)
    words = teacher.text(["a hand", "a moving foot </s>"])
    ids = torch.tensor([[4, 5, 1, 1, 1, 1, 1, 1], [4, 7, 6, 3, 1, 1, 1, 1]])
    given = {"input_ids": ids, **({"attention_mask": (ids != 1).long()} if kind == "clip" else {})}
    found = teacher(images())
    aligned = teacher.aligned(found.patches)
    with torch.no_grad():
        torch.testing.assert_close(words, normalize(model.get_text_features(**given).pooler_output, dim=-1), **CLOSE)
        one = found.patches[1, 2, 3]
        head = model.visual_projection(one) if kind == "clip" else model.vision_model.head(one[None, None])[0]
    torch.testing.assert_close(aligned[1, 2, 3], normalize(head, dim=-1), **CLOSE)
    assert aligned.shape == (2, 4, 4, words.shape[1]) and torch.allclose(
        aligned.norm(dim=-1), torch.ones(2, 4, 4), atol=1e-5
    )


def test_a_summary_is_aligned_as_the_model_itself_aligns_it(saved):
    """CLIP: the same head on the class token is the model's image feature."""
    folder, model = saved("clip")
    teacher, image = load(folder), images()
    with torch.no_grad():
        expected = model.get_image_features(pixel_values=normalised(image, "clip")).pooler_output
    torch.testing.assert_close(teacher.aligned(teacher(image).summary), normalize(expected, dim=-1), **CLOSE)


def test_a_tower_alone_says_what_it_lacks(saved, tmp_path):
    for kind in ("clip_vision_model", "siglip_vision_model"):
        teacher = load(saved(kind)[0])
        with pytest.raises(TeacherError, match="without its text tower .*whole checkpoint"):
            teacher.text(["a hand"])
        with pytest.raises(TeacherError, match="without the head"):
            teacher.aligned(teacher(images()).patches)
    saved("clip")[1].save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="no tokenizer .*tokenizer.json"):
        load(tmp_path).text(["a hand"])


# --------------------------------------------------------------------------------------------------- 5. published sizes

PARAMETERS = {  # millions; the hub says 21.6 M for DINOv3 S, 0.3, 0.7 and 1 B for V-JEPA 2 with its predictor
    "facebook/dinov2-small": 22,
    "facebook/dinov2-base": 87,
    "facebook/dinov2-large": 304,
    "facebook/dinov2-with-registers-large": 304,
    "facebook/dinov3-vits16-pretrain-lvd1689m": 22,
    "facebook/dinov3-vitb16-pretrain-lvd1689m": 86,
    "facebook/dinov3-vitl16-pretrain-lvd1689m": 303,
    "facebook/vjepa2-vitl-fpc64-256": 326,
    "facebook/vjepa2-vith-fpc64-256": 654,
    "facebook/vjepa2-vitg-fpc64-256": 1035,
    "google/siglip-base-patch16-224": 203,
    "openai/clip-vit-base-patch16": 150,
    "openai/clip-vit-base-patch32": 151,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_published_sizes_have_their_parameters(name):
    adapter = ADAPTERS[PUBLISHED[name].model_type]
    config = adapter.architecture.config_class(**PUBLISHED[name].config)
    with torch.device("meta"):
        model = adapter.architecture(config)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == PARAMETERS[name]
    seen = sum(
        p.numel() for key, p in adapter.kept(model).named_parameters() if "text" not in key and "head" not in key
    )
    assert about_parameters(adapter, config) == pytest.approx(seen, rel=0.07)  # what memory is asked for before loading


@pytest.fixture
def no_network(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: pytest.fail(f"looked up {where}"))
    monkeypatch.setattr(socket.socket, "connect", lambda _, where: pytest.fail(f"connected to {where}"))


@pytest.mark.parametrize(
    "name",
    [
        "facebook/dinov2-with-registers-small",
        "facebook/dinov3-vits16-pretrain-lvd1689m",
        "vjepa2-tiny",
        "videomae-tiny",
    ],
)
def test_a_published_size_runs_untrained_without_network(name, no_network):
    teacher = load_teacher(f"{name}/untrained")
    size = teacher.image_size(126)
    found = teacher(images(3, size))
    assert (
        found.patches.shape == (3, size // teacher.patch, size // teacher.patch, teacher.dim)
        and found.patches.std() > 0.1
    )
    assert not teacher.trained and "UNTRAINED" in teacher.description and teacher.name == f"{name}/untrained"
    assert ("reduced size" in teacher.description) == (not PUBLISHED[name].weights)


def test_untrained_copies_of_a_family_are_fixed_by_their_seed(saved):
    for kind in MAKERS:
        folder = saved(kind)[0]
        first, again, other, trained = (
            load(f"{folder}/untrained"),
            load(f"{folder}/untrained"),
            load(f"{folder}/untrained", seed=1),
            load(folder),
        )
        assert first.revision == again.revision and len({first.revision, other.revision, trained.revision}) == 3
        assert load(folder).revision == trained.revision and trained.trained


# ---------------------------------------------------------------------------------------------------------- 6. refusals


def test_reduced_sizes_exist_only_untrained(no_network):
    with pytest.raises(TeacherError, match="only with random weights .*vjepa2-tiny/untrained"):
        load_teacher("vjepa2-tiny")


def test_gated_weights_tell_the_licence_and_how_to_go_on(monkeypatch):
    from huggingface_hub.errors import GatedRepoError

    name = "facebook/dinov3-vits16-pretrain-lvd1689m"

    def gated(*_, **__):
        raise OSError("You are trying to access a gated repo.\nMake sure to have access.") from GatedRepoError(
            "401", response=SimpleNamespace(headers={}, request=None)
        )

    monkeypatch.setattr(tf.PreTrainedConfig, "get_config_dict", gated)
    with pytest.raises(TeacherError) as caught:
        load_teacher(name)
    message = str(caught.value)
    for part in (
        name,
        "gated",
        "DINOv3 licence",
        "hf auth login",
        f"{name}/untrained",
        "cross4d-tiny",
        "give a folder",
    ):
        assert part in message
    assert not load_teacher(f"{name}/untrained").trained  # which is how to go on


def test_offline_a_published_id_tells_its_licence(monkeypatch, no_network):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TeacherError, match="CC-BY-NC.*network once.*MCG-NJU/videomae-base/untrained"):
        load_teacher("MCG-NJU/videomae-base")


def test_an_unknown_family_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(TeacherError, match="model_type bert.*no family.*vjepa2"):
        load_teacher(str(tmp_path))


CODE = """
import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
open({mark!r}, "w").write("ran")

class VideoMAEv2Config(PretrainedConfig):
    model_type = "VideoMAEv2_Base"
    def __init__(self, model_config=None, **rest):
        super().__init__(**rest)
        self.model_config = model_config or {{}}

class Body(nn.Module):
    def __init__(self, c):
        super().__init__()
        p, t = c["patch_size"], c["tubelet_size"]
        self.embed = nn.Conv3d(3, c["embed_dim"], (t, p, p), (t, p, p))
        self.blocks = nn.ModuleList(nn.Linear(c["embed_dim"], c["embed_dim"]) for _ in range(c["depth"]))
    def forward(self, x):
        x = self.embed(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean(1)

class VideoMAEv2(PreTrainedModel):
    config_class = VideoMAEv2Config
    def __init__(self, config):
        super().__init__(config)
        self.model = Body(config.model_config)
        self.post_init()
    def forward(self, x):
        return self.model(x)
"""


def test_remote_code_runs_only_when_asked_for_by_name(tmp_path, monkeypatch):
    """A checkpoint laid out as VideoMAE v2's: refused, then read before its pooling, by windows, like v1."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder, mark = tmp_path / "v2", tmp_path / "mark"
    folder.mkdir()
    (folder / "modeling_videomaev2.py").write_text(CODE.format(mark=str(mark)))
    stated = {"img_size": 32, "patch_size": 16, "embed_dim": 8, "depth": 2, "tubelet_size": 2, "num_frames": 4}
    auto = {"AutoConfig": "modeling_videomaev2.VideoMAEv2Config", "AutoModel": "modeling_videomaev2.VideoMAEv2"}
    (folder / "config.json").write_text(
        json.dumps({"model_type": "VideoMAEv2_Base", "auto_map": auto, "model_config": stated})
    )
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(TeacherError, match="its own code.*trust_remote_code=True.*MCG-NJU/videomae"):
        load_teacher(str(folder))
    assert not mark.exists()
    config = tf.AutoConfig.from_pretrained(folder, trust_remote_code=True)
    model = tf.AutoModel.from_config(config, trust_remote_code=True).eval()
    (folder / "model.safetensors").unlink()
    from safetensors.torch import save_file

    save_file(model.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    teacher = load_teacher(str(folder), trust_remote_code=True, dtype=torch.float32)
    assert mark.exists() and teacher.trained and "remote code" in teacher.description
    image = images(4, 32)
    with torch.no_grad():
        x = model.model.embed(normalised(image, "videomae")[None].transpose(1, 2)).flatten(2).transpose(1, 2)
        for block in model.model.blocks:
            x = block(x)
    torch.testing.assert_close(teacher(image).patches[::2].flatten(0, 2), x[0], **CLOSE)
    assert teacher(images(6, 32)).patches.shape == (6, 2, 2, 8)


def test_a_checkpoint_without_its_predictor_is_whole_one_without_a_block_is_not(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    folder, _ = saved("vjepa2")
    weights = load_file(folder / "model.safetensors")
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    keep = lambda test: save_file(
        {k: v for k, v in weights.items() if test(k)}, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    keep(lambda key: not key.startswith("predictor."))
    assert load(tmp_path).revision == load(folder).revision
    keep(lambda key: "layer.1." not in key)
    with pytest.raises(TeacherError, match="weights missing .*layer.1.*VJEPA2Model"):
        load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:5000])
    with pytest.raises(TeacherError, match="damaged"):
        load(tmp_path)


def test_batches_follow_free_memory(saved, monkeypatch):
    """Room for three images: passes of three, the same features. Room for none: refused, before anything is
    computed."""
    teacher = load(saved("dinov3_vit")[0])
    whole = teacher(images(8))
    each = frozen.LIVE * teacher.tokens(SIZE) * D * 4
    monkeypatch.setattr(frozen, "free_bytes", lambda device: int(3.5 * each / frozen.SHARE))
    passes, forward = [], teacher._forward_batch
    monkeypatch.setattr(teacher, "_forward_batch", lambda image: passes.append(len(image)) or forward(image))
    torch.testing.assert_close(teacher(images(8)).patches, whole.patches, **CLOSE)
    assert passes == [3, 3, 2]
    monkeypatch.setattr(frozen, "free_bytes", lambda device: int(0.5 * each))
    with pytest.raises(TeacherError, match="one forward pass takes about .* are free"):
        teacher(images(1))
    with pytest.raises(TeacherError, match="weights take .* free .*smaller teacher"):
        load(saved("dinov3_vit")[0])


class Failing(Teacher):
    """A healthy teacher but for its third clip."""

    name, patch, trained, description = "failing", 14, True, "fails at the third clip"

    def __init__(self, healthy, breaks):
        self.healthy, self.breaks, self.calls = healthy, breaks, 0
        self.revision, self.dim = healthy.revision, healthy.dim

    def forward(self, image):
        self.calls += 1
        found = self.healthy.forward(image)
        return (
            self.breaks(found) if self.calls == 4 else found
        )  # the first clip is made twice: once to lay out the store


BREAKS = {
    "not finite": lambda f: Features(f.patches * float("nan"), f.summary),
    "shape": lambda f: Features(f.patches[:, :-1], f.summary),
    "half precision": lambda f: Features(f.patches * 1e8, f.summary),
}


@pytest.mark.parametrize("fault", BREAKS)
def test_a_teacher_that_fails_half_way_leaves_a_store_that_knows_it(clips, teacher, finished, cache, fault):
    """The error comes through; what is finished is whole, the rest is known to be missing, and a healthy teacher
    completes it."""
    from conftest import SIZE as RENDER

    arguments = {"encoder": tiny_encoder(), "progress": False}
    with pytest.raises((TeacherError, TargetError), match=fault):
        build_targets(clips, Failing(teacher, BREAKS[fault]), DIM, RENDER, **arguments)
    (path,) = (cache / "targets").glob("*.zarr")
    torn = TargetStore(path)
    missing = torn.unfinished()
    assert 0 < len(missing) < len(clips)
    with pytest.raises(TargetError, match="not built yet"):
        torn.read(missing[0])
    whole = build_targets(clips, teacher, DIM, RENDER, **arguments)
    assert all(torch.equal(whole.clip(i)["targets"], finished.clip(i)["targets"]) for i in range(len(clips)))


def test_a_teacher_that_fails_at_once_leaves_nothing(clips, teacher, cache):
    class Broken(Failing):
        def forward(self, image):
            return BREAKS["not finite"](self.healthy.forward(image))

    with pytest.raises(TeacherError, match="not finite"):
        build_targets(clips, Broken(teacher, None), DIM, 42, encoder=tiny_encoder(), progress=False)
    assert not list(cache.rglob("*.zarr*"))


# ---------------------------------------------------------------------------------------------------- 7. as in the rows


def test_cross4d_tinys_revisions_are_what_rows_say_they_were():
    """The committed rows hold the revision of the teacher whose targets they were measured with."""
    from cross4d_lib.experiments.run import load_rows

    stated = {row.teacher: row.teacher_revision for row in load_rows("quick") if row.teacher.startswith("cross4d-tiny")}
    for name in ("cross4d-tiny", "cross4d-tiny/untrained"):
        teacher = load_teacher(name, dtype=torch.float32)
        assert teacher.revision.rpartition("-")[0] == stated[name].rpartition("-")[0]
