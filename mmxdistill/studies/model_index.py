"""The model index: what each config trains, and what is known of it.

Everything in it is read: networks, modalities and iterations from the
configs, the published numbers from the rows of the paper, ours from the
tables in ``docs/results``. What these do not have is missing there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mmxdistill.studies.configs import load_config
from mmxdistill.studies.paper import ROWS
from mmxdistill.studies.paper_jobs import trainings_of
from mmxdistill.tables import format_table

__all__ = ['Model', 'collect_models', 'index_files']

PAPER = dict(
    Title='Cross Modal Distillation for Supervision Transfer',
    URL='https://arxiv.org/abs/1507.00448',
)
# Folder below configs/ -> its name, and what stands above its table.
METHODS = dict(
    supervision_transfer=(
        'Supervision transfer',
        'A student of another modality learns the features of a frozen RGB\n'
        'teacher on pairs without labels ([how](../../docs/transfer.md)).\n'
        'Ours: explained variance of the features on held-out pairs.',
    ),
    fast_rcnn=(
        'Fast R-CNN',
        'Detectors of one modality, as in the released code\n'
        '([how](../../docs/fast_rcnn.md)). Published and ours: AP at IoU 0.5\n'
        'in per cent, mean over the classes.',
    ),
    late_fusion=(
        'Late fusion',
        'Detectors of several modalities that score the same boxes\n'
        '([how](../../docs/fusion.md)). Published and ours: AP at IoU 0.5 in\n'
        'per cent, mean over the classes.',
    ),
    region_detection=(
        'Region detection',
        'The pixels of each object, on a detector\n'
        '([how](../../docs/region_detection.md)). Published and ours: AP^r\n'
        'at IoU 0.5 in per cent, mean over the classes.',
    ),
    yolox=(
        'YOLOX',
        "Detectors of one modality of the studies on real pairs, mmdet's\n"
        'YOLOX ([how](../../docs/real_data.md#a-real-detector-as-teacher)).',
    ),
    zero_shot=(
        'Zero-shot assembly',
        'A transferred student below an RGB detector, for its classes\n'
        '([how](../../docs/fusion.md#zero-shot-assembly)). Published and\n'
        'ours: AP at IoU 0.5 in per cent, mean over the classes.',
    ),
)
DATA = dict(
    jhmdb='JHMDB',
    kaist='KAIST',
    kitchen='7-Scenes kitchen',
    nyud2='NYUD2',
    roadscene='RoadScene',
    sunrgbd='SUN RGB-D',
    synthetic='generated rooms',
    ucf101='UCF101',
)
STARTS = dict(
    random='none: random weights', copy='none: copied from RGB', rgb='none'
)
# Page -> heading -> label of a row -> the config that is tested. The reports
# of the paper's rows need no such list: they name the rows.
PAGES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    'real_data.md': {
        heading: {
            'RGB': f'fast_rcnn/fast_rcnn_squeezenet_rgb_600_{data}.py',
            **{
                f'{learns}, {label} weights': 'fast_rcnn/fast_rcnn_'
                f'squeezenet_{learns.lower()}_{start}_600_{data}.py'
                for start, label in dict(
                    random='random', copy='copied ImageNet', st='transferred'
                ).items()
            },
            **{
                f'RGB + {learns}, {label}': 'late_fusion/fusion_squeezenet_'
                f'rgb-{learns.lower()}_{weights}{data}.py'
                for weights, label in {
                    '': 'transferred',
                    'fitted_': 'fitted weights',
                }.items()
            },
            'explained: fire9': 'supervision_transfer/st_squeezenet_'
            f'squeezenet_{learns.lower()}_fire9_600_{data}.py',
        }
        for heading, learns, data in (
            ('Kitchen: RGB and HHA', 'HHA', 'kitchen'),
            ('Road scenes: RGB and thermal', 'thermal', 'roadscene'),
        )
    },
    'synthetic_rgbd.md': {
        'Generated rooms': {
            'RGB': 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py',
            **{
                f'HHA, {label} weights': 'fast_rcnn/fast_rcnn_caffenet-s_hha_'
                f'{start}_300_synthetic.py'
                for start, label in dict(
                    random='random', copy='copied RGB', st='transferred'
                ).items()
            },
            'RGB + HHA fused': 'late_fusion/fusion_caffenet-s_rgb-hha_'
            'synthetic.py',
        },
    },
}
MISSING = 'missing'
_HEADER = [
    *('teacher', 'student', 'modality', 'points', 'iterations'),
    *('images/s', 'published', 'ours', 'config'),
]
_INTRO = """\
<!-- Written by tools/dev/model_index.py; change what it reads. -->

# {title}

{text}

Teacher, student, points: of the transfer that a model starts from. Images/s:
of its training, on the machine that [the results](../../docs/results) name.
Published: of [the paper]({url}). `missing`: no
table of the generated rooms, the kitchen or the road scenes has this figure
(studies with arms of their own, such as
[persons in flow](../../docs/results/rgb_flow.md), are not looked into); `-`:
there is none.
"""


@dataclass(kw_only=True)
class Model:
    """A config, and what is known of it.

    Attributes:
        config: Its path below ``configs/``.
        teacher: Network that taught, or how the weights begin.
        student: Network, or networks of the streams.
        modality: What it reads.
        points: Transfer points.
        iterations: Of its own training.
        data: Data set that it is trained and tested on.
        published: Metric in the paper, as text.
        ours: Metric here, as text, ``'missing'`` if no table has it.
        speed: Images a second of the training, likewise.
    """

    config: str
    teacher: str
    student: str
    modality: str
    points: str = '-'
    iterations: str = '-'
    data: str = ''
    published: str = '-'
    ours: str = MISSING
    speed: str = '-'

    @property
    def method(self) -> str:
        """Folder below ``configs/``."""
        return self.config.split('/')[0]


@dataclass
class _Measured:
    """What the results say.

    Attributes:
        ours: Config that is tested -> metric.
        explained: Config of a transfer -> explained variance.
        speed: Config that is trained -> images a second.
    """

    ours: dict[str, str] = field(default_factory=dict)
    explained: dict[str, str] = field(default_factory=dict)
    speed: dict[str, str] = field(default_factory=dict)


def collect_models(root: Path) -> list[Model]:
    """Describe all configs of a checkout.

    Args:
        root (Path): Has ``configs`` and ``docs/results``.

    Returns:
        list[Model]: One for each config that is no base, sorted.
    """
    measured = _read_results(root / 'docs' / 'results')
    configs = [
        path.relative_to(root / 'configs').as_posix()
        for path in (root / 'configs').glob('[a-z]*/*.py')
    ]
    return [_describe(config, measured) for config in sorted(configs)]


def _describe(config: str, measured: _Measured) -> Model:
    cfg = load_config(config)
    parts = Path(config).stem.removeprefix('fast_rcnn_').split('_')
    if not config.startswith('fast_rcnn/'):
        parts = parts[1:]  # st, fusion, hypercolumn
    data, _, split = parts[-1].partition('-')
    model = Model(
        config=config,
        teacher='none',
        student=parts[0],
        modality=parts[1],
        data=DATA.get(data, data) + (f' ({split})' if split else ''),
        published=_published(config),
        ours=measured.ours.get(config, MISSING),
    )
    if 'streams' in cfg.model:
        model.student = parts[0].replace('-caffenet', ' + caffenet')
        model.modality = ' + '.join(cfg.model.streams)
    else:
        steps = cfg.train_cfg.get('max_iters')
        epochs = cfg.train_cfg.get('max_epochs')
        model.iterations = str(steps or f'{epochs} epochs')
        model.speed = measured.speed.get(config, MISSING)
        model.teacher = STARTS.get(parts[2].split('-')[0], 'none')
    if 'transfer_points' in cfg.model:
        model.teacher, model.student, model.modality = parts[:3]
        model.points = _points(config)
        model.ours = measured.explained.get(config, MISSING)
    elif found := [
        training
        for training in trainings_of(config)
        if 'transfer_points' in load_config(training).model
    ]:
        # The last: those before taught the teacher.
        model.points = _points(found[-1])
        model.teacher = Path(found[-1]).stem.split('_')[1]
    return model


def _points(config: str) -> str:
    points = load_config(config).model.transfer_points
    text = ' + '.join(
        dict.fromkeys(f'{point.student}'.split('.')[-1] for point in points)
    )
    loss = points[0].get('loss', {}).get('type', '')
    return f'{text} (sigmoid)' if 'Sigmoid' in loss else text


def _published(config: str) -> str:
    """The first number of the paper's row that tests a config."""
    for row in ROWS:
        paper = [c for data, c in row.configs.items() if data != 'generated']
        if config in paper:
            value = next(iter(row.published.values()))
            return 'not at hand' if value is None else f'{value:.1f}'
    return '-'


def _read_results(folder: Path) -> _Measured:
    """Read the tables of the pages in ``docs/results``."""
    measured = _Measured()
    rows = {row.id: row for row in ROWS}
    names = {'generated rooms': 'generated', 'NYUD2': 'nyud2'}
    for page in sorted(folder.glob('*.md')):
        for heading, header, cells in _table_rows(page.read_text('utf-8')):
            line = dict(zip(header, cells, strict=False))
            label = PAGES.get(page.name, {}).get(heading, {}).get(cells[0])
            if label:
                for column in line.keys() & {'mAP', 'all AP50'}:
                    measured.ours.setdefault(label, line[column])
                if 'explained variance' in line:
                    measured.explained[label] = line['explained variance']
            if not {'row', 'ours', 'data set'} <= line.keys():
                continue
            row = rows.get(line['row'])
            data = names.get(line['data set'], 'jhmdb')
            if row and data in row.configs and line['ours'][:1].isdigit():
                _take(line, row.configs[data], measured)
    return measured


def _take(line: Mapping[str, str], config: str, measured: _Measured) -> None:
    """Note what a row of a report says of its config and its trainings."""
    measured.ours.setdefault(config, line['ours'])
    trainings = trainings_of(config)
    speeds = line.get('images/s', '').split(' / ')
    if len(speeds) == len(trainings):
        measured.speed.update(
            (training, speed)
            for training, speed in zip(trainings, speeds, strict=True)
            if speed not in ('', '-')
        )
    transfers = [
        training
        for training in trainings
        if 'transfer_points' in load_config(training).model
    ]
    if len(transfers) == 1 and line.get('explained variance'):
        measured.explained[transfers[0]] = line['explained variance']


def _table_rows(text: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Heading, header and cells of each row of the tables of a page."""
    heading = ''
    header: list[str] = []
    for line in text.splitlines():
        if line.startswith('#'):
            heading = line.lstrip('# ')
        cells = [cell.strip() for cell in line.strip('| ').split('|')]
        if not line.startswith('|'):
            header = []
        elif not header:
            header = cells
        elif not re.fullmatch(r'[-: ]*', ''.join(cells)):
            yield heading, header, cells


def index_files(models: Sequence[Model]) -> dict[str, str]:
    """Write the index.

    Args:
        models (Sequence[Model]): All of them.

    Returns:
        dict[str, str]: Path below the checkout -> content of
        ``model-index.yml`` and, for each method, ``metafile.yml`` and
        ``README.md``.
    """
    methods = list(dict.fromkeys(model.method for model in models))
    files = {}
    for method in methods:
        mine = [model for model in models if model.method == method]
        folder = f'configs/{method}'
        files[f'{folder}/metafile.yml'] = _metafile(method, mine)
        files[f'{folder}/README.md'] = _readme(method, mine)
    files['model-index.yml'] = _dump(
        dict(Import=[name for name in files if name.endswith('.yml')])
    )
    return files


def _title(method: str) -> tuple[str, str]:
    title = method.replace('_', ' ').capitalize()
    return METHODS.get(method, (title, f'Configs of {title.lower()}.'))


def _metafile(method: str, models: Sequence[Model]) -> str:
    title = _title(method)[0]
    collection = dict(
        Name=title, Paper=PAPER, README=f'configs/{method}/README.md'
    )
    return _dump(
        dict(
            Collections=[collection],
            Models=[_entry(title, model) for model in models],
        )
    )


def _entry(collection: str, model: Model) -> dict[str, Any]:
    entry: dict[str, Any] = {
        'Name': Path(model.config).stem,
        'In Collection': collection,
        'Config': f'configs/{model.config}',
        'Metadata': {
            'Teacher': model.teacher,
            'Student': model.student,
            'Modality': model.modality,
            'Transfer Points': model.points,
            'Iterations': model.iterations,
            'Training Data': model.data,
        },
    }
    values = dict(ours=model.ours, published=model.published)
    metrics = {
        f'{_metric(model)} ({name})': value
        for name, value in values.items()
        if re.match(r'\d|\w+ \d', value)
    }
    if metrics:
        task = 'Object Detection'
        if model.method == 'supervision_transfer':
            task = 'Feature Transfer'
        entry['Results'] = [
            dict(Task=task, Dataset=model.data, Metrics=metrics)
        ]
    return entry


def _metric(model: Model) -> str:
    names = dict(
        supervision_transfer='explained variance',
        region_detection='AP^r at IoU 0.5',
    )
    return names.get(model.method, 'AP at IoU 0.5')


def _readme(method: str, models: Sequence[Model]) -> str:
    title, text = _title(method)
    page = _INTRO.format(title=title, text=text, url=PAPER['URL'])
    for data in dict.fromkeys(model.data for model in models):
        lines = [
            [
                *(model.teacher, model.student, model.modality),
                *(model.points, model.iterations, model.speed),
                *(model.published, model.ours),
                f'[`{Path(model.config).stem}`]({Path(model.config).name})',
            ]
            for model in models
            if model.data == data
        ]
        page += f'\n## {data[:1].upper()}{data[1:]}\n\n'
        page += f'{format_table(_HEADER, lines)}\n'
    return page


def _dump(content: Any) -> str:
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    return f'# Written by tools/dev/model_index.py.\n{text}'
