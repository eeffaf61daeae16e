"""What fusions of all kinds of heads have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from mmdet.structures import SampleList
from mmdet.utils import InstanceList

from mmxdistill.models.fusion.agreement import check_agreement
from mmxdistill.models.fusion.weights import FusionWeights

__all__ = ['Features', 'HeadFusion', 'Streams']

Streams = Any  # name -> detector; a dict or nn.ModuleDict
Features = Mapping[str, Any]  # name of a stream that is there -> feature maps


class HeadFusion(ABC):
    """Scores the same boxes with several detectors' heads, decodes once.

    Holds no modules: the detectors belong to :class:`LateFusionDetector`.

    Args:
        streams (dict[str, nn.Module]): Detectors of one kind.
        proposals (str): Where proposals come from if the samples have none:
            ``'union'`` of the streams' RPNs, or the name of a stream.

    Attributes:
        about (str): What the heads score, for messages.
        num_classes (int): Number of classes of all streams.

    Raises:
        ValueError: The heads' outputs do not mean the same.
    """

    about: str
    num_classes: int

    def __init__(self, streams: Streams, proposals: str = 'union') -> None:
        self.names = list(streams)
        self.source = proposals
        for name, stream in streams.items():
            reason = self.refusal(stream)
            if reason:
                raise ValueError(
                    f"stream '{name}' ({type(stream).__name__}) cannot be "
                    f'fused: {reason}'
                )
        settings = {n: self.settings(stream) for n, stream in streams.items()}
        check_agreement(settings)
        self.num_classes = next(iter(settings.values()))['num_classes']

    @classmethod
    @abstractmethod
    def refusal(cls, stream: Any) -> str | None:
        """Why a detector cannot be fused by this class, if it cannot.

        Args:
            stream (nn.Module): The detector.

        Returns:
            str | None: The reason.
        """

    @abstractmethod
    def settings(self, stream: Any) -> dict[str, Any]:
        """What must be equal for all streams.

        Args:
            stream (nn.Module): A detector.

        Returns:
            dict[str, Any]: With ``num_classes`` at least.
        """

    def check_weights(self, streams: Streams, weights: FusionWeights) -> None:
        """Refuse weights that the heads' outputs cannot be given.

        Args:
            streams (dict[str, nn.Module]): All detectors.
            weights (FusionWeights): Their weights.

        Raises:
            ValueError: Weights per class, or box weights, do not fit.
        """
        del streams, weights

    @abstractmethod
    def forward(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
    ) -> Any:
        """Averaged outputs before decoding.

        Args:
            streams (dict[str, nn.Module]): All detectors.
            features (dict): Feature maps of the streams that are there.
            samples (list[DetDataSample]): The samples.
            weights (FusionWeights): Weights of the streams.

        Returns:
            Any: As one stream's head returns them.
        """

    @abstractmethod
    def predict(
        self,
        streams: Streams,
        features: Features,
        samples: SampleList,
        weights: FusionWeights,
        test_cfg: Any,
        rescale: bool,
    ) -> InstanceList:
        """Detect objects.

        Args:
            streams (dict[str, nn.Module]): All detectors.
            features (dict): Feature maps of the streams that are there.
            samples (list[DetDataSample]): The samples.
            weights (FusionWeights): Weights of the streams.
            test_cfg (ConfigDict): Of the fused detector.
            rescale (bool): Whether boxes are returned in pixels of the
                original images.

        Returns:
            list[InstanceData]: Detections per image.
        """
