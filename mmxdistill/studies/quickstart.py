"""The quickstart: supervision transfer in generated rooms."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import (
    PREDICTIONS,
    Evaluation,
    Job,
    Step,
    Training,
    make_steps,
)
from mmxdistill.studies.results import (
    Metrics,
    explained_variance,
    provenance,
    read_metrics,
    read_precision,
)
from mmxdistill.studies.rooms import SMOKE_OPTIONS, generate_rooms
from mmxdistill.tables import format_seeds, format_table, write_seeds

__all__ = [
    'DETAILS',
    'FILES',
    'JOBS',
    'REPORT',
    'is_reported',
    'plan',
    'write_report',
]

RGB = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
RANDOM, COPY, ST = (
    f'fast_rcnn/fast_rcnn_caffenet-s_hha_{start}_300_synthetic.py'
    for start in ('random', 'copy', 'st')
)
TRANSFER = (
    'supervision_transfer/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'
)
FUSION = 'late_fusion/fusion_caffenet-s_rgb-hha_synthetic.py'

# What others wait for comes first, and beside it what is independent.
JOBS: tuple[Job, ...] = (
    Training(
        name='rgb',
        config=RGB,
        seconds=390,
        shows='Trains Fast R-CNN on the labelled RGB images: the teacher.',
    ),
    Training(
        name='random',
        config=RANDOM,
        seconds=95,
        shows='Trains Fast R-CNN on the few labelled HHA images from random '
        'weights: what HHA gives without help.',
    ),
    Evaluation(
        name='test_random',
        config=RANDOM,
        tests='random',
        seconds=20,
        shows='Evaluates HHA from random weights.',
    ),
    Training(
        name='transfer',
        config=TRANSFER,
        seconds=290,
        shows='Supervision transfer: an HHA network learns to give the '
        'features of the RGB network, on pairs without labels.',
        checkpoints={'model.teacher_checkpoint': 'rgb'},
    ),
    Evaluation(
        name='test_rgb',
        config=RGB,
        tests='rgb',
        seconds=20,
        shows='Evaluates the RGB detector.',
    ),
    Training(
        name='copy',
        config=COPY,
        seconds=85,
        shows='Trains the HHA detector from a copy of the RGB backbone: the '
        'usual practice without supervision transfer.',
        checkpoints={'model.backbone.init_cfg.checkpoint': 'rgb'},
    ),
    Evaluation(
        name='test_copy',
        config=COPY,
        tests='copy',
        seconds=20,
        shows='Evaluates HHA from copied RGB weights.',
    ),
    Training(
        name='st',
        config=ST,
        seconds=60,
        shows='Trains the HHA detector from the transferred weights.',
        checkpoints={'load_from': 'transfer'},
    ),
    Evaluation(
        name='test_transfer',
        config=TRANSFER,
        tests='transfer',
        predictions=False,
        seconds=15,
        shows="Measures how much of the RGB network's features the HHA "
        'network explains on pairs that it has not seen.',
        checkpoints={'model.teacher_checkpoint': 'rgb'},
    ),
    Evaluation(
        name='test_fusion',
        config=FUSION,
        seconds=20,
        shows='Averages the outputs of the RGB and the transferred HHA '
        'detector and evaluates both together.',
        checkpoints={
            'model.streams.rgb.checkpoint': 'rgb',
            'model.streams.hha.checkpoint': 'st',
        },
    ),
    Evaluation(
        name='test_st',
        config=ST,
        tests='st',
        seconds=20,
        shows='Evaluates HHA from transferred weights.',
    ),
)

# Rows of the table -> the tests of the detectors.
DETECTORS = {
    'RGB': 'test_rgb',
    'HHA, random weights': 'test_random',
    'HHA, copied RGB weights': 'test_copy',
    'HHA, transferred weights': 'test_st',
    'RGB + HHA fused': 'test_fusion',
}
# Detectors of the picture -> the image under their boxes.
PANELS = {
    'RGB': 'rgb',
    'HHA, transferred weights': 'hha',
    'RGB + HHA fused': 'rgb',
}
ORDERS = ('transferred > copied', 'transferred > random', 'fused > single')
FILES = REPORT, TABLE, CURVE, PICTURE = (
    'results.md',
    'results.csv',
    'transfer_curve.png',
    'detections.png',
)
DETAILS = '## Pictures'  # the tables come before
REPORT_TEXT = """\
{head}
AP at IoU 0.5 on the test images; of several seeds, mean and standard
deviation:

{precision}

Do the orders of the paper hold, by mAP? Transferred, copied and random are
the weights from which the HHA detector starts; single is the best detector of
one modality. Explained variance: of the RGB network's features, by the HHA
network on held-out pairs (1: all, 0: only their mean).

{orders}

{details}

![Transfer]({curve})

The loss is the share of the RGB features that the HHA network does not give.

![Detections]({picture})

Detections of the first seed with a score above 0.5, on the test image on which
the fused detector is furthest ahead of the better of the other two, by its
correct minus its wrong detections.

## Commands

Run in {folder}:

{commands}

Made: {made}
"""


def plan(
    home: Path, seeds: Sequence[int], tools: Path, smoke: bool = False
) -> list[Step]:
    """List the steps, in an order in which they can run.

    Args:
        home (Path): Folder for everything but the data.
        seeds (Sequence[int]): Everything but the data is repeated for each.
        tools (Path): Folder of the command lines.
        smoke (bool): Only a few images and iterations. Defaults to False.

    Returns:
        list[Step]: The steps.
    """
    data = generate_rooms(home, tools, smoke)
    steps = [data]
    for seed in seeds:
        options = SMOKE_OPTIONS if smoke else {}
        steps += make_steps(JOBS, home, seed, tools, options, [data])
    return steps


def margins(results: dict[str, Metrics]) -> list[float]:
    """Compute by how much the orders of the paper hold.

    Args:
        results (dict[str, dict[str, float]]): AP of the ``DETECTORS``.

    Returns:
        list[float]: Differences of mAP for ``ORDERS``; an order holds
        above 0.
    """
    *single, fused = (results[name]['mAP'] for name in DETECTORS)
    _, random, copied, transferred = single
    return [transferred - copied, transferred - random, fused - max(single)]


def write_report(
    home: Path, steps: Sequence[Step], seeds: Sequence[int], head: str
) -> None:
    """Write tables and pictures; ``results.md`` comes last.

    Args:
        home (Path): Has the results and gets the report.
        steps (Sequence[Step]): All, done.
        seeds (Sequence[int]): Theirs.
        head (str): First lines of the report.
    """
    homes = {seed: home / f'seed_{seed}' for seed in seeds}
    results = {
        seed: {
            name: read_precision(read_metrics(folder / test))
            for name, test in DETECTORS.items()
        }
        for seed, folder in homes.items()
    }
    orders = []
    for seed, folder in homes.items():
        explained = explained_variance(read_metrics(folder / 'test_transfer'))
        orders.append(
            [
                str(seed),
                *(
                    f'{"yes" if m > 0 else "NO"} ({m:+.1f})'
                    for m in margins(results[seed])
                ),
                f'{explained:.3f}',
            ]
        )
    with _quiet():
        draw_pictures(home, seeds)
    write_seeds(home / TABLE, 'detector', results)
    text = REPORT_TEXT.format(
        head=head,
        precision=format_seeds('AP (%)', results),
        orders=format_table(['Seed', *ORDERS, 'explained variance'], orders),
        details=DETAILS,
        curve=CURVE,
        picture=PICTURE,
        folder=Path.cwd(),
        commands='\n'.join(f'    {step}' for step in steps),
        made=provenance(),
    )
    (home / REPORT).write_text(text, encoding='utf-8')


def is_reported(home: Path, steps: Sequence[Step], head: str) -> bool:
    """Whether the report is that of these steps, all of them done."""
    files = [home / name for name in FILES]
    done = [step.done for step in steps]
    if not all(path.is_file() for path in (*files, *done)):
        return False
    report = home / REPORT
    made = report.stat().st_mtime_ns
    return report.read_text(encoding='utf-8').startswith(head) and all(
        path.stat().st_mtime_ns <= made for path in done
    )


def draw_pictures(home: Path, seeds: Sequence[int]) -> None:
    """Draw the curves of all seeds and the detections of the first."""
    # Slow to import, and not needed to plan.
    import cv2
    from matplotlib.figure import Figure
    from mmengine.fileio import load
    from mmengine.registry import init_default_scope

    from mmxdistill import visualization as vis
    from mmxdistill.registry import DATASETS
    from mmxdistill.studies.comparison import (
        draw_comparison,
        find_telling_image,
    )

    homes = {f'seed {seed}': home / f'seed_{seed}' for seed in seeds}
    figure = Figure((11, 4.2), layout='constrained')
    vis.plot_transfer_curve(
        figure,
        {
            name: vis.read_transfer_history(folder / 'transfer')
            for name, folder in homes.items()
        },
    )
    figure.savefig(home / CURVE, dpi=120)

    init_default_scope('mmdet')
    cfg = load_config(FUSION).test_dataloader.dataset
    dataset = DATASETS.build({**cfg, 'check_pairs': False})
    first = next(iter(homes.values()))
    index, matches = find_telling_image(
        dataset,
        [load(first / DETECTORS[name] / PREDICTIONS) for name in PANELS],
    )
    info = dataset.get_data_info(index)
    image = dataset.pipeline.transforms[0](info)['img']
    path = info['modality_paths']['raw_depth']
    depth = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if depth is None:
        raise FileNotFoundError(f'{path} is not there, or no image')
    figure = Figure((14, 9), layout='compressed')
    draw_comparison(
        figure,
        dict(rgb=image[..., :3], depth=depth, hha=image[..., 3:]),
        info['instances'],
        dict(zip(PANELS.items(), matches, strict=True)),
        dataset.metainfo['classes'],
    )
    figure.savefig(home / PICTURE, dpi=120, bbox_inches='tight')


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries print while they are loaded off the terminal."""
    with (
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield
