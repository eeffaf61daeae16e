"""The frozen networks of a transfer, and what each network reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from mmxdistill.models.networks import (
    ResolvedNetwork,
    build_network,
    load_weights,
)
from mmxdistill.models.preprocessing import check_statistics

__all__ = ['build_teacher', 'by_role', 'find_channels']


def by_role(value: Any, roles: Iterable[str] | None = None) -> dict[str, Any]:
    """Read a setting of one teacher, or of several by name.

    Args:
        value (Any): ``teacher`` or ``teacher_checkpoint`` of the config.
        roles (Iterable[str], optional): Names of the teachers, once they are
            known.

    Returns:
        dict[str, Any]: Setting per name; a single teacher is 'teacher'.

    Raises:
        ValueError: The names are others.
    """
    if isinstance(value, Mapping) and not {'type', 'model'} & set(value):
        if roles is not None and set(value) != set(roles):
            raise ValueError(
                f'teacher_checkpoint is for {list(value)}, but the teachers '
                f'are {list(roles)}'
            )
        if 'student' in value:
            raise ValueError("a teacher cannot have the name 'student'")
        return dict(value)
    if roles is None:
        return {'teacher': value}
    if value is not None and list(roles) != ['teacher']:
        raise ValueError(
            f'teacher_checkpoint must be a dict of files for {list(roles)}, '
            f"found '{value}'"
        )
    return dict.fromkeys(roles, value)


def build_teacher(
    cfg: ResolvedNetwork, checkpoint: str | None, role: str
) -> nn.Module:
    """Build a network that does not change.

    Args:
        cfg (ResolvedNetwork): The network.
        checkpoint (str | None): Its weights; None to initialise it.
        role (str): What it is called, for messages.

    Returns:
        nn.Module: In evaluation mode, without gradients.
    """
    teacher = build_network(cfg)
    if checkpoint is None:
        teacher.init_weights()
    else:
        load_weights(teacher, checkpoint, role)
    teacher.requires_grad_(False)
    teacher.eval()  # returns None for some of mmdet's backbones
    return teacher


def find_channels(
    preprocessor: Any,
    modalities: Mapping[str, str | Sequence[str]],
    networks: Mapping[str, ResolvedNetwork],
) -> dict[str, slice | list[int]]:
    """Find the channels of a batch that each network reads.

    Args:
        preprocessor (MultiModalDataPreprocessor): Of the transfer.
        modalities (dict[str, str | Sequence[str]]): Role -> what it reads.
        networks (dict[str, ResolvedNetwork]): Role -> network.

    Returns:
        dict[str, slice | list[int]]: Role -> channels.

    Raises:
        ValueError: Unknown roles or modalities, or a normalisation that is not
            the network's.
    """
    slices = getattr(preprocessor, 'slices', None)
    if slices is None:
        raise ValueError(
            'SupervisionTransfer needs data_preprocessor=dict('
            "type='mmxdistill.MultiModalDataPreprocessor', modalities="
            f'...), found {type(preprocessor).__name__}'
        )
    if set(modalities) != set(networks):
        example = ', '.join(f"{role}='...'" for role in networks)
        raise ValueError(
            f'modalities must be dict({example}) with names of the '
            f"data_preprocessor's {list(slices)}, found {modalities}"
        )
    reads: dict[str, list[str]] = {}
    channels: dict[str, slice | list[int]] = {}
    for role, names in modalities.items():
        reads[role] = [names] if isinstance(names, str) else list(names)
        for name in reads[role]:
            if name not in slices:
                raise ValueError(
                    f"modalities: the {role} reads '{name}', but the "
                    f'data_preprocessor has only {list(slices)}'
                )
        if not reads[role]:
            raise ValueError(
                f'modalities: the {role} reads none of {list(slices)}'
            )
        parts = [slices[name] for name in reads[role]]
        indices = [i for p in parts for i in range(p.start, p.stop)]
        first, count = indices[0], len(indices)
        run = list(range(first, first + count))
        # A slice is a view, a list a copy.
        channels[role] = (
            slice(first, first + count) if indices == run else indices
        )
    check_statistics(preprocessor, networks, reads)
    return channels
