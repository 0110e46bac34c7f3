"""One training loop for everything that is trained here: batches in a seeded order, AdamW, warm-up and cosine,
checkpoints.

What is learned is injected: a callable that turns a list of clip numbers into a dict of losses. The loop knows nothing
of encoders or teachers. Runs are exactly resumable: a run that was stopped and went on has the same weights, bit for
bit on one device and thread count, as one that was not.
"""

from __future__ import annotations

import math
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from .allocator import keep_freed_memory
from .augment import augment
from .decisions import BATCH, CENTRE_TARGETS, GLOBAL_TARGET, GRADIENT_CLIP
from .errors import ConfigError
from .pretexts import controlled, load_pretext


@dataclass(frozen=True)
class Optimisation:
    """AdamW with linear warm-up and cosine decay to 0, as in Sec. 4.1; batch size and clipping are our decisions."""

    epochs: int = 100
    batch: int = BATCH  # clips
    rate: float = 5e-4
    weight_decay: float = 1e-4
    warmup: float = 0.05  # share of all steps
    clip: float = GRADIENT_CLIP  # gradient 2-norm
    half: bool | None = None  # bfloat16 autocast; None: where the device multiplies it in hardware
    seed: int = 0


@dataclass
class TrainingLog:
    """What happened: one dict of mean losses an epoch, and the time spent. ``clips_per_second`` counts training
    alone."""

    epochs: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    clips: int = 0

    @property
    def clips_per_second(self) -> float:
        return self.clips / self.seconds if self.seconds else 0.0


def learning_rate(step: int, steps: int, rate: float, warmup: float) -> float:
    """Linear from 0 to ``rate`` over the first ``warmup`` share of the steps, then a half cosine to 0 at the end."""
    rise = max(1, round(warmup * steps))
    if step < rise:
        return rate * (step + 1) / rise
    return rate * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def has_half(device: torch.device) -> bool:
    """Does the device multiply bfloat16 in hardware (CUDA from Ampere on, CPUs with AMX)?"""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()


def train(
    modules: nn.ModuleDict,
    losses: Callable[[list[int], torch.autocast], dict[str, torch.Tensor]],
    clips: int,
    options: Optimisation,
    checkpoint: Path | None = None,
    progress: str = "training",
    after_epoch: Callable[[int, dict], None] | None = None,
    run: dict | None = None,
) -> TrainingLog:
    """Train ``modules`` in place. losses(indices, precision) returns a dict whose "loss" is minimised; it enters
    ``precision`` (bfloat16 or not) for the forward pass. clips : number of training clips.

    checkpoint : a file written after every epoch and resumed from when it is there; removed by nobody.
    after_epoch(epoch, row) is called after each. run : what else must be the same when it is resumed, JSON-ready.
    Raises ConfigError when the checkpoint is damaged or belongs to other options or another run.
    """
    if clips < 1 or options.epochs < 1 or options.batch < 1:
        raise ConfigError(f"clips={clips}, epochs={options.epochs}, batch={options.batch}", "train", "all at least 1")
    keep_freed_memory()
    device = next(modules.parameters()).device
    half = has_half(device) if options.half is None else options.half
    decayed = [p for p in modules.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in modules.parameters() if p.requires_grad and p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": options.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=options.rate,
    )
    order = torch.Generator().manual_seed(options.seed)
    log, first = TrainingLog(), 0
    if checkpoint and checkpoint.exists():
        first = _resume(checkpoint, modules, optimiser, order, log, vars(options) | (run or {}))
    batches = -(-clips // options.batch)
    modules.train()
    for epoch in (
        bar := tqdm(
            range(first, options.epochs),
            initial=first,
            total=options.epochs,
            desc=progress,
            mininterval=2,
            disable=None,
        )
    ):
        started, sums = time.perf_counter(), {}
        for b, indices in enumerate(torch.randperm(clips, generator=order).split(options.batch)):
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(epoch * batches + b, options.epochs * batches, options.rate, options.warmup)
            values = losses(indices.tolist(), torch.autocast(device.type, torch.bfloat16, enabled=half))
            optimiser.zero_grad(set_to_none=True)
            values["loss"].backward()
            nn.utils.clip_grad_norm_([*decayed, *others], options.clip)
            optimiser.step()
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value.item() * len(indices) / clips
        log.seconds += time.perf_counter() - started
        log.clips += clips
        log.epochs.append({"epoch": epoch + 1, **sums})
        bar.set_postfix({name: f"{value:.3f}" for name, value in sums.items()})
        if checkpoint:
            _save(checkpoint, modules, optimiser, order, log, vars(options) | (run or {}))
        if after_epoch:
            after_epoch(epoch + 1, log.epochs[-1])
    modules.eval()
    return log


def _save(path: Path, modules, optimiser, order, log, options: dict) -> None:
    """Write the checkpoint whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft-{os.getpid()}")
    state = {
        "options": options,
        "modules": modules.state_dict(),
        "optimiser": optimiser.state_dict(),
        "order": order.get_state(),
        "random": torch.get_rng_state(),
        "log": vars(log),
    }
    torch.save(state, draft)
    draft.replace(path)


def _resume(path: Path, modules, optimiser, order, log, options: dict) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip():  # torch.load does not look at the checksums it has written
                raise ValueError("a checksum differs")
        state = torch.load(path, weights_only=True)
        other = [name for name in {**state["options"], **options} if state["options"].get(name) != options.get(name)]
    except Exception as error:
        raise ConfigError(f"a damaged checkpoint ({type(error).__name__})", path, "delete it to start again") from error
    if other:
        raise ConfigError(
            f"a checkpoint of a run with other options ({', '.join(other)})",
            path,
            "delete it, or give this run another checkpoint",
        )
    try:
        modules.load_state_dict(state["modules"])
        optimiser.load_state_dict(state["optimiser"])
        order.set_state(state["order"])
        torch.set_rng_state(state["random"])
        log.epochs, log.seconds, log.clips = state["log"]["epochs"], state["log"]["seconds"], state["log"]["clips"]
    except Exception as error:
        raise ConfigError(
            f"a checkpoint of another model ({str(error).splitlines()[0]})",
            path,
            "delete it, or give this run another checkpoint",
        ) from error
    return len(log.epochs)


def pretrain(
    encoder,
    targets,
    granularity: str = "dense",
    epochs: int = 100,
    seed: int = 0,
    *,
    variance_weight: float = 1.0,
    centre: bool = CENTRE_TARGETS,
    summary: str = GLOBAL_TARGET,
    control: str = "",
    augmented: bool = False,
    checkpoint: Path | None = None,
    after_epoch=None,
    **options,
) -> TrainingLog:
    """Pretrain ``encoder`` in place on cached targets (Sec. 3.3). No label and no teacher enters.

    granularity : "dense" (Eq. 5, one target a token) or "global" (one a clip). variance_weight : lambda of Eq. 6.
    centre : subtract the training mean from the targets. summary : the global target, "class" or "mean". control : one
    of ``pretexts.CONTROLS``, other targets for the tokens (dense alone), "" for none. augmented : every clip is scaled,
    turned and jittered before the encoder sees it, as in fine-tuning (``augment.py``; never in the paper's
    pretraining), while its tokens and targets stay those of the cache. options : fields of Optimisation (batch, rate,
    ...). The head psi is drawn from ``seed`` and left behind: the encoder alone is the result.
    Raises ConfigError on an unknown granularity or control, TargetError on a damaged store.
    """
    if control and granularity != "dense":
        raise ConfigError(
            f"control {control!r} with granularity {granularity!r}",
            "pretrain",
            'controls change the targets of tokens: granularity "dense"',
        )
    targets = controlled(targets, control, seed)
    device = next(encoder.parameters()).device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pretext = load_pretext(granularity, encoder.dim, targets, variance_weight, centre, summary).to(device)
    modules = nn.ModuleDict({"encoder": encoder, "pretext": pretext})

    def losses(indices: list[int], precision) -> dict[str, torch.Tensor]:
        batch = targets.batch(indices, device)
        points = (
            augment(batch.points.cpu(), torch.Generator().manual_seed(int(torch.randint(2**62, ())))).to(device)
            if augmented
            else batch.points
        )
        with precision:
            tokens = encoder(points, batch.grouping)
        return pretext.loss(tokens, batch)  # in float32: the targets were rounded once already

    run = {
        "targets": targets.key,
        "granularity": granularity,
        "variance_weight": variance_weight,
        "centre": centre,
        "summary": summary,
    } | ({"augmented": True} if augmented else {})  # a control is in targets.key
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # the augmentation is drawn from torch's own state, which checkpoints keep
        return train(
            modules,
            losses,
            len(targets),
            Optimisation(epochs=epochs, seed=seed, **options),
            checkpoint,
            f"{granularity} pretraining",
            after_epoch,
            run,
        )
