"""SAM 2 on a stream of frames: an object's mask, tracked by the network's own memory.

The network is that of Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024), as transformers has
it. Its session stores everything that it computes; a `Track` deletes what no later frame uses:

- A frame attends to the memories of the first frame and of the `num_maskmem - 1` frames before it, and at the
  object pointers of the first frame and of the `max_object_pointers_in_encoder - 1` frames before it.
- Pixels, features and masks are used on their own frame only.
- A frame that is prompted later uses the memory of those before it, and is memorised like any other.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import (
    Sam2HieraDetConfig,
    Sam2ImageProcessor,
    Sam2VideoConfig,
    Sam2VideoInferenceSession,
    Sam2VideoModel,
    Sam2VideoProcessor,
    Sam2VideoVideoProcessor,
    Sam2VisionConfig,
)
from transformers.initialization import no_init_weights

from pipeline import devices
from pipeline.arrays import Floats, Image, Matte
from pipeline.errors import WeightsError
from pipeline.prompts import Prompt
from pipeline.stream_state import State
from pipeline.weights import checkpoints

_OBJECT = 1
"""The number of a session's only object; each stream has a session of its own."""

_LARGEST_LOGIT = 32.0
"""Of an earlier mask that is given to the network again, as it was trained."""

_NO_PIXELS = torch.empty(3, 0, 0)
"""Placeholder for the pixels of a frame of which the session has the features. A frame argument makes the
network treat the clip as a stream of unknown length."""


class Answer(NamedTuple):
    """The network's output on one frame."""

    logits: Tensor
    """K masks on the network's grid, which is stretched over the frame; `[K, h, w]`, above 0 is inside."""
    scores: list[float]
    """The IoU with the truth that the network expects of each mask, 0 to 1."""
    presence: float
    """The probability that the object is visible, 0 to 1; the masks are empty up to 0.5."""


@dataclass(frozen=True)
class Features:
    """The image encoder's output for a frame."""

    levels: list[Tensor]
    """From fine to coarse, each `[h * w, 1, C]`."""
    places: list[Tensor]
    """The encoding of places, of the coarsest level alone: the others are not used, and take 80 MB."""

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.levels, *self.places))


class Network:
    """The network with its weights, without state. One decoding runs at a time."""

    def __init__(self, module: Any, device: torch.device, processor: Any = None) -> None:
        """`module` is a `Sam2VideoModel`, whose calls transformers does not type; it is moved to `device`.

        `processor` makes its input; None: as SAM 2's is made.
        """
        self.config: Sam2VideoConfig = module.config
        self.device = device
        self.module = module.to(device).eval()
        size: Any = {"height": self.config.image_size, "width": self.config.image_size}
        self.processor: Any = processor or Sam2VideoProcessor(
            Sam2ImageProcessor(size=size), Sam2VideoVideoProcessor(size=size)
        )
        self._lock = threading.Lock()

    def embed(self, image: Image) -> Features:
        """Run the image encoder on a frame, `[H, W, 3]` uint8; raises RunError where memory is too small."""
        return next(devices.run_batches(self._embed, iter([image]), 1))

    def _embed(self, images: Sequence[Image]) -> list[Features]:
        (image,) = images
        pixels = self.processor(
            # A copy: torch does not support read-only arrays.
            images=torch.tensor(np.ascontiguousarray(image)),
            input_data_format="channels_last",
            device=self.device,
            return_tensors="pt",
        )["pixel_values"]
        with torch.inference_mode(), devices.autocast(self.device):
            features = self.module.get_image_features(pixels.to(self.device), return_dict=True)
        return [Features(features.fpn_hidden_states, features.fpn_position_encoding[-1:])]

    def upscale(self, logits: Tensor, height: int, width: int) -> Floats:
        """Resize one mask's logits, `[h, w]`, to a frame's size: `[height, width]` float32."""
        masks = self.processor.post_process_masks([logits[None, None]], [(height, width)], binarize=False)
        return np.asarray(masks[0][0, 0].cpu(), np.float32)

    def run(
        self,
        session: Sam2VideoInferenceSession,
        number: int,
        choice: int | None = None,
        memorise: bool = True,
        prior: Tensor | None = None,
    ) -> tuple[Any, _DecoderOutput]:
        """Run the session on a frame whose features it has; returns its output and the mask decoder's.

        `prior`, `[1, 1, h, w]`, are the logits of an earlier mask on the same frame, which points correct.
        """
        with (
            self._lock,
            torch.inference_mode(),
            devices.autocast(self.device),
            _capture_decoder(self.module.mask_decoder, choice) as decoded,
            _inject_mask(self.module.prompt_encoder, prior),
        ):
            output = self.module(session, frame_idx=number, frame=_NO_PIXELS, run_mem_encoder=memorise)
        return output, decoded


class Track:
    """One object's memory along a stream; of bounded size, however long the stream."""

    def __init__(
        self, network: Network, embed: Callable[[Image], Features], state: State | None = None
    ) -> None:
        """`embed` is the network's, or a cache of it; `state` is that of a track to continue."""
        self._network = network
        self._embed = embed
        self._session: Sam2VideoInferenceSession = network.processor.init_video_session(
            inference_device=network.device
        )
        self._number = 0
        """That of the next frame."""
        if state is not None:
            self._restore(state)

    @property
    def started(self) -> bool:
        """True if there was a frame."""
        return self._number > 0

    def state(self) -> State:
        """Return the memory as plain data, from which a track continues with the next frame."""
        session: Any = self._session
        kinds = session.output_dict_per_obj[0]
        return {
            "number": self._number,
            # As lists, because a dict's order counts: the network attends to memories in it.
            "outputs": {kind: [[n, dict(out)] for n, out in outs.items()] for kind, outs in kinds.items()},
        }

    def _restore(self, state: State) -> None:
        session: Any = self._session
        self._number = state["number"]
        first = session.obj_id_to_idx(_OBJECT)
        for kind, outputs in state["outputs"].items():
            session.output_dict_per_obj[first][kind] = {
                n: {name: tensor.to(self._network.device) for name, tensor in output.items()}
                for n, output in outputs
            }

    def step(self, image: Image, prompt: Prompt | None = None, mask: Matte | None = None) -> Answer:
        """Segment the object on the stream's next frame, `[H, W, 3]` uint8.

        On the first frame the prompt or a mask, `[H, W]` uint8, is required and initialises the object; on a
        later one it corrects the tracked mask. Of both, the prompt corrects the mask.
        """
        self._cache_features(image)
        if self._number:
            output, decoded = self._network.run(self._session, self._number)
        prior = None
        if mask is not None:
            self._network.processor.add_inputs_to_inference_session(
                self._session, self._number, _OBJECT, input_masks=mask > 127
            )
            output, decoded = self._network.run(self._session, self._number)
            # The network takes a mask for the truth, and its decoder makes nothing but the object's pointer.
            prior, decoded.scores = output.pred_masks, torch.ones(1)
        if prompt:
            self._add_prompt(image, prompt)
            output, decoded = self._network.run(self._session, self._number, prompt.candidate, prior=prior)
        self._prune_memory()
        self._number += 1
        return Answer(output.pred_masks[0].float(), [decoded.scores.max().item()], _presence(output))

    def candidates(self, image: Image, prompt: Prompt) -> Answer:
        """Segment all candidates for the prompt on the first frame: three masks for a single click, else one.

        The track cannot be continued after it.
        """
        self._cache_features(image)
        self._add_prompt(image, prompt)
        output, decoded = self._network.run(self._session, 0, memorise=False)
        presence = _presence(output)
        masks = decoded.masks if presence > 0.5 else torch.full_like(decoded.masks, output.pred_masks.min())
        return Answer(masks[0, 0].float(), decoded.scores[0, 0].tolist(), presence)

    def _cache_features(self, image: Image) -> None:
        features = self._embed(image)
        self._session.cache.cache_vision_features(
            self._number, {"vision_feats": features.levels, "vision_pos_embeds": features.places}
        )

    def _add_prompt(self, image: Image, prompt: Prompt) -> None:
        box, points = prompt.box, prompt.points
        self._network.processor.add_inputs_to_inference_session(
            self._session,
            self._number,
            _OBJECT,
            input_points=[[[[p.x, p.y] for p in points]]] if points else None,
            input_labels=[[[int(p.keep) for p in points]]] if points else None,
            input_boxes=[[[box.x0, box.y0, box.x1, box.y1]]] if box else None,
            original_size=image.shape[:2],
        )

    def _prune_memory(self) -> None:
        """Delete what no later frame uses."""
        session: Any = self._session
        config = self._network.config
        session.cache.clear_all()
        session.processed_frames.clear()
        session.point_inputs_per_obj[0].clear()
        session.mask_inputs_per_obj[0].clear()
        session.frames_tracked_per_obj[0].clear()
        following = self._number + 1
        for outputs in session.output_dict_per_obj[0].values():
            for number, output in list(outputs.items()):
                age = following - number
                wanted = set()
                if number == 0 or age < config.max_object_pointers_in_encoder:
                    wanted.add("object_pointer")
                if number == 0 or age < config.num_maskmem:
                    wanted |= {"maskmem_features", "maskmem_pos_enc"}
                if wanted:
                    outputs[number] = {name: output[name] for name in output.keys() & wanted}
                else:
                    del outputs[number]


@dataclass
class _DecoderOutput:
    """The output of the mask decoder."""

    masks: Tensor
    """`[1, 1, K, h, w]`, logits."""
    scores: Tensor
    """`[1, 1, K]`."""


@contextmanager
def _capture_decoder(decoder: nn.Module, choice: int | None) -> Iterator[_DecoderOutput]:
    """Capture the mask decoder's output; of several masks only the chosen one is passed on."""
    decoded = _DecoderOutput(torch.empty(0), torch.empty(0))

    def capture(_module: nn.Module, _given: Any, answer: tuple[Tensor, Tensor, Tensor, Tensor]) -> Any:
        masks, scores, tokens, presence = answer
        if choice is not None and masks.shape[2] > 1:
            one = slice(choice, choice + 1)
            masks, scores, tokens = masks[:, :, one], scores[:, :, one], tokens[:, :, one]
        decoded.masks, decoded.scores = masks, scores
        return masks, scores, tokens, presence

    hook = decoder.register_forward_hook(capture)
    try:
        yield decoded
    finally:
        hook.remove()


@contextmanager
def _inject_mask(encoder: nn.Module, logits: Tensor | None) -> Iterator[None]:
    """Give the prompt encoder the logits of a mask beside points, which the session has no way to do."""
    if logits is None:
        yield
        return

    def inject(_module: nn.Module, given: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return given, named | {"input_masks": logits.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)}

    hook = encoder.register_forward_pre_hook(inject, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


def _presence(output: Any) -> float:
    return float(output.object_score_logits.float().sigmoid())


def load(weights: Path, config: Path, device: str) -> Network:
    """Load the network of a published `config.json` with the weights of its `model.safetensors`.

    Both are read as data. Raises WeightsError for files that are damaged or do not fit, InputError for a
    device that is not there.
    """
    where = devices.pick(device)
    module = _build(config)
    checkpoints.load_into(module, weights)
    return Network(module, where)


def _build(path: Path) -> Sam2VideoModel:
    """Build the network that a configuration describes, with uninitialised weights."""
    try:
        data = json.loads(path.read_bytes())
    except OSError as error:
        raise WeightsError(
            "weights.unreadable", file=path.name, reason=error.strerror or str(error)
        ) from error
    except ValueError as error:
        raise WeightsError("weights.no_configuration", file=path.name, folder=str(path.parent)) from error
    if not isinstance(data, dict) or data.get("model_type") != Sam2VideoConfig.model_type:
        raise WeightsError("weights.not_sam2", file=path.name)
    # An implementation may be a name on the hub, whose code would be fetched and run.
    data = {name: value for name, value in data.items() if "implementation" not in name}
    data["attn_implementation"] = "sdpa"
    theta = data.pop("memory_attention_rope_theta", None)  # the older name, which published files have
    if theta is not None:
        data.setdefault("rope_parameters", {"rope_type": "axial", "rope_theta": theta})
    try:
        config = Sam2VideoConfig.from_dict(data)
        vision = config.vision_config
        # transformers would build any other of its models.
        if not isinstance(vision, Sam2VisionConfig):
            raise ValueError("The image encoder is of another kind.")
        if not isinstance(vision.backbone_config, Sam2HieraDetConfig):
            raise ValueError("The image encoder's backbone is of another kind.")
        if not isinstance(config.image_size, int):
            raise ValueError("The network's own frame is no square.")
        with no_init_weights():
            return Sam2VideoModel(config)
    # A wrong value raises wherever a layer meets it.
    except (
        StrictDataclassError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise WeightsError("weights.no_network", file=path.name, folder=str(path.parent)) from error
