"""Study: a detector of road scenes in visible light teaches thermal."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

from mmxdistill.studies.jobs import Evaluation, Job, Step
from mmxdistill.studies.real_jobs import Recipe, data_folder, teacher_step
from mmxdistill.studies.real_pairs import (
    Arm,
    Claim,
    Study,
    TestSet,
    draw_indices,
)

__all__ = ['RGB_THERMAL']

_RECIPE = Recipe(
    modality='thermal',
    weights='checkpoints/yolox_nano_road.pth',
    transfer='supervision_transfer/'
    'st_yolox-nano_yolox-nano_thermal_neck-both_60_roadscene.py',
    rgb='yolox/yolox_yolox-nano_rgb_copy_40_roadscene.py',
    starts=dict(
        st='yolox/yolox_yolox-nano_thermal_st_40_roadscene.py',
        copy='yolox/yolox_yolox-nano_thermal_copy_40_roadscene.py',
    ),
    fusion='late_fusion/fusion_yolox-nano_rgb-thermal_roadscene.py',
    transfer_seconds=120,
    test_seconds=20,
    train_seconds=dict(st=60, copy=60),
)
_IMAGES = 70  # of the training split
_LABELS = (20, _IMAGES)
_CLASSES = ('person', 'bike', 'car')
_KAIST = 'zero_shot/zero-shot_yolox-nano_thermal_kaist.py'
# What is tested in another city, too, where only persons have boxes.
_TRAINED = [
    'transfer',
    *(f'{start}_{number}' for number in _LABELS for start in ('copy', 'st')),
]


def _data(home: Path, tools: Path) -> list[Step]:
    classes = ('person', 'bike=bicycle', 'car')
    return [teacher_step(home, tools, _RECIPE.weights, *classes)]


def _jobs(seed: int) -> list[Job]:
    sets = {number: draw_indices(_IMAGES, number, seed) for number in _LABELS}
    return [
        *_RECIPE.transfer_jobs(),
        *_RECIPE.labelled_jobs(sets),
        *_RECIPE.fusion_jobs(f'st_{_IMAGES}'),
        *(
            Evaluation(
                name=f'kaist_{training}',
                config=_KAIST,
                checkpoints={'model.checkpoint': training},
                seconds=25,
                shows=f'Tests {training} in another city.',
            )
            for training in _TRAINED
        ),
    ]


_ONCE = [
    *_RECIPE.once(),
    Evaluation(
        name='fusion_rgb_equal',
        config=_RECIPE.fusion,
        checkpoints={},
        settings={_RECIPE.stream: _RECIPE.weights, 'custom_hooks': []},
        seconds=40,
        shows='The RGB net on both modalities, averaged.',
    ),
    Evaluation(
        name='kaist_rgb',
        config=_KAIST,
        checkpoints={},
        settings={'model.checkpoint': _RECIPE.weights},
        seconds=25,
        shows='The RGB net on thermal in another city.',
    ),
]
_BEFORE = [
    Arm(test='rgb_on_rgb', what='RGB net on visible'),
    Arm(
        test='rgb_on_thermal',
        what='RGB net on thermal, as it is',
        start='copy',
    ),
    Arm(test='zero_shot', what='transfer, RGB head (zero-shot)', start='st'),
]
_ELSEWHERE = [
    replace(_BEFORE[1], test='kaist_rgb'),
    replace(_BEFORE[2], test='kaist_transfer'),
    *(
        replace(arm, test=f'kaist_{arm.start}_{arm.labels}')
        for arm in _RECIPE.labelled_arms(_LABELS)
    ),
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
        path = data_folder() / f'roadscene_rgbt/annotations_{split}.json'
        for image in json.loads(path.read_text())['images']:
            stem = Path(image['file_name']).stem
            found[stem] = (split, image['day_night'])
    return found


def _all_images(path: str) -> str:
    return _splits()[Path(path).stem][1]


def _test_split(path: str) -> str:
    split, time = _splits()[Path(path).stem]
    return time if split == 'test' else ''


def _one_video(path: str) -> str:
    return 'KAIST'


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
            config=_RECIPE.starts['copy'],
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
            config=_RECIPE.starts['copy'],
            arms=[
                *_BEFORE,
                *_RECIPE.labelled_arms(_LABELS),
                _EQUAL[0],
                *_RECIPE.fusion_arms(),
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
        TestSet(
            title='Another city: persons of 134 KAIST frames by day',
            config=_KAIST,
            arms=_ELSEWHERE,
            claims=[
                Claim(
                    *('kaist_transfer', 'kaist_rgb'),
                    'zero-shot > RGB net on thermal',
                ),
                *(
                    Claim(
                        *(f'kaist_st_{number}', f'kaist_copy_{number}'),
                        f'transfer > COCO, {number} labelled',
                    )
                    for number in _LABELS
                ),
            ],
            group=_one_video,
            sheet=('kaist_rgb', 'kaist_transfer', f'kaist_st_{_IMAGES}'),
            block=10,
            classes=_CLASSES[:1],
        ),
    ],
    transfers=['explained'],
    comparison='comparison',
)
