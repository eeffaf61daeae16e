"""Studies: an ImageNet network teaches Fast R-CNN on two small sets."""

from __future__ import annotations

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
from mmxdistill.studies.real_jobs import data_folder
from mmxdistill.studies.real_pairs import Arm, Claim, Study, TestSet, make_step

__all__ = ['KITCHEN', 'ROADSCENE']

_WEIGHTS = 'checkpoints/squeezenet_v1.1.pth'
_STARTS = dict(
    random='random weights',
    copy='copied ImageNet weights',
    st='transferred weights',
)
_SECONDS = dict(train=300, test=45)


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """A data set.

    Attributes:
        name: The end of its configs' names.
        folder: Of the data, below that of all data sets.
        modality: What learns from colour.
        images: Its folders of images that get proposals.
        search: Options of ``generate_proposals.py``.
    """

    name: str
    folder: str
    modality: str
    images: tuple[str, ...]
    search: tuple[object, ...]

    def detector(self, stream: str) -> str:
        """Config of a Fast R-CNN."""
        return f'fast_rcnn/fast_rcnn_squeezenet_{stream}_600_{self.name}.py'

    def data(self, home: Path, tools: Path) -> list[Step]:
        """Convert the teacher, look for proposals."""
        source = data_folder()
        proposals = f'data/{self.folder}/proposals.pkl'
        return [
            make_step(
                *('teacher', home, 'The ImageNet SqueezeNet.', 20),
                tools / 'model_converters/caffe_to_mm.py',
                source / 'weights/squeezenet_v1.1'
                '/squeezenet_v1.1_fp16.caffemodel',
                _WEIGHTS,
                writes=_WEIGHTS,
            ),
            make_step(
                *('proposals', home, 'Proposals of all images.', 400),
                tools / 'dataset_converters/generate_proposals.py',
                proposals,
                *(source / self.folder / images for images in self.images),
                *self.search,
                writes=proposals,
            ),
        ]

    def jobs(self, seed: int) -> list[Job]:
        """Transfer, the detectors, and the fusion of two of them."""
        transfer = (
            f'supervision_transfer/st_squeezenet_squeezenet_{self.modality}_'
            f'fire9_600_{self.name}.py'
        )
        streams = {
            'rgb': 'rgb',
            **{start: f'{self.modality}_{start}' for start in _STARTS},
        }
        jobs: list[Job] = [
            Training(
                name='transfer',
                config=transfer,
                seconds=_SECONDS['train'],
                shows='Supervision transfer, without labels.',
            ),
            Evaluation(
                name='explained',
                config=transfer,
                tests='transfer',
                predictions=False,
                seconds=_SECONDS['test'],
                shows='Explained variance on held-out pairs.',
            ),
        ]
        for name, stream in streams.items():
            start = dict(load_from='transfer') if name == 'st' else {}
            jobs += [
                Training(
                    name=name,
                    config=self.detector(stream),
                    checkpoints=start,
                    seconds=_SECONDS['train'],
                    shows=f'Fast R-CNN, {stream}.',
                ),
                Evaluation(
                    name=f'test_{name}',
                    config=self.detector(stream),
                    tests=name,
                    seconds=_SECONDS['test'],
                    shows=f'Tests {name}.',
                ),
            ]
        return [
            *jobs,
            Evaluation(
                name='fusion',
                seconds=2 * _SECONDS['test'],
                shows='Late fusion of the two.',
                **self.fused(),
            ),
            Evaluation(
                name='fusion_fitted',
                seconds=6 * _SECONDS['test'],
                shows='With weights fitted to the training images.',
                **self.fused('fitted_'),
            ),
        ]

    def fused(self, weights: str = '') -> dict[str, Any]:
        """Config of a late fusion, and whose checkpoints it takes."""
        part = 'model.streams.{}.checkpoint'
        return dict(
            config=f'late_fusion/fusion_squeezenet_rgb-{self.modality}_'
            f'{weights}{self.name}.py',
            checkpoints={
                part.format('rgb'): 'rgb',
                part.format(self.modality): 'st',
            },
        )

    def study(
        self,
        title: str,
        head: str,
        images: str,
        classes: tuple[str, ...],
        block: int,
    ) -> Study:
        """Make the study; of the test images, ``block`` are alike."""
        learns = 'HHA' if self.modality == 'hha' else self.modality
        table = TestSet(
            title=images,
            config=self.detector('rgb'),
            arms=[
                Arm(test='test_rgb', what='RGB'),
                *(
                    Arm(test=f'test_{start}', what=f'{learns}, {what}')
                    for start, what in _STARTS.items()
                ),
                Arm(test='fusion', what=f'RGB + {learns}, transferred'),
                Arm(
                    test='fusion_fitted',
                    what=f'RGB + {learns}, fitted weights',
                ),
            ],
            claims=[
                Claim('test_st', 'test_random', 'transferred > random'),
                Claim('test_st', 'test_copy', 'transferred > copied'),
                Claim('fusion', 'test_rgb', f'RGB + {learns} > RGB'),
                Claim('fusion', 'test_st', f'RGB + {learns} > {learns}'),
                Claim(
                    'fusion_fitted',
                    'test_rgb',
                    f'RGB + {learns}, fitted > RGB',
                ),
            ],
            group=lambda _: self.name,
            block=block,
            classes=classes,
            pooled=True,
            sheet=('test_rgb', 'test_copy', 'test_st', 'fusion'),
        )
        return Study(
            name=self.name,
            title=title,
            head=head,
            data=self.data,
            jobs=self.jobs,
            once=[
                Comparison(
                    name='comparison',
                    seconds=4 * _SECONDS['test'],
                    shows='Box-level fusions beside that of raw outputs.',
                    **self.fused(),
                )
            ],
            tests=[table],
            transfers=['explained'],
            comparison='comparison',
        )


KITCHEN = _Pairs(
    name='kitchen',
    folder='kitchen_rgbd',
    modality='hha',
    images=('color',),
    search=('--max-side', 320),
).study(
    title='Kitchen: RGB teaches HHA',
    head="""\
The ImageNet SqueezeNet v1.1 teaches a copy of itself, at fire9, on 175 frames
of one room; Fast R-CNN is trained on their boxes and tested on 75 other frames
of the same room. 600 iterations of 2 images each.
""",
    images='75 frames of the room',
    classes=('box', 'chair', 'counter', 'table', 'television'),
    block=5,
)
ROADSCENE = _Pairs(
    name='roadscene',
    folder='roadscene_rgbt',
    modality='thermal',
    images=('visible', 'thermal'),
    search=(
        *('--method', 'selective_search', 'windows'),
        *('--max-side', 640, '--max-num', 4000),
    ),
).study(
    title='Road scenes: RGB teaches thermal',
    head="""\
The ImageNet SqueezeNet v1.1 teaches a copy of itself, at fire9, on 183 pairs
of RoadScene; Fast R-CNN is trained on the boxes of 70 of them and tested on 38
other images. 600 iterations of 2 images each.
""",
    images='38 images of the test split',
    classes=('person', 'bike', 'car'),
    block=1,
)
