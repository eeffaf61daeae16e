"""The first step of studies in generated rooms: their data."""

from __future__ import annotations

import json
from pathlib import Path

from mmxdistill.studies.configs import load_config
from mmxdistill.studies.jobs import Step, tool
from mmxdistill.synthetic.writer import MANIFEST, VERSION

__all__ = ['SMOKE_OPTIONS', 'generate_rooms']

FRAMES = dict(rgb=800, pairs=800, train=50, test=150)
SMOKE_FRAMES = dict(rgb=16, pairs=16, train=8, test=8)
# Of the trainings of a smoke run.
SMOKE_OPTIONS = {
    'train_cfg.max_iters': 4,
    'train_cfg.val_interval': 2,
    'default_hooks.logger.interval': 1,
}


def generate_rooms(home: Path, tools: Path, smoke: bool = False) -> Step:
    """Build the step that generates the rooms.

    Args:
        home (Path): The study's folder.
        tools (Path): Folder of the command lines.
        smoke (bool): Only a few images. Defaults to False.

    Returns:
        Step: The step; it is run anew if the data are not there.
    """
    cfg = load_config('_base_/datasets/synthetic_rgbd_pairs.py')
    data_root = Path(cfg.data_root)
    frames = SMOKE_FRAMES if smoke else FRAMES
    sizes = [f'{split}={number}' for split, number in frames.items()]
    generator = tools / 'dataset_converters' / 'make_synthetic_rgbd.py'
    command = tool(generator, data_root, '--num', *sizes)
    data = Step(
        name='data',
        shows='Generates rooms: labelled RGB images, unlabelled RGB-D pairs, '
        'a few labelled depth images, and test images.',
        command=command,
        home=home,
        seconds=110,
        settings=dict(arguments=command[1:], version=VERSION),
    )
    manifest = data_root / MANIFEST
    if (
        not manifest.is_file()
        or json.loads(manifest.read_text()).get('sizes') != frames
    ):
        # The generator adds what is missing, and refuses what is different.
        data.done.unlink(missing_ok=True)
    return data
