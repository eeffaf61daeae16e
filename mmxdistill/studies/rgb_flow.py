"""Study: a detector of persons in frames teaches optical flow."""

from __future__ import annotations

from pathlib import Path

from mmxdistill.studies.jobs import Job, Step
from mmxdistill.studies.real_jobs import Recipe, data_folder, teacher_step
from mmxdistill.studies.real_pairs import (
    Arm,
    Claim,
    Study,
    TestSet,
    draw_indices,
    make_step,
)

__all__ = ['RGB_FLOW']

_RECIPE = Recipe(
    modality='flow',
    weights='checkpoints/yolox_nano_person.pth',
    transfer='supervision_transfer/'
    'st_yolox-nano_yolox-nano_flow_neck_200_people.py',
    rgb='yolox/yolox_yolox-nano_rgb_copy_40_people.py',
    starts=dict(
        st='yolox/yolox_yolox-nano_flow_st_40_people.py',
        copy='yolox/yolox_yolox-nano_flow_copy_40_people.py',
        random='yolox/yolox_yolox-nano_flow_random_80_people.py',
    ),
    fusion='late_fusion/fusion_yolox-nano_rgb-flow_people.py',
    transfer_seconds=200,
    test_seconds=30,
    train_seconds=dict(st=60, copy=60, random=150),
)
_FRAMES = 313  # labelled frames of the training videos
_LABELS = (20, 80, _FRAMES)


def _data(home: Path, tools: Path) -> list[Step]:
    source = data_folder()
    converters = tools / 'dataset_converters'
    return [
        make_step(
            *('flow', home, 'Flow of the pairs.', 100),
            *(converters / 'encode_flow.py', source / 'mot_flow_pairs/frames'),
            *('data/mot_flow_pairs/flow', '--scale', 8),
            writes='data/mot_flow_pairs/flow',
        ),
        make_step(
            *('videos', home, 'Flow and boxes of the other test videos.', 60),
            *(converters / 'mot.py', source / 'mot_person', 'data/mot_person'),
            *('--test', 'TUD-Campus', 'TUD-Stadtmitte'),
            writes='data/mot_person',
        ),
        teacher_step(home, tools, _RECIPE.weights, 'person'),
    ]


def _jobs(seed: int) -> list[Job]:
    sets = {number: draw_indices(_FRAMES, number, seed) for number in _LABELS}
    return [
        *_RECIPE.transfer_jobs(),
        *_RECIPE.labelled_jobs(sets),
        *_RECIPE.fusion_jobs(f'st_{_FRAMES}'),
    ]


_ARMS = [
    Arm(test='rgb_on_rgb', what='RGB net on RGB (ceiling)'),
    Arm(
        test='rgb_on_flow',
        what='RGB net on flow, as it is',
        start='copy',
    ),
    Arm(test='zero_shot', what='transfer, RGB head (zero-shot)', start='st'),
    *_RECIPE.labelled_arms(_LABELS),
    *_RECIPE.fusion_arms(),
]
_CLAIMS = [
    Claim('zero_shot', 'rgb_on_flow', 'zero-shot > RGB net on flow'),
    *(
        Claim(
            f'test_st_{number}',
            f'test_{start}_{number}',
            f'transfer > {name}, {number} labelled',
        )
        for number in _LABELS
        for start, name in dict(copy='COCO', random='random').items()
    ),
    *(
        Claim(
            *(f'fusion_{name}_fitted', 'rgb_on_rgb'),
            f'RGB + {what}, fitted > RGB',
        )
        for name, what in dict(zero='zero-shot', labelled='labelled').items()
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
    once=_RECIPE.once(),
    tests=[
        TestSet(
            title='Three test videos',
            config=_RECIPE.starts['copy'],
            arms=_ARMS,
            claims=_CLAIMS,
            group=_video,
            block=10,
            classes=('person',),
            sheet=('rgb_on_flow', 'zero_shot', 'test_copy_80', 'test_st_80'),
        )
    ],
    transfers=['explained'],
    comparison='comparison',
)
