"""Supervision transfer: a network learns from paired, unlabelled images."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.structures import SampleList
from mmengine.model import ModuleList
from torch import Tensor, nn

from mmxdistill.models.detectors.shared_features import SharedFeatures
from mmxdistill.models.detectors.student_keys import use_student_keys
from mmxdistill.models.detectors.teacher_cache import (
    Taught,
    TeacherCache,
    build_cache,
)
from mmxdistill.models.detectors.teachers import (
    build_teacher,
    by_role,
    find_channels,
)
from mmxdistill.models.detectors.transfer_grids import (
    explain_mismatch,
    padded_sizes,
    valid_cells,
)
from mmxdistill.models.detectors.transfer_point import TransferPoint
from mmxdistill.models.detectors.transfer_rois import draw_rois
from mmxdistill.models.detectors.transfer_wiring import (
    connect,
    freeze_unreached,
    teacher_of,
)
from mmxdistill.models.networks import build_network, resolve_network
from mmxdistill.models.preprocessing import fill_statistics
from mmxdistill.registry import MODELS

__all__ = ['SupervisionTransfer']

Pair = tuple[Tensor, Tensor]


@MODELS.register_module()
class SupervisionTransfer(BaseDetector):
    """Train a student on one modality to match a teacher on another.

    The paper's eq. 1: the sum over transfer points of an L2 loss between the
    teacher's feature of the RGB image and the adapted feature of the student
    for the paired image. No labels are needed.

    Teachers are frozen and live outside the module tree: they are not in the
    optimizer, not wrapped by DDP, not in the checkpoint, and always in eval
    mode. The student is saved under the keys that a detector loads directly:
    ``backbone.*`` if it is a backbone, its own keys if it is a detector. Its
    parameters behind the last transfer point are frozen.

    Args:
        teacher (dict | str): Backbone or model: its config, or the name of a
            config file whose ``model`` it is, as in
            ``'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'``. Or
            several: ``dict(rgb=..., clip=...)``; transfer points then name
            features ``'clip.backbone[3]'``.
        student (dict | str): Backbone or detector.
        transfer_points (list[dict]): Arguments of :class:`TransferPoint`.
        teacher_checkpoint (str | dict | None): Weights of the teacher; of
            several, a dict. None means that a teacher brings its weights by
            ``init_cfg``, or is random on purpose.
        modalities (dict[str, str | list[str]]): ``dict(teacher='rgb',
            student=['hha', 'thermal'])``: which modalities of the data
            preprocessor each network reads, in the order of its channels.
        num_rois (int): Proposals drawn per image for RoI features. Defaults
            to 64.
        student_loss_weight (float): Weight of the student detector's own loss
            on the pairs that are labelled, computed from the same features.
            Defaults to 0: it is not computed.
        teacher_cache (dict, optional): ``dict(path=..., dtype='float16',
            max_gb=None, stale='error')``: keep the teachers' features of the
            training images in a folder and compute each once; see
            :class:`TeacherCache`. Needs the :class:`TeacherCacheHook`.
        data_preprocessor (dict): A :class:`MultiModalDataPreprocessor`; an
            entry ``rgb='teacher'`` takes mean, std and order of the channels
            from the config of the teacher.
        init_cfg (dict, optional): See mmengine.

    Raises:
        ValueError: Unknown features or modalities, features that cannot be
            compared or learned, weights that do not fit, a normalisation
            that is not the network's.
    """

    def __init__(
        self,
        teacher: dict | str,
        student: dict | str,
        transfer_points: Sequence[dict],
        teacher_checkpoint: str | dict | None,
        modalities: dict[str, str | Sequence[str]],
        num_rois: int = 64,
        student_loss_weight: float = 0.0,
        teacher_cache: Mapping | None = None,
        data_preprocessor: dict | nn.Module | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if not isinstance(transfer_points, Sequence) or not transfer_points:
            raise ValueError(
                'transfer_points must be a list of dict(teacher=..., '
                f'student=..., ...), found {transfer_points!r}'
            )
        if num_rois < 1 or student_loss_weight < 0:
            raise ValueError(
                f'num_rois={num_rois} must be positive, '
                f'student_loss_weight={student_loss_weight} not negative'
            )
        networks = {
            **{r: resolve_network(c) for r, c in by_role(teacher).items()},
            'student': resolve_network(student),
        }
        super().__init__(
            data_preprocessor=fill_statistics(data_preprocessor, networks),
            init_cfg=init_cfg,
        )
        self._channels = find_channels(
            self.data_preprocessor, modalities, networks
        )
        # mmengine's, as init_weights() does not enter torch's containers.
        self.transfer_points = ModuleList(
            TransferPoint.from_config(point) for point in transfer_points
        )
        if len({point.name for point in self.points}) != len(self.points):
            raise ValueError('transfer_points lists a pair of features twice')
        # Shown everything that is compared, such as by a hook.
        self.watcher: Callable[..., None] | None = None
        self.num_rois = num_rois
        self.student_loss_weight = student_loss_weight
        student_config = networks.pop('student')
        checkpoints = by_role(teacher_checkpoint, networks)
        self.teachers = {  # a dict: not registered as sub-modules
            role: build_teacher(network, checkpoints.get(role), role)
            for role, network in networks.items()
        }
        network = build_network(student_config)
        if hasattr(network, 'extract_feat'):
            self.student = network
            use_student_keys(self)
        else:
            self.backbone = network
            if student_loss_weight:
                raise ValueError(
                    'student_loss_weight needs a detector as student, found '
                    f'the backbone {type(network).__name__}'
                )
        self.teacher_features = connect(
            self.points,
            {**self.teachers, 'student': network},
            self._channels,
            self.divisor,
            bool(student_loss_weight),
        )
        self.student_features = self.teacher_features.pop('student')
        self.student_features.check_training()
        self._unreached = self.student_features.unreached()
        freeze_unreached(network, self._unreached, bool(student_loss_weight))
        self.teacher_cache: TeacherCache | None = None
        if teacher_cache is not None:
            self.teacher_cache = build_cache(self, teacher_cache, modalities)

    @property
    def points(self) -> list[TransferPoint]:
        """The transfer points, typed."""
        return list(self.transfer_points)

    @property
    def teacher(self) -> Any:
        """The teacher; the first of several."""
        return next(iter(self.teachers.values()))

    @property
    def student_network(self) -> Any:
        """The student, backbone or detector."""
        return self.student if hasattr(self, 'student') else self.backbone

    @property
    def divisor(self) -> int:
        """Height and width of a batch are multiples of it."""
        return int(getattr(self.data_preprocessor, 'pad_size_divisor', 1))

    def _apply(self, fn: Any, recurse: bool = True) -> SupervisionTransfer:
        """Move teachers along: to(), cuda(), half(), ... end up here."""
        for teacher in self.teachers.values():
            teacher._apply(fn)
        return super()._apply(fn, recurse)

    def raw_features(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None
    ) -> list[Pair]:
        """Compute the features as the networks give them.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample], optional): Hold the
                proposals, if a feature is computed per RoI.

        Returns:
            list[tuple[Tensor, Tensor]]: Student (N, C, h, w) and teacher
            (N, C', h', w') per transfer point, or (R, C) per RoI.
        """
        rois = None
        extractors = [*self.teacher_features.values(), self.student_features]
        if any(extractor.needs_rois for extractor in extractors):
            rois = draw_rois(
                batch_data_samples or (),
                self.num_rois,
                self.training,
                batch_inputs,
            )
        # Only the training's images were found to come again.
        if self.teacher_cache is not None and self.training:
            taught = self.teacher_cache.features(
                self.teach, batch_inputs, batch_data_samples or ()
            )
        else:
            taught = self.teach(batch_inputs, batch_data_samples, rois)
        student = self.student_features(
            self.part('student', batch_inputs), rois, batch_data_samples
        )
        if self.training and torch.is_grad_enabled():
            self.student_features.check_gradients(student)
        pairs = []
        for point in self.points:
            role, feature = teacher_of(point, self.teachers)
            pairs.append((student[point.student], taught[role][feature]))
        return pairs

    @torch.no_grad()
    def teach(
        self,
        inputs: Tensor,
        samples: SampleList | None,
        rois: Tensor | None = None,
    ) -> Taught:
        """Compute the features of the teachers.

        Args:
            inputs (Tensor): (N, sum of channels, H, W).
            samples (list[DetDataSample], optional): What a transformer's head
                wants to know of the images.
            rois (Tensor, optional): (R, 5), for features per RoI.

        Returns:
            dict[str, dict[str, Tensor]]: Role of the teacher -> name ->
            (N, C, h, w), or (R, C) per RoI.
        """
        return {
            role: extractor(self.part(role, inputs), rois, samples)
            for role, extractor in self.teacher_features.items()
        }

    def part(self, role: str, batch_inputs: Tensor) -> Tensor:
        """Channels that a network reads: (N, its channels, H, W)."""
        return batch_inputs[:, self._channels[role]]

    def compare(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None
    ) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Compute the features of all transfer points, ready to compare.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample], optional): Hold the
                proposals, if a feature is computed per RoI, and
                ``img_shape``, which tells padding.

        Returns:
            list[tuple[Tensor, Tensor, Tensor | None]]: Adapted student and
            scaled teacher per transfer point, and (N, 1, h, w) which cells
            are no padding; None for all.

        Raises:
            ValueError: Grids differ; the message says which image sizes
                align.
        """
        compared = []
        pairs = self.raw_features(batch_inputs, batch_data_samples)
        for point, pair in zip(self.points, pairs, strict=True):
            student, teacher = point(*pair)
            role, feature = teacher_of(point, self.teachers)
            extractor = self.teacher_features[role]
            if student.shape != teacher.shape:
                raise ValueError(
                    explain_mismatch(
                        point,
                        (self.student_features, point.student),
                        (extractor, feature),
                        (student.shape, teacher.shape),
                        batch_inputs.shape[-2:],
                    )
                )
            valid = None
            if point.spatial:
                valid = valid_cells(
                    batch_data_samples,
                    batch_inputs,
                    pair[1].shape[2:],
                    teacher.shape[2:],
                )
            compared.append((student, teacher, valid))
        if self.watcher is not None:
            self.watcher(pairs, compared, batch_inputs, batch_data_samples)
        return compared

    def features(
        self, batch_inputs: Tensor, batch_data_samples: SampleList | None
    ) -> list[Pair]:
        """Compute the features of all transfer points.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample], optional): See
                :meth:`compare`.

        Returns:
            list[tuple[Tensor, Tensor]]: Adapted student and scaled teacher
            per transfer point, padding included.
        """
        compared = self.compare(batch_inputs, batch_data_samples)
        return [(student, teacher) for student, teacher, _ in compared]

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict[str, Any]:
        """Transfer losses, and the student's own on labelled pairs.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): Tell which part of the
                images is padding; have proposals, if a feature is computed per
                RoI; some have boxes, if ``student_loss_weight`` is set.

        Returns:
            dict[str, Tensor]: ``loss_<point>`` per transfer point,
            ``student.<loss>`` per loss of the student, and
            ``teacher_cached``, the share of the images whose features were
            in the cache.
        """
        if not self.student_loss_weight:
            return self._transfer_losses(batch_inputs, batch_data_samples)
        with SharedFeatures(self.student) as shared:
            losses = self._transfer_losses(batch_inputs, batch_data_samples)
            own = shared.losses(
                self.part('student', batch_inputs), batch_data_samples
            )
        for key, value in own.items():
            weight = self.student_loss_weight if 'loss' in key else 1
            losses[f'student.{key}'] = (
                [v * weight for v in value]
                if isinstance(value, list)
                else value * weight
            )
        if not own:  # the same parameters in all processes of DDP
            parameters = dict(self.student.named_parameters())
            losses['student.loss_none'] = sum(
                0 * parameters[key].sum() for key in self._unreached
            )
        return losses

    def _transfer_losses(
        self, inputs: Tensor, samples: SampleList
    ) -> dict[str, Any]:
        losses = {
            f'loss_{point.name}': point.measure(*compared)
            for point, compared in zip(
                self.points, self.compare(inputs, samples), strict=True
            )
        }
        if self.teacher_cache is not None and self.training:
            # No loss: the log shows it.
            share = self.teacher_cache.last_found / max(len(samples), 1)
            losses['teacher_cached'] = inputs.new_full((), share)
        return losses

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        """Measure how well the student explains the teacher's features.

        Each pair is measured alone, so that the result does not depend on
        which others are in the batch.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).
            batch_data_samples (list[DetDataSample]): The samples.
            rescale (bool): Not used.

        Returns:
            list[DetDataSample]: The samples, each with ``transfer_stats``,
            from which :class:`TransferMetric` computes the explained
            variance: per transfer point the number of valid cells, the
            transfer loss, the sums of the squared error and of the square of
            the teacher's feature, and per channel the sum of that feature.
        """
        sizes = padded_sizes(batch_data_samples, batch_inputs, self.divisor)
        for i, (sample, (h, w)) in enumerate(
            zip(batch_data_samples, sizes, strict=True)
        ):
            alone = copy.copy(sample)
            alone.set_metainfo(
                dict(batch_input_shape=(h, w), pad_shape=(h, w))
            )
            compared = self.compare(
                batch_inputs[i : i + 1, :, :h, :w].contiguous(), [alone]
            )
            stats = {
                point.name: point.statistics(*row)
                for point, row in zip(self.points, compared, strict=True)
            }
            sample.set_field(stats, 'transfer_stats')
        return batch_data_samples

    def _forward(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList | None = None,
    ) -> list[Pair]:
        return self.features(batch_inputs, batch_data_samples)

    def extract_feat(self, batch_inputs: Tensor) -> dict[str, Tensor]:
        """Features of the student.

        Args:
            batch_inputs (Tensor): (N, sum of channels, H, W).

        Returns:
            dict[str, Tensor]: Feature per name, before the adaptation.
        """
        return self.student_features(self.part('student', batch_inputs))
