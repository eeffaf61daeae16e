"""Every config takes one step of training and tests one image.

The networks are those of the configs at a sixteenth of their width, on small
images in the layout of each data set. A config starts from what the configs
before it leave: the transfer from the detector that teaches, the detector
from the student, late fusion from both.
"""

import gc
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from tiny_data import SIZE, write_all

from mmxdistill import config_path
from mmxdistill.models.networks import resolve_network
from mmxdistill.registry import MODELS

# Several runners in one process share what mmengine keeps by name.
pytestmark = pytest.mark.filterwarnings('ignore:.*has been created')

CONFIGS = Path(config_path('_base_/default_runtime.py')).parents[1]
LEAVES = {
    path.stem: path
    for path in sorted(CONFIGS.rglob('*.py'))
    if '_base_' not in path.parts
}
WIDTHS = {
    'channels',
    'in_channels',
    'out_channels',
    'fc_channels',
    'fc7_channels',
}
CHANNELS = {
    'mmxdistill.CaffeNet': (96, 256, 384, 384, 256),
    'mmxdistill.VGG16': (64, 128, 256, 512, 512),
}
# Converted from Caffe: backbone, fc6 and fc7.
CONVERTED = dict(
    caffenet='fast_rcnn_caffenet_rgb_40k_nyud2',
    vgg16='fast_rcnn_vgg16_rgb_40k_nyud2',
)
SQUEEZENET = 'fast_rcnn_squeezenet_rgb_600_kitchen'
YOLOX = dict(
    person='yolox_yolox-nano_rgb_copy_40_people',
    road='yolox_yolox-nano_rgb_copy_40_roadscene',
)
BATCH_NORM = ('running_mean', 'running_var', 'num_batches_tracked')
TRAINED = re.compile(r'work_dirs/([^/]+)/iter_\d+\.pth')


class Record(Hook):
    """Keeps the weights before the first step."""

    priority = 'VERY_LOW'

    def before_train(self, runner):
        state = runner.model.state_dict()
        self.start = {k: v.clone() for k, v in state.items()}


@dataclass
class Step:
    """What a step left."""

    cfg: Config
    start: dict
    end: dict
    scalars: dict
    trainable: set


def small(model):
    """The model at a sixteenth of its width, config files put in place."""
    if isinstance(model, str) and model.endswith('.py'):
        return small(Config.fromfile(config_path(model)).model)
    if isinstance(model, dict):
        model = {key: small(value) for key, value in model.items()}
        if model.get('type') in CHANNELS:
            full = CHANNELS[model['type']]
            model['channels'] = narrow(model.get('channels', full))
        return ConfigDict(model)
    if isinstance(model, (list, tuple)):
        return type(model)(small(child) for child in model)
    return model


def narrow(width):
    """A width, or several, divided by 16; the small ones are left."""
    if isinstance(width, (list, tuple)):
        return tuple(map(narrow, width))
    return max(width // 16, 2) if width > 3 else width


def narrow_all(node):
    """Divide the widths between the parts of a model."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in WIDTHS and key != 'channels':
                node[key] = narrow(value)
            else:
                narrow_all(value)
    elif isinstance(node, (list, tuple)):
        for child in node:
            narrow_all(child)


def small_images(node):
    """Shrink the images of all pipelines."""
    if isinstance(node, dict):
        if node.get('type') == 'mmxdistill.CaffeResize':
            node.update(scale=64, max_size=96)
        elif node.get('type') in ('Resize', 'RandomResize'):
            node.update(scale=(96, 64))
        for child in node.values():
            small_images(child)
    elif isinstance(node, (list, tuple)):
        for child in node:
            small_images(child)


def small_config(stem):
    """A config with a small model and small images."""
    cfg = Config.fromfile(LEAVES[stem])
    for stream in cfg.model.get('streams', {}).values():
        # The small ones are no longer named by their files.
        if isinstance(stream.model, str):
            stream.checkpoint = resolve_network(stream.model).checkpoint
    cfg.model = small(cfg.model)
    if not re.search('SqueezeNet|YOLOX', str(cfg.model)):  # fixed widths
        narrow_all(cfg.model)
    for part in ('train', 'val', 'test'):
        loader = cfg[f'{part}_dataloader']
        loader.update(num_workers=0, persistent_workers=False)
        small_images(loader)
    return cfg


class Steps:
    """Takes the step of each config once, and of those that it needs."""

    def __init__(self):
        self.done = {}
        write_all(Path())
        Path('checkpoints').mkdir()
        for name, stem in CONVERTED.items():
            self._convert(name, stem, ('backbone', 'roi_head.bbox_head.fc'))
        self._convert('squeezenet_v1.1', SQUEEZENET, ('backbone',))
        for name, stem in YOLOX.items():
            parts = ('backbone', 'neck', 'bbox')
            self._convert(f'yolox_nano_{name}', stem, parts)

    @staticmethod
    def _convert(name, stem, parts):
        cfg = small_config(stem).model
        cfg.backbone.pop('init_cfg', None)
        model = MODELS.build(cfg)
        model.init_weights()
        if cfg.type == 'YOLOX':  # BatchNorm of no data would let it fade
            for part in model.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.momentum = 1.0
            model.train().extract_feat(255 * torch.rand(2, 3, 64, 96))
        state = {
            key: value
            for key, value in model.state_dict().items()
            if key.startswith(parts) and not re.search(r'fc_(cls|reg)', key)
        }
        torch.save(dict(state_dict=state), f'checkpoints/{name}.pth')

    def take(self, stem):
        """Train a config for one iteration and test it.

        Args:
            stem (str): Its name.

        Returns:
            Step: What it left.
        """
        if stem not in self.done:
            self.done[stem] = self._take(stem)
        return self.done[stem]

    def _take(self, stem):
        cfg = small_config(stem)
        for needed in TRAINED.findall(str(cfg.to_dict())):
            self.take(needed)
        last = cfg.train_cfg.max_iters
        cfg.train_cfg.update(max_iters=1, val_interval=1, val_begin=1)
        cfg.val_dataloader.dataset.indices = 1
        cfg.default_hooks.checkpoint.interval = 1
        cfg.default_hooks.logger.interval = 1
        cfg.work_dir = f'work_dirs/{stem}'
        runner = Runner.from_cfg(cfg)
        record = Record()
        runner.register_hook(record)
        runner.train()
        folder = Path(cfg.work_dir)
        shutil.move(folder / 'iter_1.pth', folder / f'iter_{last}.pth')
        scalars = runner.message_hub.log_scalars
        return Step(
            cfg,
            record.start,
            runner.model.state_dict(),
            {key: value.current() for key, value in scalars.items()},
            {
                name.removeprefix('student.')
                for name, parameter in runner.model.named_parameters()
                if parameter.requires_grad
            },
        )


@pytest.fixture(scope='module')
def steps(tmp_path_factory):
    """One folder for all configs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp('configs'))
        patch.delenv('MMXDISTILL_DATA', raising=False)
        # For the logs; formatting it takes longer than the step.
        patch.setattr(Config, 'pretty_text', '')
        # Data sets collect garbage when they are built: not that of others.
        gc.freeze()
        yield Steps()
        gc.unfreeze()


def backbone(state):
    return {k: v for k, v in state.items() if k.startswith('backbone.')}


def same(state, other):
    """Keys under which two state dicts have the same values."""
    return {k for k in state if k in other and torch.equal(state[k], other[k])}


@pytest.mark.parametrize('stem', LEAVES)
def test_step(steps, stem):
    step = steps.take(stem)
    assert 0 < step.scalars['train/loss'] < 1000
    metrics = [key for key in step.scalars if key.startswith('val/')]
    assert any('mAP' in key or 'explained' in key for key in metrics), metrics
    # What may learn, does; what may not, stays. (The rate is too low for
    # some of the biases.)
    changed = set(step.start) - same(step.start, step.end)
    # By the transfer, before its first step, or by BatchNorm.
    measured = {'energy', 'factor', *BATCH_NORM}
    assert {k for k in changed if k.split('.')[-1] not in measured} <= (
        step.trainable
    )
    if step.cfg.model.type != 'mmxdistill.SupervisionTransfer':
        assert {k for k in step.trainable if k.endswith('weight')} <= changed
    # It begins where the config says.
    if step.cfg.get('load_from'):
        loaded = torch.load(step.cfg.load_from, weights_only=False)
        given = backbone(loaded['state_dict'])
        assert same(given, step.start) == set(given)
        assert set(backbone(step.start)) <= set(given)
    if 'frozen' in stem:
        kept = set(backbone(step.start))
        assert same(step.start, step.end) >= kept
        assert not step.trainable & kept


@pytest.mark.parametrize(
    'stem',
    [s for s in LEAVES if re.match('fusion_caffenet-s_.*synthetic', s)],
)
def test_fused_row_is_the_mean_of_its_streams(steps, stem):
    """Of the class scores before softmax, and of the box outputs."""
    step = steps.take(stem)
    model = MODELS.build(step.cfg.model).eval()
    model.load_state_dict(step.end)
    x = torch.randn(1, 6, *SIZE)
    sample = DetDataSample(metainfo=dict(img_shape=SIZE, scale_factor=(1, 1)))
    boxes = torch.tensor([[0.0, 0, 30, 20], [12, 8, 42, 38], [5, 5, 60, 40]])
    sample.proposals = InstanceData(bboxes=boxes)
    with torch.no_grad():
        fused = model(x, [sample.clone()], mode='tensor')
        alone = [
            stream(model.part(name, x), [sample.clone()], mode='tensor')[-1]
            for name, stream in model.streams.items()
        ]
    for found, *each in zip(fused, *(out[-2:] for out in alone), strict=True):
        torch.testing.assert_close(found, sum(each) / len(each))
        assert (each[0] - each[1]).abs().max() > 0
