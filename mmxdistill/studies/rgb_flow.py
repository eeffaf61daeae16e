"""Study: a detector of persons in frames teaches optical flow."""

from __future__ import annotations

import os
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

__all__ = ['RGB_FLOW']

_TRANSFER = (
    'supervision_transfer/st_yolox-nano_yolox-nano_flow_neck_200_people.py'
)
_RGB = 'yolox/yolox_yolox-nano_rgb_copy_40_people.py'
_FUSION = 'late_fusion/fusion_yolox-nano_rgb-flow_people.py'
_STARTS = dict(
    random='yolox/yolox_yolox-nano_flow_random_80_people.py',
    copy='yolox/yolox_yolox-nano_flow_copy_40_people.py',
    st='yolox/yolox_yolox-nano_flow_st_40_people.py',
)
_NAMES = dict(random='random', copy='COCO', st='transfer')
_WEIGHTS = 'checkpoints/yolox_nano_person.pth'
_FRAMES = 313  # labelled frames of the training videos
_LABELS = (20, 80, _FRAMES)
# Those of PETS09-S2L1, whose camera does not move, as those of the tests.
_STATIC, _STATIC_FRAMES = 'static', list(range(180, _FRAMES))
_STREAM = 'model.streams.flow.checkpoint'
_INDICES = 'train_dataloader.dataset.indices'


def _data(home: Path, tools: Path) -> list[Step]:
    source = Path(os.environ.get('MMXDISTILL_DATA', 'data'))
    converters = tools / 'dataset_converters'
    return [
        make_step(
            *('flow', home, 'Flow of the pairs.', 100),
            *(converters / 'encode_flow.py', source / 'mot_flow_pairs/frames'),
            *('data/mot_flow_pairs/flow', '--scale', 8),
        ),
        make_step(
            *('videos', home, 'Flow and boxes of the other test videos.', 60),
            *(converters / 'mot.py', source / 'mot_person', 'data/mot_person'),
            *('--test', 'TUD-Campus', 'TUD-Stadtmitte'),
        ),
        make_step(
            *('teacher', home, 'The persons of the COCO detector.', 20),
            tools / 'model_converters' / 'select_classes.py',
            'mmdet::yolox/yolox_nano_8xb8-300e_coco.py',
            source / 'weights/yolox_nano_coco/yolox_nano_mmdet.pth',
            *(_WEIGHTS, '--classes', 'person'),
        ),
    ]


def _jobs(seed: int) -> list[Job]:
    jobs: list[Job] = [
        Training(
            name='transfer',
            config=_TRANSFER,
            seconds=200,
            shows='Supervision transfer: no label of flow is used.',
        ),
        Evaluation(
            name='zero_shot',
            config=_STARTS['st'],
            tests='transfer',
            seconds=30,
            shows='Tests the student under the head for RGB.',
        ),
        Evaluation(
            name='explained',
            config=_TRANSFER,
            tests='transfer',
            predictions=False,
            seconds=20,
            shows='Explained variance on the pairs of MOT16-09.',
        ),
    ]
    sets: dict[Any, list[int]] = {
        n: draw_indices(_FRAMES, n, seed) for n in _LABELS
    }
    sets[_STATIC] = _STATIC_FRAMES
    for number, indices in sets.items():
        for start in ('st', 'copy', 'random'):
            name = f'{start}_{number}'
            jobs += [
                Training(
                    name=name,
                    config=_STARTS[start],
                    seconds=150 if start == 'random' else 60,
                    shows=f'{_NAMES[start]} + {number} labelled flow images.',
                    checkpoints=(
                        dict(load_from='transfer') if start == 'st' else {}
                    ),
                    settings={_INDICES: indices},
                ),
                Evaluation(
                    name=f'test_{name}',
                    config=_STARTS[start],
                    tests=name,
                    seconds=30,
                    shows=f'Tests {name}.',
                ),
            ]
    for name, stream in dict(
        zero='transfer', labelled=f'st_{_FRAMES}'
    ).items():
        equal: dict[str, Any] = dict(custom_hooks=[])
        for kind, chosen in dict(equal=equal, fitted={}).items():
            jobs.append(
                Evaluation(
                    name=f'fusion_{name}_{kind}',
                    config=_FUSION,
                    checkpoints={_STREAM: stream},
                    settings=chosen,
                    seconds=60,
                    shows=f'RGB + flow ({stream}), {kind} weights.',
                )
            )
        if seed == 0:
            jobs.append(
                Comparison(
                    name=f'comparison_{name}',
                    config=_FUSION,
                    checkpoints={_STREAM: stream},
                    seconds=60,
                    shows='Box-level fusions beside it.',
                )
            )
    return jobs


_ONCE = [
    Evaluation(
        name='rgb_on_rgb',
        config=_RGB,
        weights=_WEIGHTS,
        seconds=30,
        shows='The teacher on frames: the ceiling.',
    ),
    Evaluation(
        name='rgb_on_flow',
        config=_STARTS['copy'],
        weights=_WEIGHTS,
        seconds=30,
        shows='The teacher on flow images, as it is.',
    ),
]
_ARMS = [
    Arm(test='rgb_on_rgb', what='RGB net on RGB (ceiling)'),
    Arm(test='rgb_on_flow', what='RGB net on flow, as it is'),
    Arm(test='zero_shot', what='transfer, RGB head (zero-shot)', start='st'),
    *(
        Arm(
            test=f'test_{start}_{number}',
            what=f'{_NAMES[start]} + {number} labelled',
            start=start,
            labels=number,
        )
        for number in _LABELS
        for start in ('random', 'copy', 'st')
    ),
    *(
        Arm(
            test=f'test_{start}_{_STATIC}',
            what=f'{_NAMES[start]} + the 133 of the static camera',
        )
        for start in ('copy', 'st')
    ),
    Arm(test='fusion_zero_equal', what='RGB + zero-shot, equal weights'),
    Arm(test='fusion_zero_fitted', what='RGB + zero-shot, fitted weights'),
    Arm(test='fusion_labelled_equal', what='RGB + labelled, equal weights'),
    Arm(test='fusion_labelled_fitted', what='RGB + labelled, fitted weights'),
]
_CLAIMS = [
    Claim('zero_shot', 'rgb_on_flow', 'zero-shot > RGB net on flow'),
    *(
        Claim(
            f'test_st_{number}',
            f'test_{start}_{number}',
            f'transfer > {_NAMES[start]}, {number} labelled',
        )
        for number in _LABELS
        for start in ('copy', 'random')
    ),
    Claim(
        *('fusion_zero_fitted', 'rgb_on_rgb'), 'RGB + zero-shot, fitted > RGB'
    ),
    Claim(
        *('fusion_labelled_fitted', 'rgb_on_rgb'),
        'RGB + labelled, fitted > RGB',
    ),
]


def _video(path: str) -> str:
    return Path(path).parent.name


RGB_FLOW = Study(
    name='rgb_flow',
    title='Persons: RGB teaches optical flow',
    head="""\
The COCO detector YOLOX-nano sees frames of two training videos (MOT16-11,
PETS09-S2L1: 313 pairs) and teaches a copy of itself to see their optical flow,
at the three outputs of its neck, without labels. Tests are three other videos.
""",
    data=_data,
    jobs=_jobs,
    once=_ONCE,
    tests=[
        TestSet(
            title='Three test videos',
            config=_STARTS['copy'],
            arms=_ARMS,
            claims=_CLAIMS,
            group=_video,
            block=10,
            classes=('person',),
            sheet=('rgb_on_flow', 'zero_shot', 'test_copy_80', 'test_st_80'),
        )
    ],
    transfers=['explained'],
    comparison='comparison_zero',
)
