"""One training loop: AdamW, warm-up and cosine, exactly repeatable and exactly resumable.

Claims proved:
1. The learning rate rises linearly over the warm-up, is the given one at its end, half of it in the middle of the
   rest, and nears 0; AdamW is run with it, decays matrices only, and never takes a gradient longer than the clip.
2. Same seed, same result, bit for bit; another seed, another one.
3. Wherever a run stops (an exception, SIGKILL, also within the writing of a checkpoint), it goes on to the weights
   and the log of a run that did not stop, bit for bit. A checkpoint of another run, or a damaged one, is refused.
4. Pretraining lowers its loss, touches nothing but the encoder, and runs in bfloat16 and float32.
5. Ctrl-C ends a run between two steps; workers and several processes give what one gives.
"""

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from conftest import tiny_encoder
from torch import nn

from cross4d_lib import training
from cross4d_lib.decisions import BATCH, GRADIENT_CLIP
from cross4d_lib.errors import ConfigError, TargetError
from cross4d_lib.precision import precision_of
from cross4d_lib.targets import TargetStore
from cross4d_lib.training import BatchOrder, Training, TrainingLog, learning_rate, pretrain, train

EPOCHS = 4
OPTIONS = {"epochs": EPOCHS, "batch": 4, "precision": "float32"}  # 6 clips: a batch of 4 and one of 2


def weights_of(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same_weights(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def straight(finished):
    """What an undisturbed dense run ends with: weights and log."""
    encoder = tiny_encoder()
    log = pretrain(encoder, finished, seed=3, **OPTIONS)
    return weights_of(encoder), log.epochs


class Rows:
    """Items for ``train``: rows of two tensors; a batch is a pair of stacked rows."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return self.x[i], self.y[i]

    def collate(self, items):
        return tuple(map(torch.stack, zip(*items)))


class Line(nn.Module):
    """The smallest thing that learns: a linear map towards a target."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(4, 3)

    def forward(self, batch):
        error = (self.line(batch[0]).float() - batch[1]).square().mean()
        return {"loss": error, "root": error.sqrt()}


def line_fit(steps=1, checkpoint=None, scale=1.0, after_step=None, **options):
    """train() on a Line and 8 rows. Returns module and log."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module, rows = Line(), Rows(torch.randn(8, 4), scale * torch.randn(8, 3))
    options = Training(**{"epochs": steps, "batch": 8, "precision": "float32", **options})
    return module, train(module, rows, options, checkpoint=checkpoint, after_step=after_step)


# ------------------------------------------------------------------------------------------------ 1. the optimiser


def test_the_defaults_are_the_papers():
    options = Training()
    assert (options.epochs, options.rate, options.weight_decay, options.warmup) == (100, 5e-4, 1e-4, 0.05)
    assert (options.batch, options.clip) == (BATCH, GRADIENT_CLIP)


@pytest.mark.parametrize("steps", [40, 100, 2000])
def test_the_learning_rate_at_its_landmarks(steps):
    """5 % of the steps rise in equal parts; then half a cosine: full at its start, cos 60 deg at a third, half in the
    middle."""
    rate, rise = 5e-4, steps // 20
    rates = [learning_rate(step, steps, rate, 0.05) for step in range(steps)]
    assert rates[:rise] == pytest.approx([rate * (k + 1) / rise for k in range(rise)])
    assert rates[rise - 1] == rates[rise] == max(rates) == rate
    rest = steps - rise
    assert learning_rate(rise + rest / 2, steps, rate, 0.05) == pytest.approx(rate / 2)
    assert learning_rate(rise + rest / 3, steps, rate, 0.05) == pytest.approx(rate * 0.75)
    assert all(a > b for a, b in zip(rates[rise:], rates[rise + 1 :]))
    assert 0 < rates[-1] < 0.01 * rate and learning_rate(steps, steps, rate, 0.05) == pytest.approx(0, abs=1e-12)


def test_the_learning_rate_without_decay_stays():
    assert [learning_rate(step, 100, 2.0, 0.02, decay=False) for step in (0, 1, 2, 50, 99)] == [1.0, 2.0, 2.0, 2.0, 2.0]


def test_the_learning_rate_of_runs_too_short_to_warm_up():
    assert learning_rate(0, 1, 1.0, 0.05) == 1.0 and learning_rate(0, 3, 1.0, 0.0) == 1.0


def test_the_loop_uses_that_rate_and_decays_matrices_only(tmp_path):
    for steps in (1, 7):
        line_fit(steps, tmp_path / f"{steps}.pt", epochs=7 if steps == 7 else 1)
        weights, others = torch.load(tmp_path / f"{steps}.pt", weights_only=True)["optimiser"]["param_groups"]
        assert weights["lr"] == others["lr"] == learning_rate(steps - 1, steps, 5e-4, 0.05)
        assert (weights["weight_decay"], others["weight_decay"]) == (1e-4, 0.0) and len(weights["params"]) == len(
            others["params"]
        ) == 1


@pytest.mark.parametrize(("scale", "clipped"), [(1e4, True), (1e-6, False)])
def test_a_gradient_is_never_longer_than_the_clip(tmp_path, scale, clipped):
    """After one step Adam's first moment is (1 - beta1) g = 0.1 g, g the clipped gradient: its length tells."""
    line_fit(1, tmp_path / "one.pt", scale)
    moments = [
        state["exp_avg"] for state in torch.load(tmp_path / "one.pt", weights_only=True)["optimiser"]["state"].values()
    ]
    length = math.sqrt(sum(moment.square().sum().item() for moment in moments)) / 0.1
    assert length == pytest.approx(GRADIENT_CLIP, rel=1e-4) if clipped else length < GRADIENT_CLIP


def test_the_loop_learns_a_line_and_logs_means_over_clips():
    """Three batches of 3, 3 and 2: an epoch's loss is the mean over clips, not over batches."""
    module, log = line_fit(rate=0.05, epochs=400)
    assert log.epochs[-1]["loss"] < 0.5 * log.epochs[0]["loss"]
    assert [row["epoch"] for row in log.epochs] == list(range(1, 401)) and log.clips == 8 * 400
    assert log.seconds > 0 and log.clips_per_second == log.clips / log.seconds and TrainingLog().clips_per_second == 0
    _, whole = line_fit(rate=0.0, epochs=1)
    _, parts = line_fit(rate=0.0, epochs=1, batch=3)
    assert parts.epochs[0]["loss"] == pytest.approx(whole.epochs[0]["loss"])
    assert not module.training


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}])
def test_sizes_that_train_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match="at least 1"):
        line_fit(**wrong)


# ------------------------------------------------------------------------------------------------ 2. repeatable


@pytest.mark.parametrize("granularity", ["dense", "global"])
def test_one_seed_gives_one_result_and_another_another(finished, granularity):
    ends = []
    for seed in (3, 3, 4):
        torch.manual_seed(random.Random(len(ends)).randrange(10**6))  # the caller's random state does not matter
        encoder = tiny_encoder()
        log = pretrain(encoder, finished, granularity, seed=seed, **OPTIONS)
        ends.append((weights_of(encoder), log.epochs))
    assert same_weights(ends[0][0], ends[1][0]) and ends[0][1] == ends[1][1]
    assert not same_weights(ends[0][0], ends[2][0]) and ends[0][1] != ends[2][1]


def test_a_store_read_from_disk_again_gives_the_same_result(finished, straight):
    encoder = tiny_encoder()
    log = pretrain(encoder, TargetStore(finished.path), seed=3, **OPTIONS)
    assert same_weights(weights_of(encoder), straight[0]) and log.epochs == straight[1]


# ------------------------------------------------------------------------------------------------ 3. resumable


def goes_on(finished, checkpoint, straight):
    """A run with this checkpoint ends where the undisturbed one does; if there is one, whatever encoder it is given."""
    encoder = tiny_encoder(seed=99 if checkpoint.exists() else 0)
    log = pretrain(encoder, finished, seed=3, checkpoint=checkpoint, **OPTIONS)
    assert same_weights(weights_of(encoder), straight[0])
    assert log.epochs == straight[1] and log.clips == EPOCHS * len(finished)


@pytest.mark.parametrize("stop", [1, 2, EPOCHS])
def test_an_interrupted_run_goes_on_bit_for_bit(finished, straight, tmp_path, stop):
    class Stop(Exception):
        pass

    def after_epoch(epoch, row):
        assert row == straight[1][epoch - 1]
        if epoch == stop:
            raise Stop

    with pytest.raises(Stop):
        pretrain(tiny_encoder(), finished, seed=3, checkpoint=tmp_path / "run.pt", after_epoch=after_epoch, **OPTIONS)
    goes_on(finished, tmp_path / "run.pt", straight)


def test_an_augmented_run_is_another_and_goes_on_bit_for_bit(finished, straight, tmp_path, monkeypatch):
    """The clips that the student sees are moved, tokens and targets are not: with movements of size 0 it is the plain
    run, up to rounding. Its draws belong to the run, wherever the caller's random numbers stand, and outlive an
    interruption."""

    class Stop(Exception):
        pass

    def stopping(epoch, row):
        raise Stop

    ends = []
    for checkpoint in (None, tmp_path / "run.pt"):
        torch.manual_seed(len(ends))
        before, encoder = torch.get_rng_state(), tiny_encoder()
        if checkpoint:
            with pytest.raises(Stop):
                pretrain(
                    tiny_encoder(),
                    finished,
                    seed=3,
                    augment=True,
                    checkpoint=checkpoint,
                    after_epoch=stopping,
                    **OPTIONS,
                )
        ends.append(
            (
                pretrain(encoder, finished, seed=3, augment=True, checkpoint=checkpoint, **OPTIONS).epochs,
                weights_of(encoder),
            )
        )
        assert torch.equal(torch.get_rng_state(), before)
    assert (
        ends[0][0] == ends[1][0] and same_weights(ends[0][1], ends[1][1]) and not same_weights(ends[0][1], straight[0])
    )
    with pytest.raises(ConfigError, match="augment"):
        pretrain(tiny_encoder(), finished, seed=3, checkpoint=tmp_path / "run.pt", **OPTIONS)
    monkeypatch.setattr("cross4d_lib.augment.AUGMENTATION", (0.0, 0.0, 0.0))
    still = pretrain(tiny_encoder(), finished, seed=3, augment=True, **OPTIONS).epochs
    assert [row["loss"] for row in still] == pytest.approx([row["loss"] for row in straight[1]], rel=1e-3)


def test_a_finished_run_is_not_trained_again(finished, straight, tmp_path):
    pretrain(tiny_encoder(), finished, seed=3, checkpoint=tmp_path / "run.pt", **OPTIONS)
    epochs = []
    pretrain(
        tiny_encoder(),
        finished,
        seed=3,
        checkpoint=tmp_path / "run.pt",
        after_epoch=lambda epoch, row: epochs.append(epoch),
        **OPTIONS,
    )
    assert epochs == []
    goes_on(finished, tmp_path / "run.pt", straight)


def pretrain_elsewhere(path, checkpoint, dies_at, ready):
    """A run in a process of its own. dies_at : epoch within whose checkpoint it is killed, half of it written; None:
    slow."""
    torch.set_num_threads(1)
    save, writes = torch.save, iter(range(1, 100))

    def dying(state, draft):
        save(state, draft)
        if next(writes) == dies_at:
            os.truncate(draft, os.path.getsize(draft) // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    training.torch.save = dying
    ready.set()
    pause = lambda epoch, row: time.sleep(0 if dies_at else 0.05)
    pretrain(tiny_encoder(), TargetStore(path), seed=3, checkpoint=checkpoint, after_epoch=pause, **OPTIONS)


@pytest.mark.parametrize("dies_at", [1, 3, None])
def test_a_killed_run_goes_on_bit_for_bit(finished, straight, processes, tmp_path, dies_at):
    """Within the writing of a checkpoint, or at a random moment."""
    ready = processes.Event()
    process = processes.Process(
        target=pretrain_elsewhere,
        args=(finished.path, tmp_path / "run.pt", dies_at, ready),
    )
    process.start()
    assert ready.wait(300)
    if dies_at is None:
        time.sleep(random.Random(1).uniform(0.0, 0.3))
        process.kill()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    goes_on(finished, tmp_path / "run.pt", straight)


OTHER = [
    {"seed": 4},
    {"epochs": EPOCHS + 1},
    {"batch": 3},
    {"rate": 1e-3},
    {"precision": "bfloat16"},
    {"augment": True},
    {"variance_weight": 0.0},
    {"centre": False},
    {"merge": "first"},
]


@pytest.fixture
def checkpoint(finished, tmp_path):
    pretrain(tiny_encoder(), finished, seed=3, checkpoint=tmp_path / "run.pt", **OPTIONS)
    return tmp_path / "run.pt"


def test_a_checkpoint_of_another_run_is_refused(finished, checkpoint):
    for change in OTHER:
        encoder = tiny_encoder(seed=5)
        with pytest.raises(ConfigError, match=f"other options \\({next(iter(change))}\\).*delete it"):
            pretrain(encoder, finished, checkpoint=checkpoint, **{"seed": 3, **OPTIONS, **change})
        assert same_weights(encoder.state_dict(), tiny_encoder(seed=5).state_dict())  # nothing was loaded
    with pytest.raises(ConfigError, match="other options.*pretext"):
        pretrain(tiny_encoder(), finished, "global", seed=3, checkpoint=checkpoint, **OPTIONS)
    for fields in ({"dim": 32}, {"depth": 2}):
        with pytest.raises(ConfigError, match="another model.*delete it"):
            pretrain(tiny_encoder(**fields), finished, seed=3, checkpoint=checkpoint, **OPTIONS)


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "of another kind"])
def test_a_damaged_checkpoint_is_refused(finished, checkpoint, damage):
    content = bytearray(checkpoint.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    if damage == "of another kind":
        torch.save({"weights": torch.zeros(3)}, checkpoint)
    else:
        checkpoint.write_bytes(
            {"cut": content[: len(content) // 2], "empty": b"", "text": b"not a checkpoint", "flipped": content}[damage]
        )
    with pytest.raises(ConfigError, match="damaged checkpoint.*delete it"):
        pretrain(tiny_encoder(), finished, seed=3, checkpoint=checkpoint, **OPTIONS)


# ------------------------------------------------------------------------------------------------ 4. pretraining


@pytest.mark.parametrize(
    ("granularity", "settings"), [("dense", {}), ("global", {"summary": "class"}), ("global", {"summary": "mean"})]
)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_pretraining_lowers_its_loss(finished, granularity, settings, precision):
    """Six clips can be learned by heart, in float32 and in bfloat16."""
    encoder = tiny_encoder()
    before = weights_of(encoder)
    log = pretrain(encoder, finished, granularity, epochs=25, batch=6, rate=5e-3, precision=precision, **settings)
    assert log.precision == precision
    assert all(log.epochs[-1][name] < 0.8 * log.epochs[0][name] for name in ("loss", "cosine"))
    assert all(math.isfinite(value) for row in log.epochs for value in row.values())
    changed = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == before.keys()  # every weight takes part
    assert all(p.dtype == torch.float32 for p in encoder.parameters()) and not encoder.training


def test_the_precision_is_the_devices_unless_it_is_asked_for(finished):
    ends = {}
    for precision in (None, "bfloat16", "float32"):
        encoder = tiny_encoder()
        pretrain(encoder, finished, seed=3, **{**OPTIONS, "precision": precision})
        ends[precision] = weights_of(encoder)
    assert same_weights(ends[None], ends[precision_of("cpu")])
    assert not same_weights(ends["bfloat16"], ends["float32"])


def test_pretraining_touches_nothing_but_the_encoder(finished):
    """The targets in memory stay as they were and never have a gradient; the caller's random state stays too."""
    before = {(i, name): tensor.clone() for i in range(len(finished)) for name, tensor in finished.clip(i).items()}
    state = torch.get_rng_state()
    pretrain(tiny_encoder(), finished, **OPTIONS)
    for (i, name), tensor in before.items():
        after = finished.clip(i)[name]
        assert torch.equal(after, tensor) and after.grad is None and not after.requires_grad
    assert torch.equal(torch.get_rng_state(), state)


def test_a_frozen_part_stays_frozen(finished):
    encoder = tiny_encoder()
    encoder.abstract1.requires_grad_(False)
    before = weights_of(encoder)
    pretrain(encoder, finished, **OPTIONS)
    changed = {name for name, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {name for name in before if not name.startswith("abstract1")}


def test_what_cannot_be_pretrained_is_refused(finished, tmp_path):
    with pytest.raises(ConfigError, match="no pretext is called 'frame'.*dense"):
        pretrain(tiny_encoder(), finished, "frame")
    with pytest.raises(ConfigError, match="'dense' has no setting 'learning_rate'"):
        pretrain(tiny_encoder(), finished, learning_rate=1.0)
    shutil.copytree(finished.path, tmp_path / finished.path.name)
    store = TargetStore(tmp_path / finished.path.name)
    (store.path / "finished" / "c.3").unlink()
    with pytest.raises(TargetError, match="not built yet.*run build_targets again"):
        pretrain(tiny_encoder(), store, **OPTIONS)


# ------------------------------------------------------------------------------- 5. interruptions, workers, processes


def test_ctrl_c_ends_the_run_between_two_steps_and_it_goes_on_bit_for_bit(finished, straight, tmp_path):
    """The signal comes in the middle of an epoch; the step is finished, the checkpoint written, and nothing is lost."""

    def ctrl_c(at):
        def after_step(step, steps):
            if step == at:
                os.kill(os.getpid(), signal.SIGINT)

        return after_step

    fits, before = [], signal.getsignal(signal.SIGINT)
    for at in (None, 4):
        checkpoint = tmp_path / f"{at}.pt"
        if at is not None:
            with pytest.raises(KeyboardInterrupt):
                line_fit(3, checkpoint, batch=3, after_step=ctrl_c(at))
            state = torch.load(checkpoint, weights_only=True)
            assert (state["epoch"], state["batch"]) == (1, 2)  # 3 batches an epoch: step 4 is the second of epoch 1
        fits.append(line_fit(3, checkpoint, batch=3))
    (first, log), (second, other) = fits
    assert same_weights(weights_of(first), weights_of(second)) and log.epochs == other.epochs
    assert signal.getsignal(signal.SIGINT) is before  # whatever the caller's handler was


def test_a_loss_that_is_not_finite_is_refused():
    with pytest.raises(ConfigError, match="not finite.*lower the rate"):
        line_fit(scale=float("inf"))


def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch():
    def batches(seed, epoch, **shard):
        order = BatchOrder(10, 4, seed, **shard)
        order.epoch = epoch
        return list(order)

    assert batches(1, 2) == batches(1, 2) and len({str(batches(s, e)) for s in range(3) for e in range(3)}) == 9
    assert sorted(i for batch in batches(0, 0) for i in batch) == list(range(10))
    halves = [batches(1, 2, rank=rank, processes=2) for rank in range(2)]
    assert [sorted(a + b) for a, b in zip(*halves)] == [sorted(batch) for batch in batches(1, 2)]


@pytest.mark.slow
def test_workers_load_what_one_process_loads(finished, straight):
    """Two workers under spawn, which pickle the store and open it again."""
    encoder = tiny_encoder()
    log = pretrain(encoder, finished, seed=3, **{**OPTIONS, "workers": 2})
    assert same_weights(weights_of(encoder), straight[0]) and log.epochs == straight[1]


PROCESS = """
import json, sys, torch
from conftest import tiny_encoder
from cross4d_lib.targets import TargetStore
from cross4d_lib.training import pretrain
torch.set_num_threads(1)
path, out = sys.argv[1:]
encoder = tiny_encoder()
log = pretrain(encoder, TargetStore(path), seed=3, epochs=4, batch=4, precision="float32")
if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
    open(out, "w").write(json.dumps([log.epochs, [float(p.double().abs().sum()) for p in encoder.parameters()]]))
"""


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="this torch has no torch.distributed")
def test_two_processes_give_the_loss_curve_of_one(finished, straight, tmp_path):
    """The same global batches, the loss over all rows: the curves agree within rounding, float32 sums in another order,
    and so do the weights. Batches of 2 are split 1 and 1, so Var and means cannot be taken a process at a time."""
    program, out = tmp_path / "program.py", tmp_path / "out.json"
    program.write_text(PROCESS)
    tests = str(Path(__file__).parent)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([tests, str(Path(tests).parent)]),
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", program]
        + [str(finished.path), str(out)],
        env=environment,
        check=True,
        capture_output=True,
    )
    curve, weights = json.loads(out.read_text())
    for found, expected in zip(curve, straight[1]):
        assert found == pytest.approx(expected, rel=1e-4)
    assert weights == pytest.approx([float(p.double().abs().sum()) for p in straight[0].values()], rel=1e-3)
