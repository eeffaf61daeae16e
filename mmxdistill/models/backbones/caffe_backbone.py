"""What the Caffe-named backbones share: features by name, and freezing."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, nn

__all__ = ['CaffeBackbone', 'Feature']


class Feature(NamedTuple):
    """One named step of a backbone.

    Attributes:
        name: Caffe layer (or, for a fire module, its prefix); also the name
            of the sub-module.
        module: Computes this feature from the one before it.
        channels: Number of channels of the result.
        stage: Stage the step belongs to, counted from 1, for freezing.
    """

    name: str
    module: nn.Module
    channels: int
    stage: int


class CaffeBackbone(BaseModule):
    """A chain of Caffe layers whose intermediate blobs are its features.

    Sub-modules carry the names of their Caffe layers, so a parameter's key is
    the layer name with '/' replaced by '.', plus ``.weight`` or ``.bias``. As
    in Caffe, where ReLU runs in place, a convolution's feature (``'conv5'``)
    is the blob *after* its ReLU.

    Attributes:
        feature_modules: Feature -> sub-module whose output it is.

    Args:
        features: All steps, in the order they are computed.
        out_features: Names of the features that ``forward`` returns.
        frozen_stages: As in mmdet, the parameters of stages 1 to
            ``frozen_stages`` get ``requires_grad=False`` and those stages stay
            in eval mode. A stage is a block of convolutions with the pooling
            and normalisation after it; each class says which. These networks
            have no stem, so 0 and -1 both freeze nothing.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: For an unknown feature name (the message lists the valid
            ones), no feature at all, or a stage that does not exist.
    """

    def __init__(
        self,
        features: Sequence[Feature],
        out_features: Sequence[str],
        frozen_stages: int,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None,
    ) -> None:
        super().__init__(init_cfg)
        self.feature_names = tuple(feature.name for feature in features)
        self._channels = {f.name: f.channels for f in features}
        # Where the blob of a layer is found: behind its ReLU, if it has one.
        self.feature_modules = {name: name for name in self.feature_names}
        for feature in features:
            self.add_module(feature.name, feature.module)
            if isinstance(feature.module, nn.Conv2d):
                relu = f'relu{feature.name.removeprefix("conv")}'
                self.add_module(relu, nn.ReLU(inplace=True))
                self.feature_modules[feature.name] = relu
        self._required: tuple[str, ...] = ()
        self.out_features = out_features

        num_stages = features[-1].stage
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(
                f'{type(self).__name__}: frozen_stages={frozen_stages}, '
                f'expected -1 (nothing frozen) to {num_stages} (everything)'
            )
        self.frozen_stages = frozen_stages
        self._frozen = [f.name for f in features if f.stage <= frozen_stages]
        for name in self._frozen:
            getattr(self, name).requires_grad_(False)
        self.train(self.training)

    @property
    def out_features(self) -> tuple[str, ...]:
        """Names of the features that ``forward`` returns, in that order."""
        return self._out_features

    @out_features.setter
    def out_features(self, names: Sequence[str]) -> None:
        names = (names,) if isinstance(names, str) else tuple(names)
        self._require_known(*names)
        if not names:
            raise ValueError(
                f'{type(self).__name__}: out_features is empty, choose from '
                f'{", ".join(self.feature_names)}'
            )
        self._out_features = names
        self._compute_until(*names)

    def require(self, *names: str) -> None:
        """Compute features that are not returned, for hooks to read them.

        Args:
            names: The features.

        Raises:
            ValueError: If there is no such feature.
        """
        self._require_known(*names)
        self._required = (*self._required, *names)
        self._compute_until(*self._out_features)

    def _compute_until(self, *names: str) -> None:
        wanted = (*names, *self._required)
        self._depth = 1 + max(map(self.feature_names.index, wanted))

    def feature_channels(self, name: str) -> int:
        """Return the number of channels of the feature ``name``.

        Raises:
            ValueError: If there is no such feature.
        """
        self._require_known(name)
        return self._channels[name]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute ``out_features``, and nothing deeper than is needed.

        Args:
            x: Images as Caffe's data layer hands them over, for the released
                weights in BGR order, 0 to 255, minus the mean. Shape
                (N, in_channels, H, W).

        Returns:
            One tensor (N, C, h, w) for each name in ``out_features``, in that
            order.
        """
        wanted = {}
        for name in self.feature_names[: self._depth]:
            x = self._step(name, x)
            if name in self._out_features:
                wanted[name] = x
        return tuple(wanted[name] for name in self._out_features)

    def train(self, mode: bool = True) -> 'CaffeBackbone':
        """Set the training mode; the frozen stages stay in eval mode."""
        super().train(mode)
        for name in self._frozen:
            getattr(self, name).eval()
        return self

    def _step(self, name: str, x: Tensor) -> Tensor:
        """Compute the feature ``name`` from the one before it."""
        x = getattr(self, name)(x)
        blob = self.feature_modules[name]
        return x if blob == name else getattr(self, blob)(x)

    def _require_known(self, *names: str) -> None:
        unknown = [n for n in names if n not in self.feature_names]
        if unknown:
            raise ValueError(
                f'{type(self).__name__} has no feature '
                f'{", ".join(map(repr, unknown))}; valid features: '
                f'{", ".join(self.feature_names)}'
            )
