"""The one trainer: batches in a seeded order, AdamW, warm-up and cosine, checkpoints; under Accelerate, on one process
or several.

What is learned is injected: a module that turns a batch into a dict of losses. The trainer knows neither encoders nor
teachers. Runs are exactly resumable: a run that was stopped and went on has the same weights, bit for bit on one device
and thread count, as one that was not.
"""

from __future__ import annotations

import math
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .augment import augment
from .decisions import BATCH, GRADIENT_CLIP
from .encoders import Encoder
from .errors import ConfigError
from .files import write_whole
from .precision import autocast, precision_of
from .pretexts import Pretext, build_pretext

SAVE_SECONDS = 120  # of training between two checkpoints within an epoch


@dataclass(frozen=True)
class Training:
    """AdamW with linear warm-up and cosine decay to 0, as in Sec. 4.1; batch size and clipping are our decisions."""

    epochs: int = 100
    batch: int = BATCH  # clips, over all processes
    rate: float = 5e-4
    weight_decay: float = 1e-4  # of matrices; vectors are not decayed
    warmup: float = 0.05  # share of all steps
    clip: float = GRADIENT_CLIP  # gradient 2-norm
    precision: str | None = None  # "bfloat16" or "float32"; None: bfloat16 where the device has it in hardware
    seed: int = 0
    workers: int = 0  # processes that load batches
    augment: bool = False  # move clips as in fine-tuning (Sec. 4.1); never in the paper's pretraining
    decay: bool = True  # of the rate, by half a cosine to 0; False: constant after the warm-up

    def __post_init__(self):
        if self.epochs < 1 or self.batch < 1 or self.workers < 0:
            raise ConfigError(
                f"epochs={self.epochs}, batch={self.batch}, workers={self.workers}",
                "Training",
                "epochs and batch at least 1, workers at least 0",
            )


@dataclass
class TrainingLog:
    """What happened: one dict of mean losses an epoch, the time spent in steps, and the precision they ran in."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    clips: int = 0
    precision: str = ""

    @property
    def clips_per_second(self) -> float:
        return self.clips / self.seconds if self.seconds else 0.0


def learning_rate(step: int, steps: int, rate: float, warmup: float, decay: bool = True) -> float:
    """Linear from 0 to ``rate`` over the first ``warmup`` share of the steps, then a half cosine to 0 at the end, or
    ``rate`` throughout without ``decay``."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return rate * (step + 1) / rise
    if not decay:
        return rate
    return rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


class BatchOrder:
    """A batch sampler: the items of an epoch in an order that is a function of (seed, epoch), cut into batches.

    ``epoch`` and ``first`` (the first batch to give) are set before each pass. With several processes each takes every
    ``processes``-th item of every batch, so together they read the batches of one.
    """

    def __init__(self, items: int, batch: int, seed: int, rank: int = 0, processes: int = 1):
        self.items, self.batch, self.seed, self.rank, self.processes = items, batch, seed, rank, processes
        self.epoch, self.first = 0, 0

    def __len__(self) -> int:
        return -(-self.items // self.batch)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(1_000_003 * self.seed + self.epoch)
        for batch in torch.randperm(self.items, generator=generator).split(self.batch)[self.first :]:
            yield batch[self.rank :: self.processes].tolist()


def train(
    model: nn.Module,
    data: Any,
    options: Training,
    *,
    checkpoint: Path | None = None,
    describe: str = "training",
    after_step: Callable[[int, int], None] | None = None,
    after_epoch: Callable[[int, dict], None] | None = None,
    run: dict | None = None,
) -> TrainingLog:
    """Train ``model`` in place: ``model(batch)`` returns a dict of scalars whose "loss" is minimised.

    data : map-style. ``len(data)`` items an epoch; ``data.collate(items)`` makes a batch, whose ``to(device)`` moves
    it; ``data.set_epoch(epoch)``, where it exists, is called before each epoch. after_step(step, steps) : after each
    optimiser step (EMA, queues). after_epoch(epoch, row) : after each epoch, row its mean losses.

    checkpoint : a file written after every epoch, every SAVE_SECONDS within one, and when the run is interrupted; it is
    resumed from when it is there, and removed by nobody. run : what else must be the same when it is resumed,
    JSON-ready.

    Ctrl-C and SIGTERM end the run between two steps, after a checkpoint, with KeyboardInterrupt. Raises ConfigError
    when there is no item, when the loss is not finite, and when the checkpoint is damaged or belongs to another run.
    """
    if len(data) < 1:
        raise ConfigError("no item to train on", "train", "give a dataset of at least 1")
    session = Session(model, data, options, run or {}, checkpoint)
    session.resume()
    model.train()
    with interruptions() as interrupted:
        for epoch in (bar := session.progress(describe)):
            row = session.epoch(epoch, after_step, interrupted)
            bar.set_postfix({name: f"{value:.3f}" for name, value in row.items() if name != "epoch"})
            session.save(epoch + 1, 0)
            if after_epoch:
                after_epoch(epoch + 1, row)
    model.eval()
    return session.log


class Session:
    """One call of ``train``: the wrapped model, its optimiser, its loader, and where it stands."""

    def __init__(self, model: nn.Module, data: Any, options: Training, run: dict, checkpoint: Path | None):
        self.model, self.data, self.options, self.checkpoint = model, data, options, checkpoint
        self.accelerator = _accelerator(next(model.parameters()).device)
        self.device = _device(model, self.accelerator)
        model.to(self.device)
        trained = [p for p in model.parameters() if p.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": options.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW(groups, lr=options.rate, fused=True)
        self.wrapped, self.optimiser = self.accelerator.prepare(model, optimiser)
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        self.order = BatchOrder(len(data), options.batch, options.seed, rank, processes)
        self.loader = DataLoader(
            data,
            batch_sampler=self.order,
            collate_fn=data.collate,
            num_workers=options.workers,
            multiprocessing_context="spawn" if options.workers else None,
        )
        self.precision = options.precision or precision_of(self.device)
        self.log = TrainingLog(precision=self.precision)
        self.first_epoch, self.first_batch = 0, 0
        self.sums: dict[str, Any] = {}
        self.settings = {**asdict(options), "workers": 0, "precision": self.precision, "items": len(data), **run}
        self.saved = time.perf_counter()

    @property
    def steps(self) -> int:
        return self.options.epochs * len(self.order)

    def progress(self, describe: str) -> tqdm:
        total = self.options.epochs
        off = None if self.accelerator.is_main_process else True
        return tqdm(
            range(self.first_epoch, total),
            initial=self.first_epoch,
            total=total,
            desc=describe,
            mininterval=2,
            disable=off,
        )

    def epoch(self, epoch: int, after_step, interrupted: threading.Event) -> dict[str, float]:
        """One pass over the data. Returns the mean of each loss over its items."""
        self.order.epoch, self.order.first = epoch, self.first_batch
        if hasattr(self.data, "set_epoch"):
            self.data.set_epoch(epoch)
        started = time.perf_counter()
        for batch_number, batch in enumerate(self.loader, start=self.first_batch):
            step = epoch * len(self.order) + batch_number
            self.step(batch, step, batch_number)
            if after_step:
                after_step(step, self.steps)
            if interrupted.is_set() or time.perf_counter() - self.saved > SAVE_SECONDS:
                self.log.seconds += time.perf_counter() - started
                self.save(epoch, batch_number + 1)
                started = time.perf_counter()
                if interrupted.is_set():
                    raise KeyboardInterrupt
        row = {name: float(value) for name, value in self.sums.items()}  # waits for the device
        self.log.seconds += time.perf_counter() - started
        if not all(map(math.isfinite, row.values())):
            raise ConfigError(
                f"the loss of epoch {epoch + 1} is not finite: {row}", "train", "lower the rate, or use float32"
            )
        self.log.clips += len(self.data)
        self.log.epochs.append({"epoch": epoch + 1, **row})
        self.first_batch, self.sums = 0, {}
        return self.log.epochs[-1]

    def step(self, batch: Any, step: int, batch_number: int) -> None:
        """One optimiser step; its losses are added to the epoch's sums, weighed by the items of the whole batch."""
        o = self.options
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(step, self.steps, o.rate, o.warmup, o.decay)
        with autocast(self.device, self.precision):
            losses = self.wrapped(batch.to(self.device) if hasattr(batch, "to") else batch)
        self.optimiser.zero_grad(set_to_none=True)
        self.accelerator.backward(losses["loss"])
        self.accelerator.clip_grad_norm_([p for group in self.optimiser.param_groups for p in group["params"]], o.clip)
        self.optimiser.step()
        share = min(o.batch, len(self.data) - batch_number * o.batch) / len(self.data)
        for name, value in losses.items():
            value = self.accelerator.reduce(value.detach().double(), "mean")
            self.sums[name] = self.sums.get(name, 0.0) + value * share

    def save(self, epoch: int, batch: int) -> None:
        """Write the checkpoint, whole or not at all: ``batch`` batches of ``epoch`` (from 0) are done."""
        self.saved = time.perf_counter()
        if self.checkpoint is None or not self.accelerator.is_main_process:
            return
        state = {
            "settings": self.settings,
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "log": vars(self.log),
            "epoch": epoch,
            "batch": batch,
            "sums": {name: float(value) for name, value in self.sums.items()},
        }
        write_whole(self.checkpoint, lambda draft: torch.save(state, draft))

    def resume(self) -> None:
        """Continue from the checkpoint, where there is one. Raises ConfigError on a damaged one, or another run's."""
        path = self.checkpoint
        if path is None or not path.exists():
            return
        try:
            with zipfile.ZipFile(path) as archive:
                if archive.testzip():  # torch.load does not look at the checksums it has written
                    raise ValueError("a checksum differs")
            state = torch.load(path, map_location=self.device, weights_only=True)
            other = [
                n for n in {**state["settings"], **self.settings} if state["settings"].get(n) != self.settings.get(n)
            ]
        except Exception as error:
            raise ConfigError(
                f"a damaged checkpoint ({type(error).__name__})", path, "delete it to start again"
            ) from error
        if other:
            raise ConfigError(
                f"a checkpoint of a run with other options ({', '.join(other)})",
                path,
                "delete it, or give this run another checkpoint",
            )
        try:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimiser"])
            torch.set_rng_state(state["random"].cpu())
            self.log = TrainingLog(**state["log"])
            self.first_epoch, self.first_batch = int(state["epoch"]), int(state["batch"])
            self.sums = dict(state["sums"])
        except Exception as error:
            raise ConfigError(
                f"a checkpoint of another model ({str(error).splitlines()[0]})",
                path,
                "delete it, or give this run another checkpoint",
            ) from error


def _accelerator(device: torch.device):
    """Accelerate's view of this process. A single process takes the device its model is on, whatever an earlier call
    used."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, PartialState

    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        AcceleratorState._reset_state()
        PartialState._reset_state()
    return Accelerator(cpu=device.type == "cpu", mixed_precision="no", device_placement=False)


def _device(model: nn.Module, accelerator) -> torch.device:
    """The model's own device; with several processes the one Accelerate gives this process."""
    return accelerator.device if accelerator.num_processes > 1 else next(model.parameters()).device


@contextmanager
def interruptions() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets instead of breaking a step; a second Ctrl-C breaks at once. Only the main
    thread can catch signals: elsewhere the event is never set."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def on_signal(number, frame):
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Pretraining(nn.Module):
    """Encoder and pretext as the one module that ``train`` trains."""

    def __init__(self, encoder: Encoder, pretext: Pretext, move_clips: bool = False):
        super().__init__()
        self.encoder, self.pretext, self.move_clips = encoder, pretext, move_clips

    def forward(self, batch) -> dict[str, torch.Tensor]:
        if self.move_clips:
            generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
            batch = replace(batch, points=augment(batch.points.cpu(), generator).to(batch.points.device))
        return self.pretext.loss(self.encoder, batch)


def pretrain(
    encoder: Encoder,
    targets: Any,
    granularity: str = "dense",
    epochs: int = 100,
    seed: int = 0,
    *,
    training: Training | None = None,
    checkpoint: Path | None = None,
    after_epoch: Callable[[int, dict], None] | None = None,
    **settings,
) -> TrainingLog:
    """Pretrain ``encoder`` in place under a pretext on cached data (Sec. 3.3). No label and no teacher enters.

    targets : the store. granularity : a pretext's name, "dense" (Eq. 5, one target a token), "global" (one a clip), or
    any other of ``pretext_names()``. training : batch size, rate and the rest; epochs and seed are set by their own
    arguments. settings : fields of the pretext's Config (``variance_weight``, ``centre``, ...) or of Training
    (``batch``, ``rate``, ...). The pretext's own weights are drawn from ``seed`` and left behind.

    Raises ConfigError on an unknown pretext or setting, and when the store lacks what the pretext needs.
    """
    own = {name: settings.pop(name) for name in list(settings) if name in Training.__dataclass_fields__}
    options = Training(**{**asdict(training or Training()), "epochs": epochs, "seed": seed, **own})
    pretext, data = build_pretext(granularity, encoder, targets, seed, **settings)
    device = next(encoder.parameters()).device
    model = Pretraining(encoder, pretext.to(device), options.augment)
    run = {"data": data.key, "pretext": granularity, **asdict(pretext.config)}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the augmentation is drawn from torch's own state, which checkpoints keep
        return train(
            model,
            data,
            options,
            checkpoint=checkpoint,
            describe=f"{granularity} pretraining",
            after_step=lambda step, steps: pretext.after_step(encoder, step, steps),
            after_epoch=after_epoch,
            run=run,
        )
