"""Teachers whose features share a space with text: SigLIP and CLIP. The paper names a language-aligned teacher as
future work.

``teacher(image)`` gives patch features as any teacher does. ``teacher.text(["a hand"])`` and
``teacher.aligned(patches)`` put words and patches into one space by the model's own head, so that their cosine answers
an open-vocabulary query. The head was trained on the pooled image alone: on single patches it is used outside of its
training, in both families.
"""

from __future__ import annotations

import torch
from transformers import CLIPModel, CLIPVisionModel, PreTrainedTokenizerFast, SiglipModel, SiglipVisionModel
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from ..errors import TeacherError
from .frozen import HALF_MEAN, HALF_STD, FrozenTeacher


class LanguageTeacher(FrozenTeacher):
    """A vision tower, with its text tower where the checkpoint has both. source : folder or id that the tokenizer is
    read from."""

    source: str | None = None

    @staticmethod
    def vision_config(config):
        return getattr(config, "vision_config", config)

    @classmethod
    def settings(cls, config) -> list:
        vision = cls.vision_config(config)
        return [config.model_type, vision.num_attention_heads, vision.hidden_act, vision.layer_norm_eps]

    @property
    def vision(self):
        return getattr(self.model, "vision_model", self.model)

    def text(self, words: list[str]) -> torch.Tensor:
        """Phrases in the space of ``aligned``: (n, E) float32, length 1. Raises TeacherError without text tower or
        tokenizer."""
        if not hasattr(self.model, "text_model"):
            raise TeacherError(
                "a vision tower without its text tower",
                self.name,
                "load the whole checkpoint, such as google/siglip-base-patch16-224 or openai/clip-vit-base-patch16",
            )
        length = self.model.config.text_config.max_position_embeddings
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(self.source)
            batch = tokenizer(
                list(words), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
            ).to(self.device)
        except Exception as error:  # transformers and tokenizers raise a dozen unrelated types here
            raise TeacherError(
                f"no tokenizer ({type(error).__name__}: {str(error).partition(chr(10))[0][:200]})",
                self.source or self.name,
                "copy tokenizer.json and tokenizer_config.json beside the weights",
            ) from error
        with torch.inference_mode():
            pooled = self._read(batch)
        return torch.nn.functional.normalize(pooled.float(), dim=-1).cpu()

    def aligned(self, patches: torch.Tensor) -> torch.Tensor:
        """Patch features (..., D) in the space of ``text``: (..., E) float32, length 1. Raises TeacherError without a
        head."""
        with torch.inference_mode():
            found = self._head(patches.reshape(-1, self.dim).to(self.device, self.dtype))
        return torch.nn.functional.normalize(found.float(), dim=-1).unflatten(0, patches.shape[:-1]).to(patches.device)

    def _no_head(self) -> TeacherError:
        return TeacherError(
            "a vision tower without the head that leads to text",
            self.name,
            "load the whole checkpoint, such as google/siglip-base-patch16-224 or openai/clip-vit-base-patch16",
        )


class ClipTeacher(LanguageTeacher):
    """CLIP: the last block's patch tokens after the LayerNorm that the class token takes; the summary is that class
    token."""

    architecture, label = CLIPModel, "CLIP"
    default_mean, default_std = tuple(OPENAI_CLIP_MEAN), tuple(OPENAI_CLIP_STD)

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.vision(self.normalised(image), interpolate_pos_encoding=True)
        return self.on_grid(
            self.vision.post_layernorm(out.last_hidden_state[:, 1:]).float(), image.shape[-1]
        ), out.pooler_output.float()

    def _read(self, batch) -> torch.Tensor:
        return self.model.get_text_features(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]
        ).pooler_output

    def _head(self, patches: torch.Tensor) -> torch.Tensor:
        if not hasattr(self.model, "visual_projection"):
            raise self._no_head()
        return self.model.visual_projection(patches)


class ClipVisionTeacher(ClipTeacher):
    """The vision tower of a CLIP alone."""

    architecture = CLIPVisionModel


class SiglipTeacher(LanguageTeacher):
    """SigLIP: patch tokens after the final LayerNorm. There is no class token: the summary is what the
    attention-pooling head makes of all patches, and ``aligned`` what it makes of each patch alone."""

    architecture, label = SiglipModel, "SigLIP"
    default_mean, default_std = HALF_MEAN, HALF_STD

    def _forward_batch(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        out = self.vision(self.normalised(image), interpolate_pos_encoding=True)
        tokens = out.last_hidden_state.float()
        summary = tokens.mean(1) if out.pooler_output is None else out.pooler_output.float()
        return self.on_grid(tokens, image.shape[-1]), summary

    def _read(self, batch) -> torch.Tensor:
        return self.model.get_text_features(
            input_ids=batch["input_ids"]
        ).pooler_output  # trained without a mask over the padding

    def _head(self, patches: torch.Tensor) -> torch.Tensor:
        if not (hasattr(self.model, "text_model") and self.vision.use_head):
            raise self._no_head()
        return self.vision.head(patches[:, None])  # attention over one patch


class SiglipVisionTeacher(SiglipTeacher):
    """The vision tower of a SigLIP alone."""

    architecture = SiglipVisionModel
