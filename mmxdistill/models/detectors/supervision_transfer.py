"""Supervision transfer: a network learns from paired, unlabelled images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import SampleList
from mmdet.structures.bbox import bbox2roi
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmxdistill.models.detectors.feature_tap import FeatureTap
from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.networks import build_network, load_weights
from mmxdistill.registry import MODELS

__all__ = ['SupervisionTransfer']

_OWN_PREFIXES = ('transfer_points.', 'data_preprocessor.', 'student.')


@MODELS.register_module()
class SupervisionTransfer(BaseDetector):
    """Train a student on one modality to match a teacher on another.

    The paper's eq. 1: the sum over transfer points of an L2 loss between the
    teacher's feature of the RGB image and the adapted feature of the student
    for the paired image. No labels are used.

    The teacher is frozen and lives outside the module tree: it is not in the
    optimizer, not wrapped by DDP, not in the checkpoint, and always in eval
    mode. The student is saved under the keys that a detector loads directly:
    ``backbone.*`` if it is a backbone, its own keys if it is a detector.

    Args:
        teacher (dict | str): Backbone or detector config, or path of a config
            file whose ``model`` is the teacher.
        student (dict | str): Backbone or detector config.
        transfer_points (list[dict]): Arguments of :class:`TransferPoint`.
        teacher_checkpoint (str | None): Weights of the teacher. None means
            that ``teacher`` brings its weights by ``init_cfg``, or is random
            on purpose.
        modalities (dict[str, str]): ``dict(teacher='rgb', student='hha')``:
            which modality of the data preprocessor each network reads.
        num_rois (int): Proposals drawn per image for RoI features. Defaults
            to 64.
        data_preprocessor (dict): A :class:`MultiModalDataPreprocessor`.
        init_cfg (dict, optional): See mmengine.

    Raises:
        ValueError: Unknown features or modalities, teacher weights that do
            not fit.
    """

    teacher: Any

    def __init__(
        self,
        teacher: dict | str,
        student: dict | str,
        transfer_points: Sequence[dict],
        teacher_checkpoint: str | None,
        modalities: dict[str, str],
        num_rois: int = 64,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            data_preprocessor=data_preprocessor, init_cfg=init_cfg
        )
        self._slices = self._channels(modalities)
        # mmengine's, as init_weights() does not enter torch's containers.
        self.transfer_points = ModuleList(
            TransferPoint(**point) for point in transfer_points
        )
        if len({point.name for point in self.points}) != len(self.points):
            raise ValueError('transfer_points lists a pair of features twice')
        self.num_rois = num_rois
        # Not through nn.Module.__setattr__, which would register it.
        object.__setattr__(
            self, 'teacher', self._frozen(teacher, teacher_checkpoint)
        )
        network = build_network(student)
        if hasattr(network, 'extract_feat'):
            self.student = network
            self._register_state_dict_hook(_strip_student)
            self.register_load_state_dict_pre_hook(_prepend_student)
        else:
            self.backbone = network
        self.teacher_tap = FeatureTap(
            self.teacher, [p.teacher for p in self.points], 'teacher'
        )
        self.student_tap = FeatureTap(
            network, [p.student for p in self.points], 'student'
        )

    @property
    def points(self) -> list[TransferPoint]:
        """The transfer points, typed."""
        return list(self.transfer_points)

    def _channels(self, modalities: dict[str, str]) -> dict[str, slice]:
        slices = getattr(self.data_preprocessor, 'slices', None)
        if slices is None:
            raise ValueError(
                'SupervisionTransfer needs data_preprocessor=dict('
                "type='mmxdistill.MultiModalDataPreprocessor', modalities="
                f'...), found {type(self.data_preprocessor).__name__}'
            )
        if set(modalities) != {'teacher', 'student'}:
            raise ValueError(
                "modalities must be dict(teacher='rgb', student='hha') with "
                f'your names, found {modalities}'
            )
        for role, name in modalities.items():
            if name not in slices:
                raise ValueError(
                    f"modalities: the {role} reads '{name}', but the "
                    f'data_preprocessor has only {list(slices)}'
                )
        return {role: slices[name] for role, name in modalities.items()}

    @staticmethod
    def _frozen(cfg: dict | str, checkpoint: str | None) -> nn.Module:
        teacher = build_network(cfg)
        if checkpoint is None:
            teacher.init_weights()
        else:
            load_weights(teacher, checkpoint, 'teacher')
        teacher.requires_grad_(False)
        teacher.eval()  # returns None for some of mmdet's backbones
        return teacher

    def _apply(self, fn: Any, recurse: bool = True) -> SupervisionTransfer:
        """Move the teacher along: to(), cuda(), half(), ... end up here."""
        self.teacher._apply(fn)
        return super()._apply(fn, recurse)

    def features(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None
    ) -> list[tuple[Tensor, Tensor]]:
        """Compute the features of all transfer points.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample], optional): Hold the
                proposals, if a feature is computed per RoI.

        Returns:
            list[tuple[Tensor, Tensor]]: Adapted student and scaled teacher
            per transfer point.

        Raises:
            ValueError: Grids or channels differ; the message says which image
                sizes align.
        """
        rois = None
        if self.teacher_tap.needs_rois or self.student_tap.needs_rois:
            rois = self._sample_rois(batch_data_samples, batch_inputs)
        with torch.no_grad():
            teacher = self.teacher_tap(
                self._part('teacher', batch_inputs), rois
            )
        student = self.student_tap(self._part('student', batch_inputs), rois)
        pairs = []
        for point in self.points:
            s, t = point(student[point.student], teacher[point.teacher])
            if s.shape != t.shape:
                raise ValueError(self._mismatch(point, s, t, batch_inputs))
            pairs.append((s, t))
        return pairs

    def _part(self, role: str, batch_inputs: Tensor) -> Tensor:
        return batch_inputs[:, self._slices[role]]

    def _sample_rois(
        self, samples: SampleList | None, batch_inputs: Tensor
    ) -> Tensor:
        boxes = []
        for sample in samples or ():
            if 'proposals' not in sample or len(sample.proposals) == 0:
                raise ValueError(
                    f"'{sample.get('img_path')}' has no proposals, which a "
                    'transfer at RoI features (fc6, fc7) needs: set '
                    'proposal_file of the data set'
                )
            all_boxes = sample.proposals.bboxes
            if self.training:
                all_boxes = all_boxes[torch.randperm(len(all_boxes))]
            boxes.append(all_boxes[: self.num_rois].to(batch_inputs))
        return bbox2roi(boxes)

    def _mismatch(
        self, point: TransferPoint, s: Tensor, t: Tensor, inputs: Tensor
    ) -> str:
        h, w = inputs.shape[-2:]
        message = (
            f"transfer point '{point.name}': for input {h}x{w} the student's "
            f"grid is {tuple(s.shape[2:])}, the teacher's "
            f'{tuple(t.shape[2:])} (h, w). '
        )
        if self.student_tap.needs_rois or self.teacher_tap.needs_rois:
            return message + 'Use the same roi_feat_size in both heads'
        extents = sorted({(h // 16 + i) * 16 for i in range(-3, 5)})
        good = [e for e in extents if e > 0 and self._agrees(point, e, inputs)]
        return message + (
            f'Image heights and widths that align near {h}: {good or "none"}. '
            'Set pad_size_divisor of the data_preprocessor (32 aligns VGG16 '
            'and both AlexNet geometries), another geometry of the student, '
            "or align='crop' to compare the common top-left part"
        )

    @torch.no_grad()
    def _agrees(self, point: TransferPoint, extent: int, x: Tensor) -> bool:
        probe = x.new_zeros((1, x.shape[1], extent, extent))
        student = self.student_tap(self._part('student', probe))
        teacher = self.teacher_tap(self._part('teacher', probe))
        return (
            student[point.student].shape[2:]
            == teacher[point.teacher].shape[2:]
        )

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Transfer losses.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): Not used unless a
                feature is computed per RoI.

        Returns:
            dict[str, Tensor]: ``loss_<point>`` per transfer point.
        """
        pairs = self.features(batch_inputs, batch_data_samples)
        return {
            f'loss_{point.name}': point.loss(*pair)
            for point, pair in zip(self.points, pairs, strict=True)
        }

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        """Measure how well the student explains the teacher's features.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): The samples.
            rescale (bool): Not used.

        Returns:
            list[DetDataSample]: The samples; the first carries
            ``transfer_stats`` of the batch, from which
            :class:`TransferMetric` computes the explained variance: per
            transfer point the number of feature cells, the transfer loss, and
            per channel the sums of the teacher's feature, of its square and
            of the squared error.
        """
        stats = {}
        pairs = self.features(batch_inputs, batch_data_samples)
        for point, (s, t) in zip(self.points, pairs, strict=True):
            cells = [d for d in range(t.dim()) if d != 1]
            s64, t64 = s.double(), t.double()
            stats[point.name] = dict(
                images=len(batch_inputs),
                loss=point.loss(s, t).item(),
                cells=t.numel() // t.shape[1],
                error=((s64 - t64) ** 2).sum(cells).cpu(),
                total=t64.sum(cells).cpu(),
                square=(t64**2).sum(cells).cpu(),
            )
        batch_data_samples[0].set_field(stats, 'transfer_stats')
        return batch_data_samples

    def _forward(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList | None = None,
    ) -> list[tuple[Tensor, Tensor]]:
        return self.features(batch_inputs, batch_data_samples)

    def extract_feat(self, batch_inputs: Tensor) -> dict[str, Tensor]:
        """Features of the student.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).

        Returns:
            dict[str, Tensor]: Feature per name, before the adaptation.
        """
        return self.student_tap(self._part('student', batch_inputs))


def _strip_student(
    module: nn.Module, state: dict, prefix: str, metadata: dict
) -> None:
    """Save a student detector under its own keys."""
    inner = f'{prefix}student.'
    for key in [key for key in state if key.startswith(inner)]:
        state[prefix + key[len(inner) :]] = state.pop(key)


def _prepend_student(
    module: nn.Module, state: dict, prefix: str, *args: Any
) -> None:
    """Load a student detector from its own keys."""
    own = tuple(prefix + name for name in _OWN_PREFIXES)
    for key in list(state):
        if key.startswith(prefix) and not key.startswith(own):
            state[f'{prefix}student.{key[len(prefix) :]}'] = state.pop(key)
