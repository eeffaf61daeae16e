"""Which features a transfer compares, and what of the student learns."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine.logging import print_log
from torch import nn

from mmxdistill.models.detectors.transfer_grids import check_grids
from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.features import FeatureExtractor

__all__ = ['connect', 'freeze_unreached', 'teacher_of']

_SHOWN = 3


def teacher_of(point: TransferPoint, roles: Iterable[str]) -> tuple[str, str]:
    """Read which feature of which teacher a transfer point names.

    Args:
        point (TransferPoint): The point.
        roles (Iterable[str]): Names of the teachers; 'teacher' alone is not
            written.

    Returns:
        tuple[str, str]: Role, and the name of the feature.

    Raises:
        ValueError: No such teacher.
    """
    roles = list(roles)
    if roles == ['teacher']:
        return 'teacher', point.teacher
    role, _, feature = point.teacher.partition('.')
    if role not in roles:
        raise ValueError(
            f"transfer point '{point.teacher}': start with the name of a "
            f"teacher and a dot, as in '{roles[0]}.{point.teacher}'; there "
            f'are {roles}'
        )
    return role, feature


def connect(
    points: Sequence[TransferPoint],
    networks: Mapping[str, nn.Module],
    channels: Mapping[str, slice | list[int]],
    divisor: int,
    whole: bool,
) -> dict[str, FeatureExtractor]:
    """Find the features of all networks and fit the adaptations to them.

    Args:
        points (Sequence[TransferPoint]): Their adaptations are built.
        networks (Mapping[str, nn.Module]): Role -> network; 'student' is one.
        channels (Mapping[str, slice | list[int]]): Role -> channels of a
            batch that it reads.
        divisor (int): Heights and widths of batches are multiples of it.
        whole (bool): Whether the student's own loss needs all of its
            ``extract_feat``.

    Returns:
        dict[str, FeatureExtractor]: Role -> features.

    Raises:
        ValueError: Unknown features, features that cannot be compared, or a
            teacher that nobody asks.
    """
    teachers = [role for role in networks if role != 'student']
    names: dict[str, list[str]] = {role: [] for role in networks}
    for point in points:
        role, feature = teacher_of(point, teachers)
        names[role].append(feature)
        names['student'].append(point.student)
    unused = [role for role in teachers if not names[role]]
    if unused:
        raise ValueError(f'no transfer point names the teacher {unused}')
    extractors = {
        role: FeatureExtractor(
            network,
            names[role],
            role,
            _count(channels[role]),
            divisor,
            whole and role == 'student',
        )
        for role, network in networks.items()
    }
    student = extractors['student']
    for point in points:
        role, feature = teacher_of(point, teachers)
        teacher = extractors[role]
        point.infer(student.infos[point.student], teacher.infos[feature])
        check_grids(
            point, (student, point.student), (teacher, feature), divisor
        )
        _log(
            f'transfer point {point.name}: {teacher.infos[feature]} of the '
            f'{role} -> {student.infos[point.student]} of the student'
        )
    return extractors


def _count(channels: slice | list[int]) -> int:
    if isinstance(channels, slice):
        return int(channels.stop - channels.start)
    return len(channels)


def freeze_unreached(
    student: Any, unreached: Sequence[str], labels: bool
) -> None:
    """Leave alone what gets no gradient, so that DDP need not look.

    Args:
        student (nn.Module): The student.
        unreached (Sequence[str]): Names of its parameters without gradient.
        labels (bool): Whether they learn from labels.
    """
    if not unreached:
        return
    parameters = dict(student.named_parameters())
    if not labels:
        for key in unreached:
            parameters[key].requires_grad_(False)
    total = sum(p.numel() for p in parameters.values())
    count = sum(parameters[key].numel() for key in unreached)
    _log(
        f'{count:,} of {total:,} weights of the student get no gradient '
        f'from the transfer ({len(unreached)} parameters: '
        f'{", ".join(unreached[:_SHOWN])}, ...) and '
        + ('learn from labels only' if labels else 'are frozen')
    )


def _log(message: str) -> None:
    print_log(message, logger='current', level=logging.INFO)
