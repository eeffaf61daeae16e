"""How a network wants its images: mean, std and order of the channels."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

__all__ = [
    'Preprocessing',
    'check_padding',
    'check_statistics',
    'fill_statistics',
]

_TOLERANCE = 1e-4  # configs round: 0.485 * 255 = 123.675


class Preprocessing(NamedTuple):
    """Normalisation of a network's input, for images loaded as BGR, 0 to 255.

    Attributes:
        mean (tuple[float, ...]): One value per channel of the network's
            input, that is after the reordering.
        std (tuple[float, ...]): The same number.
        bgr_to_rgb (bool): Whether the order of the channels is reversed. Of
            an input of several modalities: whether it is in the first.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr_to_rgb: bool = False

    @classmethod
    def from_config(cls, cfg: Mapping | None) -> Preprocessing | None:
        """Read the config of a data preprocessor.

        Args:
            cfg (dict | None): Of mmdet (``bgr_to_rgb``), mmpretrain
                (``to_rgb``), or a :class:`MultiModalDataPreprocessor` of one
                modality.

        Returns:
            Preprocessing | None: None if there is no preprocessor on purpose,
            or it has several modalities (see :meth:`of_modalities`).

        Raises:
            ValueError: Mean and std do not fit each other.
        """
        parts = cls.of_modalities(cfg)
        return parts[0] if len(parts) == 1 else None

    @classmethod
    def of_modalities(cls, cfg: Mapping | None) -> list[Preprocessing]:
        """Read the config of a data preprocessor, per modality.

        Args:
            cfg (dict | None): See :meth:`from_config`.

        Returns:
            list[Preprocessing]: In the order of the channels; one for a
            preprocessor of mmdet or mmpretrain. Empty if there is none, or if
            it takes statistics from elsewhere.
        """
        if cfg is None:
            return []
        if isinstance(cfg.get('data_preprocessor'), Mapping):  # a wrapper
            return cls.of_modalities(cfg['data_preprocessor'])
        specs = list(cfg['modalities'].values()) if 'modalities' in cfg else []
        if not all(isinstance(spec, Mapping) for spec in specs):
            return []
        return [cls._from_spec(spec) for spec in specs or [cfg]]

    @classmethod
    def _from_spec(cls, cfg: Mapping) -> Preprocessing:
        given_mean, given_std = cfg.get('mean'), cfg.get('std')
        mean = (0.0,) * 3 if given_mean is None else _floats(given_mean)
        std = (1.0,) * len(mean) if given_std is None else _floats(given_std)
        if len(mean) != len(std) or min(std) <= 0:
            raise ValueError(
                f'data_preprocessor: mean {list(mean)} and std {list(std)} '
                'must have one value per channel, and std must be positive'
            )
        swap = any(
            cfg.get(key) for key in ('bgr_to_rgb', 'rgb_to_bgr', 'to_rgb')
        )
        return cls(mean, std, swap)

    @classmethod
    def of_module(cls, preprocessor: Any, modality: str) -> Preprocessing:
        """Read a modality's statistics from a built preprocessor.

        Args:
            preprocessor (MultiModalDataPreprocessor): The preprocessor.
            modality (str): One of its modalities.

        Returns:
            Preprocessing: What it does to that modality.
        """
        channels = preprocessor.slices[modality]
        first = channels.start
        if preprocessor.order is not None:
            first = preprocessor.order[channels.start]
        return cls(
            _floats(preprocessor.mean[channels].flatten().tolist()),
            _floats(preprocessor.std[channels].flatten().tolist()),
            first != channels.start,
        )

    def as_modality(self) -> dict[str, Any]:
        """Return the entry of ``MultiModalDataPreprocessor.modalities``."""
        return dict(
            mean=list(self.mean),
            std=list(self.std),
            bgr_to_rgb=self.bgr_to_rgb,
        )

    def agrees(self, other: Preprocessing) -> bool:
        """Whether both make the same input of an image.

        Args:
            other (Preprocessing): The other one.

        Returns:
            bool: Mean and std are equal up to rounding, and the order of the
            channels is the same.
        """
        return (
            _close(self.mean, other.mean)
            and _close(self.std, other.std)
            and (len(self.mean) == 1 or self.bgr_to_rgb == other.bgr_to_rgb)
        )

    def check_agrees(
        self, given: Preprocessing, modality: str, role: str
    ) -> None:
        """Refuse statistics of a modality that are not those of its reader.

        ``self`` is what the reader's config says.

        Args:
            given (Preprocessing): The statistics of the modality.
            modality (str): Its name, for the message.
            role (str): The network that reads it, as the config names it:
                ``'teacher'``.

        Raises:
            ValueError: They differ; the message has both.
        """
        if not self.agrees(given):
            raise ValueError(
                f"modality '{modality}' is normalised with {given}, but the "
                f"config of '{role}', which reads it, says {self}: write "
                f"data_preprocessor=dict(modalities=dict({modality}='{role}'"
                ')) to take them from the network, or data_preprocessor=None '
                "in the network's config if it works with those of the "
                'modality'
            )

    def __str__(self) -> str:
        """As it is written in a config."""
        return (
            f'mean={_shown(self.mean)}, std={_shown(self.std)}, '
            f'bgr_to_rgb={self.bgr_to_rgb}'
        )


def fill_statistics(
    cfg: Mapping | nn.Module | None, networks: Mapping[str, Any]
) -> Any:
    """Take the statistics of modalities from the networks that read them.

    Args:
        cfg (dict | nn.Module | None): A :class:`MultiModalDataPreprocessor`,
            in which ``modalities=dict(rgb='teacher')`` names a network.
        networks (dict[str, ResolvedNetwork]): Role -> network.

    Returns:
        dict | nn.Module | None: A copy of the config with numbers; anything
        else as it is.

    Raises:
        ValueError: No such network, or its config does not say.
    """
    if not isinstance(cfg, Mapping) or 'modalities' not in cfg:
        return cfg
    filled = copy.deepcopy(cfg)
    for name, spec in cfg['modalities'].items():
        if not isinstance(spec, str):
            continue
        if spec not in networks:
            raise ValueError(
                f"data_preprocessor: modality '{name}' takes its statistics "
                f"from '{spec}', but the networks are {list(networks)}"
            )
        found = networks[spec].preprocessing
        if found is None:
            raise ValueError(
                f"data_preprocessor: modality '{name}' takes its statistics "
                f"from '{spec}', whose config has no data_preprocessor with "
                'mean and std: write modalities=dict('
                f'{name}=dict(mean=[...], std=[...]))'
            )
        filled['modalities'][name] = found.as_modality()
    return filled


def check_statistics(
    preprocessor: Any,
    networks: Mapping[str, Any],
    modalities: Mapping[str, Sequence[str]],
) -> None:
    """Refuse modalities that their readers want normalised otherwise.

    Args:
        preprocessor (MultiModalDataPreprocessor): The shared preprocessor.
        networks (dict[str, ResolvedNetwork]): Role -> network; one whose
            config has no ``data_preprocessor`` takes what it gets.
        modalities (dict[str, Sequence[str]]): Role -> modalities that the
            network reads, in the order of its channels.

    Raises:
        ValueError: They differ; the message has both.
    """
    for role, network in networks.items():
        wanted = Preprocessing.of_modalities(
            network.model.get('data_preprocessor')
        )
        if not wanted and network.preprocessing is not None:
            wanted = [network.preprocessing]
        names = modalities[role]
        if wanted and len(wanted) != len(names):
            raise ValueError(
                f"'{role}' reads the modalities {list(names)}, but its own "
                f'data_preprocessor is made for {len(wanted)}: give it a '
                'mmxdistill.MultiModalDataPreprocessor with as many, or '
                'data_preprocessor=None'
            )
        for name, expected in zip(names, wanted, strict=False):
            given = Preprocessing.of_module(preprocessor, name)
            expected.check_agrees(given, name, role)


def check_padding(preprocessor: Any, networks: Mapping[str, Any]) -> None:
    """Refuse images that their readers want padded otherwise.

    Args:
        preprocessor (MultiModalDataPreprocessor): The shared preprocessor.
        networks (dict[str, ResolvedNetwork]): Role -> network.

    Raises:
        ValueError: A network wants a multiple that the shared preprocessor
            does not give, or another padding value.
    """
    given = getattr(preprocessor, 'pad_size_divisor', 1)
    for role, network in networks.items():
        cfg = network.model.get('data_preprocessor') or {}
        while isinstance(cfg.get('data_preprocessor'), Mapping):  # a wrapper
            cfg = cfg['data_preprocessor']
        wanted = cfg.get('pad_size_divisor', 1)
        if given % wanted:
            raise ValueError(
                f"'{role}' pads its images to multiples of {wanted}, the "
                f'data_preprocessor to multiples of {given}: set its '
                f'pad_size_divisor={math.lcm(given, wanted)}'
            )
        value = cfg.get('pad_value', 0)
        if value != getattr(preprocessor, 'pad_value', 0):
            raise ValueError(
                f"'{role}' pads its images with {value}, the "
                f'data_preprocessor with {preprocessor.pad_value}: set its '
                f'pad_value={value}'
            )


def _floats(values: Any) -> tuple[float, ...]:
    if isinstance(values, (int, float)):
        values = [values]
    return tuple(float(value) for value in values)


def _close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return len(a) == len(b) and all(
        math.isclose(x, y, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        for x, y in zip(a, b, strict=True)
    )


def _shown(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
