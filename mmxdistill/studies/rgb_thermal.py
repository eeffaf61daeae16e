"""Study: a detector of road scenes in visible light teaches thermal."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from mmxdistill.studies.jobs import (
    Comparison,
    Evaluation,
    Job,
    Step,
    Training,
)
from mmxdistill.studies.real_pairs import (
    Arm,
    Claim,
    Study,
    TestSet,
    draw_indices,
    make_step,
)

__all__ = ['RGB_THERMAL']

_TRANSFER = (
    'supervision_transfer/'
    'st_yolox-nano_yolox-nano_thermal_neck-both_60_roadscene.py'
)
_RGB = 'yolox/yolox_yolox-nano_rgb_copy_40_roadscene.py'
_FUSION = 'late_fusion/fusion_yolox-nano_rgb-thermal_roadscene.py'
_STARTS = dict(
    st='yolox/yolox_yolox-nano_thermal_st_40_roadscene.py',
    copy='yolox/yolox_yolox-nano_thermal_copy_40_roadscene.py',
)
_NAMES = dict(copy='COCO', st='transfer')
_WEIGHTS = 'checkpoints/yolox_nano_road.pth'
_IMAGES = 70  # of the training split
_LABELS = (20, _IMAGES)
_STREAM = 'model.streams.thermal.checkpoint'
_INDICES = 'train_dataloader.dataset.indices'
_CLASSES = ('person', 'bike', 'car')


def _source() -> Path:
    return Path(os.environ.get('MMXDISTILL_DATA', 'data'))


def _data(home: Path, tools: Path) -> list[Step]:
    return [
        make_step(
            *('teacher', home, 'Three classes of the COCO detector.', 20),
            tools / 'model_converters' / 'select_classes.py',
            'mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
            _source() / 'weights/yolox_nano_coco/yolox_nano_mmdet.pth',
            *(_WEIGHTS, '--classes', 'person', 'bike=bicycle', 'car'),
        )
    ]


def _jobs(seed: int) -> list[Job]:
    jobs: list[Job] = [
        Training(
            name='transfer',
            config=_TRANSFER,
            seconds=120,
            shows='Supervision transfer: no label of thermal is used.',
        ),
        Evaluation(
            name='zero_shot',
            config=_STARTS['st'],
            tests='transfer',
            seconds=20,
            shows='Tests the student under the head for RGB.',
        ),
        Evaluation(
            name='explained',
            config=_TRANSFER,
            tests='transfer',
            predictions=False,
            seconds=20,
            shows='Explained variance on the pairs of the test split.',
        ),
    ]
    for number in _LABELS:
        for start, config in _STARTS.items():
            name = f'{start}_{number}'
            jobs += [
                Training(
                    name=name,
                    config=config,
                    seconds=60,
                    shows=f'{_NAMES[start]} + {number} labelled images.',
                    checkpoints=(
                        dict(load_from='transfer') if start == 'st' else {}
                    ),
                    settings={_INDICES: draw_indices(_IMAGES, number, seed)},
                ),
                Evaluation(
                    name=f'test_{name}',
                    config=config,
                    tests=name,
                    seconds=20,
                    shows=f'Tests {name}.',
                ),
            ]
    for name, stream in dict(
        zero='transfer', labelled=f'st_{_IMAGES}'
    ).items():
        equal: dict[str, Any] = dict(custom_hooks=[])
        for kind, chosen in dict(equal=equal, fitted={}).items():
            jobs.append(
                Evaluation(
                    name=f'fusion_{name}_{kind}',
                    config=_FUSION,
                    checkpoints={_STREAM: stream},
                    settings=chosen,
                    seconds=40,
                    shows=f'RGB + thermal ({stream}), {kind} weights.',
                )
            )
    if seed == 0:
        jobs.append(
            Comparison(
                name='comparison_zero',
                config=_FUSION,
                checkpoints={_STREAM: 'transfer'},
                seconds=40,
                shows='Box-level fusions beside it.',
            )
        )
    return jobs


def _once(name: str, config: str, shows: str) -> Job:
    return Evaluation(
        name=name, config=config, seconds=20, shows=shows, weights=_WEIGHTS
    )


_ONCE = [
    _once('rgb_on_rgb', _RGB, 'The teacher on visible light.'),
    _once('rgb_on_thermal', _STARTS['copy'], 'The teacher on thermal.'),
    Evaluation(
        name='fusion_rgb_equal',
        config=_FUSION,
        checkpoints={},
        settings={_STREAM: _WEIGHTS, 'custom_hooks': []},
        seconds=40,
        shows='The RGB net on both modalities, averaged.',
    ),
]
_BEFORE = [
    Arm(test='rgb_on_rgb', what='RGB net on visible'),
    Arm(test='rgb_on_thermal', what='RGB net on thermal, as it is'),
    Arm(test='zero_shot', what='transfer, RGB head (zero-shot)', start='st'),
]
_EQUAL = [
    Arm(test='fusion_rgb_equal', what='RGB net on both, equal weights'),
    Arm(test='fusion_zero_equal', what='RGB + zero-shot, equal weights'),
]


@cache
def _splits() -> dict[str, tuple[str, str]]:
    """Stem of a labelled image -> its split, and day or night."""
    found = {}
    for split in ('train', 'test'):
        path = _source() / f'roadscene_rgbt/annotations_{split}.json'
        for image in json.loads(path.read_text())['images']:
            stem = Path(image['file_name']).stem
            found[stem] = (split, image['day_night'])
    return found


def _all_images(path: str) -> str:
    return _splits()[Path(path).stem][1]


def _test_split(path: str) -> str:
    split, time = _splits()[Path(path).stem]
    return time if split == 'test' else ''


RGB_THERMAL = Study(
    name='rgb_thermal',
    title='Road scenes: visible light teaches thermal',
    head="""\
The COCO detector YOLOX-nano sees 177 visible images and teaches a copy of
itself to see their thermal partners, at the three outputs of its neck, without
labels. How the transfer is trained was chosen on the labels of the training
split (70 images), which are 70 of the 108 of the first table.
""",
    data=_data,
    jobs=_jobs,
    once=_ONCE,
    tests=[
        TestSet(
            title='Without labels: all 108 labelled images',
            config=_STARTS['copy'],
            arms=[*_BEFORE, *_EQUAL],
            claims=[
                Claim(
                    *('zero_shot', 'rgb_on_thermal'),
                    'zero-shot > RGB net on thermal',
                ),
                Claim(
                    *('fusion_zero_equal', 'zero_shot'),
                    'RGB + zero-shot > zero-shot',
                ),
                Claim(
                    *('fusion_zero_equal', 'fusion_rgb_equal'),
                    'RGB + zero-shot > RGB net on both',
                ),
            ],
            group=_all_images,
            sheet=('rgb_on_rgb', 'rgb_on_thermal', 'zero_shot'),
            block=1,
            classes=_CLASSES,
            pooled=True,
        ),
        TestSet(
            title='With labels: the 38 images of the test split',
            config=_STARTS['copy'],
            arms=[
                *_BEFORE,
                *(
                    Arm(
                        test=f'test_{start}_{number}',
                        what=f'{_NAMES[start]} + {number} labelled',
                        start=start,
                        labels=number,
                    )
                    for number in _LABELS
                    for start in ('copy', 'st')
                ),
                *_EQUAL,
                Arm(
                    test='fusion_zero_fitted',
                    what='RGB + zero-shot, fitted weights',
                ),
                Arm(
                    test='fusion_labelled_equal',
                    what='RGB + labelled, equal weights',
                ),
                Arm(
                    test='fusion_labelled_fitted',
                    what='RGB + labelled, fitted weights',
                ),
            ],
            claims=[
                *(
                    Claim(
                        *(f'test_st_{number}', f'test_copy_{number}'),
                        f'transfer > COCO, {number} labelled',
                    )
                    for number in _LABELS
                ),
                Claim(
                    *('fusion_labelled_fitted', f'test_st_{_IMAGES}'),
                    'RGB + labelled, fitted > labelled',
                ),
            ],
            group=_test_split,
            block=1,
            classes=_CLASSES,
            pooled=True,
        ),
    ],
    transfers=['explained'],
    comparison='comparison_zero',
)
