"""Tables and pictures of the quickstart's results."""

import json
import os
import platform
import re
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import date
from importlib.metadata import version
from io import StringIO
from pathlib import Path

from mmengine.config import Config
from quickstart_run import Step

from mmxdistill import config_path

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
PREDICTIONS = 'predictions.pkl'
TEST_LOG = '*/*.json'  # <work dir>/<time>/<time>.json
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

Metrics = dict[str, float]


def is_test(step: Step) -> bool:
    """Whether a step evaluates a model."""
    return TEST_LOG in step.results


def read_metrics(step: Step) -> Metrics:
    """Read the numbers of a test."""
    return json.loads(max(step.folder.glob(TEST_LOG)).read_text())


def outcome(step: Step) -> str:
    """Tell the main number of a test."""
    if not is_test(step):
        return ''
    metrics = read_metrics(step)
    if 'voc/mAP' in metrics:
        return f': mAP {100 * metrics["voc/mAP"]:.1f} %'
    return f': explained variance {explained_variance(metrics):.3f}'


def explained_variance(metrics: Metrics) -> float:
    """Pick the explained variance of the transfer."""
    return next(v for k, v in metrics.items() if 'explained_variance' in k)


def read_precision(metrics: Metrics) -> Metrics:
    """Pick AP in per cent: per class, then the mean."""
    found = {
        key.removeprefix('voc/').removeprefix('AP_'): 100 * value
        for key, value in metrics.items()
        if key.startswith('voc/')
    }
    mean = found.pop('mAP')
    return {**found, 'mAP': mean}


def margins(results: dict[str, Metrics]) -> list[float]:
    """Compute by how much the orders of the paper hold.

    Args:
        results: AP of the ``DETECTORS``.

    Returns:
        Differences of mAP for ``ORDERS``; an order holds above 0.
    """
    *single, fused = (results[name]['mAP'] for name in DETECTORS)
    _, random, copied, transferred = single
    return [transferred - copied, transferred - random, fused - max(single)]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what libraries print while they are loaded off the terminal."""
    with (
        redirect_stdout(StringIO()),
        redirect_stderr(StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield


def draw_pictures(work_dir: Path, seeds: Sequence[int], config: str) -> None:
    """Draw the curves of all seeds and the detections of the first."""
    # Slow to import, and not needed to print finished results.
    import cv2
    from matplotlib.figure import Figure
    from mmengine.fileio import load
    from mmengine.registry import init_default_scope

    from mmxdistill import visualization as vis
    from mmxdistill.registry import DATASETS

    homes = {f'seed {seed}': work_dir / f'seed_{seed}' for seed in seeds}
    figure = Figure((11, 4.2), layout='constrained')
    vis.plot_transfer_curve(
        figure,
        {
            name: vis.read_transfer_history(home / 'transfer')
            for name, home in homes.items()
        },
    )
    figure.savefig(work_dir / CURVE, dpi=120)

    init_default_scope('mmdet')
    cfg = Config.fromfile(config_path(config)).test_dataloader.dataset
    dataset = DATASETS.build({**cfg, 'check_pairs': False})
    home = next(iter(homes.values()))
    index, matches = vis.find_telling_image(
        dataset,
        [load(home / DETECTORS[name] / PREDICTIONS) for name in PANELS],
    )
    info = dataset.get_data_info(index)
    image = dataset.pipeline.transforms[0](info)['img']
    depth = cv2.imread(
        info['modality_paths']['raw_depth'], cv2.IMREAD_UNCHANGED
    )
    figure = Figure((14, 9), layout='compressed')
    vis.draw_comparison(
        figure,
        dict(rgb=image[..., :3], depth=depth, hha=image[..., 3:]),
        info['instances'],
        dict(zip(PANELS.items(), matches, strict=True)),
        dataset.metainfo['classes'],
    )
    figure.savefig(work_dir / PICTURE, dpi=120, bbox_inches='tight')


def write_report(
    work_dir: Path,
    steps: Sequence[Step],
    seeds: Sequence[int],
    head: str,
    config: str,
) -> None:
    """Write tables and pictures; ``results.md`` comes last.

    Args:
        work_dir: Has the results and gets the report.
        steps: All, finished.
        seeds: Theirs.
        head: First lines of the report.
        config: Of the fusion, below ``configs/``; has the test images.
    """
    metrics = {s.name: read_metrics(s) for s in steps if is_test(s)}
    results = {
        seed: {
            name: read_precision(metrics[f'seed_{seed}/{test}'])
            for name, test in DETECTORS.items()
        }
        for seed in seeds
    }
    orders = [
        [
            str(seed),
            *(
                f'{"yes" if m > 0 else "NO"} ({m:+.1f})'
                for m in margins(found)
            ),
            f'{explained_variance(metrics[f"seed_{seed}/test_transfer"]):.3f}',
        ]
        for seed, found in results.items()
    ]
    with quiet():
        from mmxdistill.visualization import (
            format_seeds,
            format_table,
            write_seeds,
        )

        draw_pictures(work_dir, seeds, config)
    write_seeds(work_dir / TABLE, 'detector', results)
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
    (work_dir / REPORT).write_text(text, encoding='utf-8')


def provenance() -> str:
    """Say with what the numbers were made."""
    folder = str(Path(__file__).parent)
    git = ['git', '-C', folder, 'describe', '--always', '--dirty']
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    commit = found.stdout.strip() or 'unknown'
    cpu = platform.machine()
    info = Path('/proc/cpuinfo')
    if info.is_file() and (
        model := re.search(r'model name\s*: (.*)', info.read_text())
    ):
        cpu = model[1]
    return (
        f'{date.today()}, commit {commit}, PyTorch {version("torch")}, '
        f'{os.cpu_count()} cores of {cpu}'
    )


def is_current(work_dir: Path, steps: Sequence[Step], head: str) -> bool:
    """Whether everything is finished and reported."""
    return (
        all(step.finished() for step in steps)
        and all((work_dir / name).is_file() for name in FILES)
        and (work_dir / REPORT).read_text(encoding='utf-8').startswith(head)
    )
