"""The rows of the paper's tables: what they run, and what was published.

A row names the config that is tested, per data set. What has to be trained
before follows from the checkpoints that the configs name
(:mod:`~mmxdistill.studies.paper_jobs`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ['CAPTIONS', 'DATA', 'METRICS', 'ROWS', 'SPLITS', 'Row', 'select']

# Data sets, as they are told in the report.
DATA = dict(nyud2='NYUD2', jhmdb='JHMDB', generated='generated rooms')
# Data set, as configs end with -> its splits: the mean over them counts.
SPLITS = dict(jhmdb=(1, 2, 3))
# Metrics of the tables -> their keys in the results of a test.
METRICS = {
    'mAP': 'voc/mAP',
    'AP^r 0.5': 'region/mAPr_50',
    'AP^r 0.7': 'region/mAPr_70',
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the paper.

    Attributes:
        id: Unique, as given to ``--run``.
        table: Its table or section.
        what: What it compares.
        published: Metric -> per cent; None if the number is not at hand.
        configs: Data set -> the config that is tested, below ``configs/``.
    """

    id: str
    table: str
    what: str
    published: Mapping[str, float | None]
    configs: Mapping[str, str]


def _row(
    table: str,
    name: str,
    what: str,
    published: float | tuple[float | None, ...] | None,
    paper: str,
    generated: str = '',
) -> Row:
    values = published if isinstance(published, tuple) else (published,)
    metrics = list(METRICS)[1:] if len(values) > 1 else ['mAP']
    configs = {'jhmdb' if 'jhmdb' in paper else 'nyud2': paper}
    configs['generated'] = generated
    return Row(
        id=name,
        table=table,
        what=what,
        published=dict(zip(metrics, values, strict=True)),
        configs={key: value for key, value in configs.items() if value},
    )


def _rcnn(network: str, start: str, name: str = '40k_nyud2') -> str:
    return f'fast_rcnn/fast_rcnn_{network}_{start}_{name}.py'


def _hha(start: str, network: str = 'caffenet') -> tuple[str, str]:
    """HHA detector from a start: on NYUD2, and in the generated rooms."""
    return (
        _rcnn(network, f'hha_{start}'),
        _rcnn(f'{network}-s', f'hha_{start}', '300_synthetic'),
    )


def _fusion(name: str, generated: str) -> tuple[str, str]:
    return (
        f'late_fusion/fusion_{name}.py',
        f'late_fusion/fusion_{generated}_synthetic.py' if generated else '',
    )


def _regions(
    name: str, generated: str = '', data: str = 'nyud2'
) -> tuple[str, str]:
    folder = 'region_detection/hypercolumn'
    return (
        f'{folder}_{name}_{data}.py',
        f'{folder}_{generated}_synthetic.py' if generated else '',
    )


def _zero_shot(modality: str) -> tuple[str, str]:
    folder = 'zero_shot/zero-shot'
    return (
        f'{folder}_caffenet_{modality}_nyud2-trainval.py',
        f'{folder}_caffenet-s_{modality}_synthetic.py',
    )


_RGB = (
    _rcnn('caffenet', 'rgb'),
    _rcnn('caffenet-s', 'rgb', '2k_synthetic'),
)
_T1, _S41 = 'Table 1 (val)', 'Section 4.1 (val)'
_T2, _T3 = 'Table 2 (val)', 'Table 3 (test)'
_T4, _T5 = 'Table 4 (val)', 'Table 5 (test)'
_T6, _T7 = 'Table 6 (test)', 'Table 7 (JHMDB, mean over 3 splits)'

# Table -> what it compares.
CAPTIONS = {
    _T1: 'Detection by what the HHA network starts from. AlexNet* and VGG* '
    'have been fine-tuned for detection in RGB; "only fc learns" leaves all '
    'layers up to pool5 as they are.',
    _S41: 'Detection with another network, input or loss.',
    _T2: 'Region detection by hyper-columns on frozen detectors. The '
    'published regions are of superpixels; ours are of pixels where there are '
    'none.',
    _T3: 'Region detection, trained on train and val; superpixels as above.',
    _T4: 'Detection by the layer at which AlexNet* taught the HHA network.',
    _T5: 'Zero-shot: detectors of depth that have seen no label of depth.',
    _T6: 'Detection, trained on train and val.',
    _T7: 'Action detection in optical flow.',
}

ROWS: tuple[Row, ...] = (
    _row(
        *(_T1, '1A', 'HHA, random weights', 22.7),
        _rcnn('caffenet', 'hha_random', '100k_nyud2'),
        _rcnn('caffenet-s', 'hha_random', '300_synthetic'),
    ),
    _row(_T1, '1B', 'HHA, copied from RGB', 25.1, *_hha('copy')),
    _row(
        *(_T1, '1C', 'HHA, taught by AlexNet (ImageNet)', 29.7),
        *(_hha('st-imagenet')[0], _hha('st-objects')[1]),
    ),
    _row(_T1, '1D', 'HHA, taught by AlexNet*', 30.5, *_hha('st')),
    _row(
        *(_T1, '2A', 'HHA, copied from RGB, only fc learns', 19.8),
        *_hha('copy-frozen'),
    ),
    _row(
        *(_T1, '2B', 'HHA, taught by AlexNet*, only fc learns', 30.0),
        *_hha('st-frozen'),
    ),
    _row(
        *(_T1, '2C', 'HHA, taught by VGG*, only fc learns', 32.2),
        *_hha('st-vgg16-frozen'),
    ),
    _row(_T1, '2D', 'HHA, taught by VGG*', 33.6, *_hha('st-vgg16')),
    _row(_T1, '3A', 'RGB', 22.3, *_RGB),
    _row(
        *(_T1, '3B', 'RGB + HHA of 1B', 33.8),
        *_fusion('caffenet_rgb-hha_copy_nyud2', 'caffenet-s_rgb-hha_copy'),
    ),
    _row(
        *(_T1, '3C', 'RGB + HHA of 1D', 35.6),
        *_fusion('caffenet_rgb-hha_nyud2', 'caffenet-s_rgb-hha'),
    ),
    _row(
        *(_T1, '3D', 'RGB + HHA of 2D', 37.0),
        *_fusion(
            'caffenet_rgb-hha_st-vgg16_nyud2', 'caffenet-s_rgb-hha_st-vgg16'
        ),
    ),
    _row(
        *(_S41, 'vgg-rgb', 'VGG, RGB', 28.0),
        *(_rcnn('vgg16', 'rgb'), _rcnn('vgg16-s', 'rgb', '2k_synthetic')),
    ),
    _row(
        *(_S41, 'vgg-vgg', 'VGG, HHA, taught by VGG*', 33.5),
        *_hha('st', 'vgg16'),
    ),
    _row(
        *(_S41, 'disparity', 'Three times disparity instead of HHA', 29.2),
        _rcnn('caffenet', 'disparity_st'),
        _rcnn('caffenet-s', 'disparity_st', '300_synthetic'),
    ),
    _row(
        *(_S41, 'sigmoid', 'Thresholded sigmoid loss', None),
        *_hha('st-sigmoid'),
    ),
    _row(
        *(_T2, '2-rgb-fc7', 'RGB, fc7', (26.3, 14.8)),
        *_regions('caffenet_rgb_fc7_200k', 'caffenet-s_rgb_fc7_400'),
    ),
    _row(
        *(_T2, '2-rgb', 'RGB, fc7 + pool2 + conv4', (29.8, 18.3)),
        *_regions('caffenet_rgb_200k', 'caffenet-s_rgb_400'),
    ),
    _row(
        *(_T2, '2-d-fc7', 'HHA, fc7', (28.4, 17.4)),
        *_regions('caffenet_hha_fc7_200k', 'caffenet-s_hha_fc7_400'),
    ),
    _row(
        *(_T2, '2-d', 'HHA, fc7 + pool2 + conv4', (31.5, 19.6)),
        *_regions('caffenet_hha_200k', 'caffenet-s_hha_400'),
    ),
    _row(
        *(_T2, '2-rgb-d', 'RGB + HHA', (None, None)),
        *_regions('caffenet_rgb-hha', 'caffenet-s_rgb-hha'),
    ),
    _row(
        *(_T2, '2-vgg-d', 'RGB (VGG) + HHA', (None, None)),
        *_regions('vgg16-caffenet_rgb-hha'),
    ),
    _row(
        *(_T3, '3-rgb-d', 'RGB + HHA', (40.5, 25.4)),
        *_regions('caffenet_rgb-hha_st-vgg16', data='nyud2-trainval'),
    ),
    _row(
        *(_T3, '3-vgg-d', 'RGB (VGG) + HHA', (42.1, 26.9)),
        *_regions('vgg16-caffenet_rgb-hha_st-vgg16', data='nyud2-trainval'),
    ),
    *(
        _row(
            *(_T4, f'4-{layer}', f'Transfer at {layer.replace("-", " + ")}'),
            *(published, *_hha('st' if layer == 'pool5' else f'st-{layer}')),
        )
        for layer, published in {
            'pool1': 24.4,
            'pool2': 28.4,
            'conv3': 30.6,
            'conv4': 29.9,
            'pool5': 30.5,
            'fc6': 29.7,
            'fc7': 27.7,
            'conv3-fc7': 31.3,
        }.items()
    ),
    _row(_T5, '5-rgb', 'RGB, zero-shot', 33.0, *_zero_shot('rgb')),
    _row(_T5, '5-d', 'HHA, zero-shot', 30.4, *_zero_shot('hha')),
    _row(
        *(_T5, '5-rgb-d', 'RGB + HHA, zero-shot', 37.6),
        *_fusion(
            'caffenet_rgb-hha_zero-shot_nyud2-trainval',
            'caffenet-s_rgb-hha_zero-shot',
        ),
    ),
    *(
        _row(_T6, f'6-{name}', what, published, config)
        for name, what, published, config in (
            (
                *('rgb', 'RGB', 27.8),
                _rcnn('caffenet', 'rgb', '40k_nyud2-trainval'),
            ),
            (
                *('vgg-rgb', 'RGB (VGG)', 38.8),
                _rcnn('vgg16', 'rgb', '40k_nyud2-trainval'),
            ),
            (
                *('d-copy', 'HHA, copied from RGB', None),
                _rcnn('caffenet', 'hha_copy', '40k_nyud2-trainval'),
            ),
            (
                *('d', 'HHA, taught by VGG*', 41.7),
                _rcnn('caffenet', 'hha_st-vgg16', '40k_nyud2-trainval'),
            ),
            (
                *('rgb-d-copy', 'RGB + HHA, copied from RGB', None),
                'late_fusion/fusion_caffenet_rgb-hha_copy_nyud2-trainval.py',
            ),
            (
                *('rgb-d', 'RGB + HHA', 47.1),
                'late_fusion/fusion_caffenet_rgb-hha_st-vgg16_nyud2-trainval.py',
            ),
            (
                *('vgg-d', 'RGB (VGG) + HHA', 49.1),
                'late_fusion/fusion_vgg16-caffenet_rgb-hha_st-vgg16_'
                'nyud2-trainval.py',
            ),
        )
    ),
    _row(_T7, '7-rgb', 'RGB', None, _rcnn('caffenet', 'rgb', '40k_jhmdb')),
    _row(
        *(_T7, '7-random', 'Flow, random weights', 31.7),
        _rcnn('caffenet', 'flow_random', '100k_jhmdb'),
    ),
    _row(
        *(_T7, '7-supervised', 'Flow, supervised pre-training', 38.4),
        _rcnn('caffenet', 'flow_supervised', '40k_jhmdb'),
    ),
    _row(
        *(_T7, '7-transfer', 'Flow, taught by RGB', 35.7),
        _rcnn('caffenet', 'flow_st', '40k_jhmdb'),
    ),
)


def select(names: Sequence[str]) -> list[Row]:
    """Find rows by their ids.

    Args:
        names (Sequence[str]): Ids; none are all rows.

    Raises:
        ValueError: There is no such row.
    """
    known = {row.id: row for row in ROWS}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f'no row {unknown}; the rows are {list(known)}')
    return [known[name] for name in dict.fromkeys(names)] or list(ROWS)
