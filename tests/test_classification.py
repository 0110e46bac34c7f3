"""Encoder and head trained together on the classes of clips (Table 4 at all labels).

Claims proved:
1. The classifier is a linear head on the mean over tokens.
2. Told the labels of six clips, it learns them; a video's windows vote by mean probability; one seed, one result.
3. A run starts from the encoder of its spec, random or pretrained, and leaves the cached weights as they are.
"""

import pytest
import torch
from conftest import tiny_encoder

from cross4d_lib.evaluation import classify_finetuned
from cross4d_lib.evaluation.finetune import Classifier
from cross4d_lib.experiments import build_spec, load_profile, pretrained_encoder, run, task_clips


def test_the_head_reads_the_mean_over_tokens(clips):
    model = Classifier(tiny_encoder(), 3)
    points = torch.stack([torch.as_tensor(clips[i].points) for i in (0, 1)])
    with torch.no_grad():
        by_hand = model.encoder(points).features.mean(1) @ model.head.weight.T + model.head.bias
        assert torch.allclose(model(points), by_hand, atol=1e-6)


def test_it_learns_the_labels_it_is_told(clips):
    found = classify_finetuned(tiny_encoder(), clips, clips, seed=1, passes=400)
    assert found.accuracy > 0.8 and found.clips_evaluated == len(clips) and found.subjects == clips.subjects
    encoders = [tiny_encoder() for _ in range(3)]
    for encoder, seed in zip(encoders, (1, 1, 2)):
        classify_finetuned(encoder, clips, clips, seed=seed, passes=3)
    first, again, other = (torch.cat([p.flatten() for p in encoder.parameters()]) for encoder in encoders)
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.slow
def test_windows_vote(clips, results):
    size = {"encoder": {"depth": 1, "dim": 32, "heads": 1, "tokens": 8}, "task": "classification"}
    clip = {"data.frames": 4, "data.points": 64, "data.clips": 60, "data.stride": 2, "task.windows": 2}
    spec = build_spec(load_profile("quick"), "synthetic-actions", "random", 0, **size, **clip)
    row = run(spec, progress=False)
    train, test = task_clips(spec)
    encoder, _ = pretrained_encoder(spec)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    found = classify_finetuned(encoder, train.windows(2), test.windows(2), 0)
    assert row.metrics["fine-tuned"].accuracy == found.accuracy and row.metrics["fine-tuned"].clips == len(test)
    assert row.subjects == test.subjects and row.chance == 1 / 20
    assert any(not torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    again, _ = pretrained_encoder(spec)
    assert all(torch.equal(before[name], tensor) for name, tensor in again.state_dict().items())
