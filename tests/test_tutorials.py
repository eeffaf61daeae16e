"""The tutorials, command by command, on the data that they make."""

from pathlib import Path

import pytest
import torch
from docs_blocks import ROOT, blocks
from docs_commands import Shell
from mmengine.config import Config

pytestmark = [
    pytest.mark.slow,
    # Several runners in one process share what mmengine keeps by name.
    pytest.mark.filterwarnings('ignore:.*has been created'),
]
# Put behind the page's files: smaller networks, images and schedules.
SMALL = {
    'data.py': """
resize['scale'] = (96, 96)
for _loader in (learn, look, pairs):
    _loader.update(num_workers=0, persistent_workers=False)
""",
    'yolox.py': """
model.update(
    backbone=dict(deepen_factor=0.167, widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16, num_csp_blocks=1),
    data_preprocessor=dict(batch_augments=None),
)
model['bbox_head'].update(in_channels=16, feat_channels=16)
train_cfg.update(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
""",
    'faster_rcnn.py': """
model['backbone'].update(depth=18, base_channels=8)
model['neck'] = dict(in_channels=[8, 16, 32, 64], out_channels=16)
model['rpn_head'] = dict(in_channels=16, feat_channels=16)
model['roi_head']['bbox_roi_extractor'] = dict(out_channels=16)
model['roi_head']['bbox_head'].update(in_channels=16, fc_out_channels=16)
train_cfg.update(max_epochs=1, val_interval=1)
default_hooks = dict(checkpoint=dict(interval=1), logger=dict(interval=1))
""",
}


class Folder(Shell):
    """A folder in which the commands of pages are run."""

    def follow(self, page):
        """Write the page's files and run its commands, in its order."""
        for block in blocks(ROOT / page):
            assert not block.reason, 'a tutorial has no gaps'
            if block.language == 'python':
                self.write(block)
            else:
                for command in block.commands:
                    self.run(command)

    def write(self, block):
        path = self.path / block.file
        assert block.file, f'{block.page}: a file without a name'
        path.parent.mkdir(exist_ok=True)
        text = block.text + SMALL.get(path.name, '')
        for epoch in ('epoch_20', 'epoch_12'):
            text = text.replace(epoch, 'epoch_1')
        path.write_text(text)

    def run(self, command):
        """Run a command, with the schedule of the small networks."""
        super().run(
            [
                a.replace('epoch_20', 'epoch_1').replace('epoch_12', 'epoch_1')
                for a in command
            ]
        )

    def state(self, work_dir):
        path = self.path / 'work_dirs' / work_dir / 'epoch_1.pth'
        return torch.load(path, weights_only=False)['state_dict']


@pytest.fixture(scope='module')
def patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope='module')
def folder(tmp_path_factory, patch):
    path = tmp_path_factory.mktemp('stranger')
    patch.chdir(path)
    patch.setattr(Config, 'pretty_text', '')  # for logs; seconds each
    return Folder(path, patch)


def taught(folder, transfer, start):
    """The student began as the RGB detector and moved; its head did not."""
    before, after = folder.state(start), folder.state(transfer)
    own = {k for k in after if not k.startswith('transfer_points.')}
    assert own == set(before)
    same = {k for k in own if torch.equal(before[k], after[k])}
    heads = {k for k in own if 'head' in k.split('.')[0]}
    assert heads <= same
    assert any(k.startswith('backbone') for k in own - same)


def test_own_modality(folder):
    folder.follow('docs/tutorials/own_modality.md')
    taught(folder, 'transfer', 'rgb')
    found = folder.path / 'work_dirs/found'
    assert len(list(found.glob('preds/*.json'))) == 32
    assert len(list(found.glob('vis/*'))) == 32
    assert list((folder.path / 'work_dirs/browse').iterdir())


def test_own_detector(folder):
    if not (folder.path / 'mine/data.py').exists():
        # The data is that of the other tutorial.
        page = ROOT / 'docs/tutorials/own_modality.md'
        for block in blocks(page):
            if Path(block.file).name in ('make_pairs.py', 'data.py'):
                folder.write(block)
        folder.run(['python', 'mine/make_pairs.py'])
    folder.follow('docs/tutorials/own_detector.md')
    taught(folder, 'frcnn_transfer', 'frcnn_rgb')
