"""Report of a study on real pairs: precision, intervals and pictures."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.fileio import load
from mmengine.registry import init_default_scope

from mmxdistill.atomic import atomic_write
from mmxdistill.evaluation.bootstrap import (
    Matches,
    block_weights,
    interval,
    match_coco,
)
from mmxdistill.registry import DATASETS
from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import PREDICTIONS, TABLE, Step
from mmxdistill.studies.real_pairs import Arm, Study, TestSet
from mmxdistill.studies.results import provenance, read_metrics
from mmxdistill.tables import format_table

__all__ = ['Found', 'collect', 'compare', 'write_report']

ALL = 'all'
_ROUNDS = 400
_EXPLAINED = 'transfer/explained_variance_'
_MISSING = 'not run'


@dataclass
class Found:
    """What an arm detects, with one seed.

    Attributes:
        samples: Of ``tools/test.py --out`` with the objects to find, in the
            order of the test; paths are those of the first modality.
        groups: Group of each.
        classes: Number of classes; detections of others do not count.
        pooled: Whether the summary is of all images together, not the mean
            over the groups.
    """

    samples: Sequence[Mapping[str, Any]]
    groups: Sequence[str]
    classes: int
    pooled: bool = False

    def members(self, group: str) -> np.ndarray:
        """Which images a group has; all of them are the group 'all'."""
        names = np.asarray(self.groups)
        return np.ones(len(names), bool) if group == ALL else names == group

    @cached_property
    def matches(self) -> dict[str, list[Matches]]:
        """Group -> matches per class."""
        names = list(dict.fromkeys(self.groups))
        names += [ALL] if self.pooled else []
        return {
            group: match_coco(
                [self.samples[i] for i in np.flatnonzero(self.members(group))],
                self.classes,
            )
            for group in names
        }

    def precision(
        self, weights: np.ndarray | None = None, thresholds: int = 10
    ) -> dict[str, tuple[float, float]]:
        """AP50 and AP in per cent, per group, of weighted images.

        Args:
            weights (np.ndarray, optional): (images,). Defaults to ones.
            thresholds (int): IoU thresholds of AP; 1 if only AP50 is wanted.

        Returns:
            dict[str, tuple[float, float]]: Group -> AP50, AP; means over the
            classes that have objects.
        """
        values = np.ones(len(self.groups)) if weights is None else weights
        found = {}
        for group, classes in self.matches.items():
            mine = values[self.members(group)]
            per_class = np.array(
                [m.precision(mine, thresholds) for m in classes]
            )
            with_objects = ~np.isnan(per_class[:, 0])
            if not with_objects.any():  # of a sample without any
                found[group] = (float('nan'),) * 2
                continue
            mean = 100 * per_class[with_objects].mean(0)
            found[group] = (float(mean[0]), float(mean.mean()))
        return found


def collect(
    test: TestSet, home: Path, seeds: Sequence[int]
) -> dict[str, dict[int, Found]]:
    """Read the predictions that are there.

    Args:
        test (TestSet): Arms and images.
        home (Path): The study's folder.
        seeds (Sequence[int]): To look for.

    Returns:
        dict[str, dict[int, Found]]: Arm -> seed -> what it detects.

    Raises:
        ValueError: Two arms were tested on other images.
    """
    results: dict[str, dict[int, Found]] = {}
    truth = read_truth(test.config)
    for arm in test.arms:
        for seed in seeds:
            folder = home / f'seed_{seed}' / arm.test
            if not (folder / PREDICTIONS).is_file():
                continue
            samples = load(folder / PREDICTIONS)
            images = [_image(sample) for sample in samples]
            if images != [_image(sample) for sample in truth]:
                raise ValueError(
                    f'{folder} was tested on other images than those of '
                    f'{test.config}: run its test again'
                )
            groups = [test.group(sample['img_path']) for sample in truth]
            chosen = [i for i, group in enumerate(groups) if group]
            results.setdefault(arm.test, {})[seed] = Found(
                [{**samples[i], **truth[i]} for i in chosen],
                [groups[i] for i in chosen],
                len(test.classes),
                test.pooled,
            )
    return results


def read_truth(config: str) -> list[dict[str, Any]]:
    """Read the objects of a config's test images.

    Crowds and boxes with ``ignore`` may be found or not, as COCO's evaluation
    has it. (mmdet's data set drops the latter, and who finds one is wrong.)

    Args:
        config (str): Below ``configs/``.

    Returns:
        list[dict]: ``img_path`` of the first modality, ``gt_instances`` and
        ``ignored_instances``, in the order of the test.
    """
    init_default_scope('mmdet')
    cfg = load_config(config).test_dataloader.dataset
    samples = []
    for part in cfg.get('datasets', [cfg]):
        dataset = DATASETS.build({**part, 'check_pairs': False})
        content = json.loads(Path(dataset.ann_file).read_text())
        names = {c['id']: c['name'] for c in content['categories']}
        labels = {n: i for i, n in enumerate(dataset.metainfo['classes'])}
        of_image: dict[int, list[dict]] = {}
        for one in content['annotations']:
            of_image.setdefault(one['image_id'], []).append(one)
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            sample: dict[str, Any] = dict(img_path=info['img_path'])
            known = of_image.get(info['img_id'], [])
            for key, ignored in (('gt', False), ('ignored', True)):
                mine = [
                    one
                    for one in known
                    if names[one['category_id']] in labels
                    and bool(one.get('iscrowd') or one.get('ignore'))
                    == ignored
                ]
                boxes = np.array([one['bbox'] for one in mine], float)
                boxes = boxes.reshape(-1, 4)
                boxes[:, 2:] += boxes[:, :2]
                sample[f'{key}_instances'] = dict(
                    bboxes=boxes,
                    labels=np.array(
                        [labels[names[one['category_id']]] for one in mine],
                        int,
                    ),
                )
            samples.append(sample)
    return samples


def _image(sample: Mapping[str, Any]) -> str:
    """Tell an image by its last folder and name, whatever the modality."""
    path = Path(sample['img_path'])
    return str(Path(path.parent.name, path.stem))


@dataclass(frozen=True)
class Difference:
    """Of two arms, mean over the groups and the seeds, AP50 in per cent.

    Attributes:
        value: On all images.
        groups: Its 95 % interval when groups are drawn.
        images: The same when (blocks of) images are drawn in every group.
    """

    value: float
    groups: tuple[float, float]
    images: tuple[float, float]


def compare(
    better: Mapping[int, Found],
    worse: Mapping[int, Found],
    block: int,
    rounds: int = _ROUNDS,
) -> Difference:
    """Paired bootstrap of the difference of two arms.

    Both see the same samples of the images. An arm with one seed only (no
    training) is compared with every seed of the other.

    Args:
        better (dict[int, Found]): Seed -> detections of the first arm.
        worse (dict[int, Found]): Those of the second.
        block (int): Images in a block.
        rounds (int): Number of samples.

    Returns:
        Difference: First minus second.
    """
    groups = next(iter(better.values())).groups
    samples = block_weights(groups, block, rounds)

    def mean(arm: Mapping[int, Found], weights: Any = None) -> np.ndarray:
        per_seed = [one.precision(weights, 1) for one in arm.values()]
        return np.mean(
            [
                [s[ALL][0]] if ALL in s else [p[0] for p in s.values()]
                for s in per_seed
            ],
            0,
        )

    difference = mean(better) - mean(worse)
    drawn = [
        np.mean(chosen)
        for chosen in itertools.product(difference, repeat=len(difference))
    ]
    resampled = [
        float(np.mean(mean(better, weights) - mean(worse, weights)))
        for weights in samples
    ]
    return Difference(
        float(difference.mean()),
        interval(np.array(drawn)),
        interval(np.array(resampled)),
    )


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and, of several seeds, standard deviation."""
    text = f'{statistics.mean(values):.{digits}f}'
    if len(values) > 1:
        text += f' ± {statistics.stdev(values):.{digits}f}'
    return text


def precision_table(
    test: TestSet, results: Mapping[str, Mapping[int, Found]]
) -> str:
    """Arms and their precision, per group and on average."""
    groups: list[str] = []
    for seeds in results.values():
        groups = list(dict.fromkeys(next(iter(seeds.values())).groups))
    summary = ALL if test.pooled else 'mean'
    columns = groups if len(groups) > 1 else []
    header = ['arm', *(f'{g} AP50' for g in columns)]
    header += [f'{summary} AP50', f'{summary} AP']
    lines = []
    for arm in test.arms:
        seeds = results.get(arm.test, {})
        if not seeds:
            lines.append([arm.what, *[_MISSING] * (len(columns) + 2)])
            continue
        found = [one.precision() for one in seeds.values()]
        lines.append(
            [
                arm.what,
                *(spread([f[group][0] for f in found]) for group in columns),
                *(
                    spread([summarise(f)[which] for f in found])
                    for which in (0, 1)
                ),
            ]
        )
    return format_table(header, lines)


def summarise(
    found: Mapping[str, tuple[float, float]],
) -> tuple[float, float]:
    """AP50 and AP of all images, or the means over the groups."""
    if ALL in found:
        return found[ALL]
    first, second = zip(*found.values(), strict=True)
    return statistics.mean(first), statistics.mean(second)


def claims_table(
    test: TestSet, results: Mapping[str, Mapping[int, Found]]
) -> str:
    """What was expected, and whether it holds."""
    unit = 'images' if test.block == 1 else f'blocks of {test.block} frames'
    header = ['expected', 'difference', f'{unit} drawn', 'holds']
    groups = {g for arm in results.values() for g in arm[min(arm)].groups}
    several = len(groups) > 1 and not test.pooled
    if several:
        header.insert(2, 'groups drawn')
    lines = []
    for claim in test.claims:
        pair = [results.get(name) for name in (claim.better, claim.worse)]
        if not all(pair):
            lines.append([claim.what, *[_MISSING] * (len(header) - 1)])
            continue
        found = compare(pair[0] or {}, pair[1] or {}, test.block)
        low, high = found.images
        intervals = [found.groups, found.images][0 if several else 1 :]
        lines.append(
            [
                claim.what,
                f'{found.value:+.1f}',
                *(f'{a:+.1f} to {b:+.1f}' for a, b in intervals),
                'yes' if low > 0 else 'NO' if high < 0 else 'open',
            ]
        )
    return format_table(header, lines)


def explained_table(study: Study, home: Path, seeds: Sequence[int]) -> str:
    """Explained variance of every transfer point."""
    found: dict[str, list[float]] = {}
    for job in study.transfers:
        for seed in seeds:
            try:
                metrics = read_metrics(home / f'seed_{seed}' / job)
            except FileNotFoundError:
                continue
            for key, value in metrics.items():
                if key.startswith(_EXPLAINED):
                    point = f'{job}: {key.removeprefix(_EXPLAINED)}'
                    found.setdefault(point, []).append(value)
    return format_table(
        ['transfer point', 'explained variance'],
        [[point, spread(values, 3)] for point, values in found.items()],
    )


def write_report(
    study: Study, home: Path, steps: Sequence[Step], seeds: Sequence[int]
) -> Path:
    """Write tables, learning curves and a contact sheet.

    Args:
        study (Study): The study.
        home (Path): Has the results and gets the report.
        steps (Sequence[Step]): Of the study.
        seeds (Sequence[int]): Theirs.

    Returns:
        Path: The report, in Markdown.
    """
    from mmxdistill.studies.real_pictures import draw_curves, draw_sheet

    done = [step for step in steps if step.done.is_file()]
    parts = [
        f'# {study.title}',
        study.head,
        f'Seeds {", ".join(map(str, seeds))}; mean ± standard deviation.',
    ]
    for number, test in enumerate(study.tests):
        results = collect(test, home, seeds)
        if not results:
            continue
        parts += [
            f'## {test.title}',
            precision_table(test, results),
            claims_table(test, results),
        ]
        if any(arm.labels for arm in test.arms):
            which = f'_{number}' if number else ''
            curves = home / f'{study.name}_curves{which}.png'
            draw_curves(test, results).savefig(curves, dpi=120)
            parts.append(f'![Learning curves]({curves.name})')
        if test.sheet:
            sheet = home / f'contact_sheet_{number}.jpg'
            draw_sheet(test, results).savefig(sheet, dpi=110)
    parts += ['## Explained variance', explained_table(study, home, seeds)]
    table = home / f'seed_{seeds[0]}' / study.comparison / TABLE
    if study.comparison and table.is_file():
        parts += ['## Fusions of finished boxes', table.read_text().strip()]
    parts += [
        f'Made: {provenance()}; {len(done)} of {len(steps)} steps are done.'
    ]
    path = home / f'{study.name}.md'
    with atomic_write(path) as file:
        file.write(('\n\n'.join(parts) + '\n').encode())
    return path


def labelled(test: TestSet) -> dict[str, list[Arm]]:
    """Start -> its arms with labels, by their number."""
    starts: dict[str, list[Arm]] = {}
    for arm in test.arms:
        if arm.start:
            starts.setdefault(arm.start, []).append(arm)
    return {
        start: sorted(arms, key=lambda arm: arm.labels)
        for start, arms in starts.items()
    }
