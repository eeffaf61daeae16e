"""Jobs, arms and teacher that the studies on real pairs share."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmxdistill.studies.jobs import (
    Comparison,
    Evaluation,
    Job,
    Step,
    Training,
)
from mmxdistill.studies.real_pairs import Arm, make_step

__all__ = ['Recipe', 'data_folder', 'teacher_step']

_NAMES = dict(random='random', copy='COCO', st='transfer')
_INDICES = 'train_dataloader.dataset.indices'


def data_folder() -> Path:
    """Folder of the real data."""
    return Path(os.environ.get('MMXDISTILL_DATA', 'data'))


def teacher_step(home: Path, tools: Path, weights: str, *classes: str) -> Step:
    """Cut some classes out of the COCO detector, for teacher and students."""
    return make_step(
        *('teacher', home, 'Classes of the COCO detector.', 20),
        tools / 'model_converters' / 'select_classes.py',
        'mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
        data_folder() / 'weights/yolox_nano_coco/yolox_nano_mmdet.pth',
        *(weights, '--classes', *classes),
        writes=weights,
    )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Configs of a study, and about how many seconds they take.

    Attributes:
        modality: Name of the stream that learns.
        weights: Checkpoint of the teacher.
        transfer: Config of the transfer.
        rgb: Config of the teacher on its own modality.
        starts: What the detector of the new modality starts from (``st``,
            ``copy``, ``random``) -> its config.
        fusion: Config of the late fusion.
        transfer_seconds: Of a transfer.
        test_seconds: Of a test.
        train_seconds: Of a training, by what it starts from.
    """

    modality: str
    weights: str
    transfer: str
    rgb: str
    starts: Mapping[str, str]
    fusion: str
    transfer_seconds: int
    test_seconds: int
    train_seconds: Mapping[str, int]

    @property
    def stream(self) -> str:
        """Setting that names the checkpoint of the stream that learned."""
        return f'model.streams.{self.modality}.checkpoint'

    def transfer_jobs(self) -> list[Job]:
        """Transfer, its student under the head for RGB, what it explains."""
        return [
            Training(
                name='transfer',
                config=self.transfer,
                seconds=self.transfer_seconds,
                shows=f'Supervision transfer: no label of {self.modality} is '
                'used.',
            ),
            Evaluation(
                name='zero_shot',
                config=self.starts['st'],
                tests='transfer',
                seconds=self.test_seconds,
                shows='Tests the student under the head for RGB.',
            ),
            Evaluation(
                name='explained',
                config=self.transfer,
                tests='transfer',
                predictions=False,
                seconds=20,
                shows='Explained variance on held-out pairs.',
            ),
        ]

    def labelled_jobs(self, sets: Mapping[Any, Sequence[int]]) -> list[Job]:
        """Fine-tune on each set of labelled images from each start.

        Args:
            sets (dict): Name of a set -> indices of its images.
        """
        jobs: list[Job] = []
        for label, indices in sets.items():
            for start, config in self.starts.items():
                name = f'{start}_{label}'
                transferred = dict(load_from='transfer')
                jobs += [
                    Training(
                        name=name,
                        config=config,
                        seconds=self.train_seconds[start],
                        shows=f'{_NAMES[start]} + {label} labelled images.',
                        checkpoints=transferred if start == 'st' else {},
                        settings={_INDICES: list(indices)},
                    ),
                    Evaluation(
                        name=f'test_{name}',
                        config=config,
                        tests=name,
                        seconds=self.test_seconds,
                        shows=f'Tests {name}.',
                    ),
                ]
        return jobs

    def fusion_jobs(self, labelled: str) -> list[Job]:
        """Fuse with the student without labels, and with a labelled one.

        Args:
            labelled (str): Training of the latter.
        """
        # The hook of the config fits the weights.
        kinds: dict[str, dict[str, Any]] = dict(
            equal=dict(custom_hooks=[]), fitted={}
        )
        return [
            Evaluation(
                name=f'fusion_{name}_{kind}',
                config=self.fusion,
                checkpoints={self.stream: stream},
                settings=settings,
                seconds=2 * self.test_seconds,
                shows=f'RGB + {self.modality} ({stream}), {kind} weights.',
            )
            for name, stream in dict(
                zero='transfer', labelled=labelled
            ).items()
            for kind, settings in kinds.items()
        ]

    def once(self) -> list[Job]:
        """The teacher on both modalities, and fusions of finished boxes."""
        both = dict(rgb=self.rgb, **{self.modality: self.starts['copy']})
        return [
            *(
                Evaluation(
                    name=f'rgb_on_{modality}',
                    config=config,
                    weights=self.weights,
                    seconds=self.test_seconds,
                    shows=f'The teacher on {modality}, as it is.',
                )
                for modality, config in both.items()
            ),
            Comparison(
                name='comparison',
                config=self.fusion,
                checkpoints={self.stream: 'transfer'},
                seconds=2 * self.test_seconds,
                shows='Box-level fusions beside that of RGB and the student.',
            ),
        ]

    def labelled_arms(self, numbers: Iterable[int]) -> list[Arm]:
        """Lines of the table for numbers of labelled images."""
        return [
            Arm(
                test=f'test_{start}_{number}',
                what=f'{_NAMES[start]} + {number} labelled',
                start=start,
                labels=number,
            )
            for number in numbers
            for start in ('random', 'copy', 'st')
            if start in self.starts
        ]

    @staticmethod
    def fusion_arms() -> list[Arm]:
        """Lines of the table for what :meth:`fusion_jobs` tests."""
        return [
            Arm(
                test=f'fusion_{name}_{kind}',
                what=f'RGB + {what}, {kind} weights',
            )
            for name, what in dict(
                zero='zero-shot', labelled='labelled'
            ).items()
            for kind in ('equal', 'fitted')
        ]
