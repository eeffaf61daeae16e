"""Fast R-CNN trained as Caffe does, in mmengine's runner, on tiny data."""

import copy
import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS
from mmengine.runner import Runner, load_checkpoint

from mmxdistill.registry import DATASETS, MODELS

# Several runners in one process share what mmengine keeps by name.
pytestmark = pytest.mark.filterwarnings('ignore:.*has been created')

WEIGHT, BIAS = (f'roi_head.bbox_head.fc_reg.{k}' for k in ('weight', 'bias'))

SIZE = (72, 96)


def write_data(root):
    """Bright and dark squares on noise, and proposals near and far."""
    rng = np.random.default_rng(0)
    (root / 'color').mkdir()
    images, annotations, proposals = [], [], {}
    for i in range(5):
        picture = rng.integers(90, 160, (*SIZE, 3), np.uint8)
        near = []
        for label, grey in ((1, 250), (2, 5)):
            x, y = rng.integers(0, 60), rng.integers(0, 40)
            picture[y : y + 30, x : x + 30] = grey
            annotations.append(
                dict(
                    id=len(annotations),
                    image_id=i,
                    category_id=label,
                    bbox=[int(x), int(y), 29, 29],
                    area=841,
                    iscrowd=0,
                )
            )
            corners = np.array([x, y, x + 29, y + 29])
            near.append(corners + rng.integers(-5, 6, (12, 4)))
        low = rng.integers(0, (60, 40), (30, 2))
        far = np.concatenate([low, low + rng.integers(8, 32, (30, 2))], 1)
        boxes = np.concatenate([*near, far]).clip(0, (95, 71, 95, 71))
        proposals[f'color/{i}.png'] = dict(
            bboxes=boxes.astype(np.float32),
            scores=np.ones(len(boxes), np.float32),
        )
        cv2.imwrite(str(root / f'color/{i}.png'), picture)
        images.append(
            dict(id=i, file_name=f'{i}.png', width=SIZE[1], height=SIZE[0])
        )
    classes = [dict(id=1, name='bright'), dict(id=2, name='dark')]
    content = dict(images=images, annotations=annotations, categories=classes)
    (root / 'boxes.json').write_text(json.dumps(content))
    (root / 'proposals.pkl').write_bytes(pickle.dumps(proposals))


def dataset_config(root, *transforms, **kwargs):
    return dict(
        type='mmxdistill.PairedCocoDataset',
        data_root=str(root),
        ann_file='boxes.json',
        proposal_file='proposals.pkl',
        metainfo=dict(classes=('bright', 'dark')),
        modalities=dict(
            rgb=dict(
                path='color/{file_name}',
                pipeline=[dict(type='LoadImageFromFile')],
            )
        ),
        pipeline=[
            dict(type='LoadProposals'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(
                type='mmxdistill.FastProposalBroadcaster',
                transforms=list(transforms),
            ),
            dict(type='PackDetInputs'),
        ],
        **kwargs,
    )


RESIZE = dict(type='mmxdistill.CaffeResize', scale=100, max_size=2000)


def flip(prob):
    return dict(type='mmxdistill.CaffeRandomFlip', prob=prob)


def detector(fused=False):
    model = ConfigDict(
        type='FastRCNN',
        data_preprocessor=dict(
            type='mmxdistill.MultiModalDataPreprocessor',
            modalities=dict(rgb=dict(mean=[100.0] * 3)),
        ),
        backbone=dict(
            type='mmxdistill.CaffeNet',
            geometry='hha',
            channels=(8, 8, 12, 12, 8),
            init_cfg=dict(type='Kaiming', layer='Conv2d'),
        ),
        roi_head=dict(
            type='mmxdistill.DedupRoIHead',
            bbox_roi_extractor=dict(
                type='mmxdistill.SingleRoIExtractor',
                roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=3),
                out_channels=8,
                featmap_strides=[16],
            ),
            bbox_head=dict(
                type='mmxdistill.FastRCNNBBoxHead',
                in_channels=8,
                roi_feat_size=3,
                fc_channels=16,
                num_classes=2,
                bbox_coder=dict(type='mmxdistill.CaffeBBoxCoder'),
            ),
        ),
        train_cfg=dict(
            rcnn=dict(
                assigner=dict(
                    type='mmxdistill.CaffeMaxIoUAssigner',
                    pos_iou_thr=0.5,
                    neg_iou_thr=0.5,
                    match_low_quality=False,
                    iou_calculator=dict(type='mmxdistill.CaffeBboxOverlaps2D'),
                ),
                sampler=dict(type='mmxdistill.CaffeRoISampler', num=16),
                pos_weight=-1,
            )
        ),
        test_cfg=dict(
            rcnn=dict(
                max_per_class=20, nms=dict(type='nms', iou_threshold=0.3)
            )
        ),
    )
    if not fused:
        return model
    return dict(
        type='mmxdistill.LateFusionDetector',
        data_preprocessor=model.data_preprocessor,
        streams=dict(
            one=dict(model=model, modality='rgb'),
            two=dict(model=copy.deepcopy(model), modality='rgb'),
        ),
    )


class Losses(Hook):
    """Keeps the losses of every iteration."""

    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.seen.append(outputs['loss'].item())


def train(root, work_dir, iterations=4, fused=False, **kwargs):
    hooks = [
        dict(type='mmxdistill.IterationSeedHook'),
        dict(type='mmxdistill.BoxTargetNormalizationHook'),
    ]
    sets = [dataset_config(root, flip(p), RESIZE) for p in (0.0, 1.0)]
    losses = Losses()
    runner = Runner(
        model=detector(fused),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            dataset=dict(type='ConcatDataset', datasets=sets),
            sampler=dict(type='mmxdistill.CaffeEpochSampler', batch_size=2),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
        custom_hooks=[*hooks, losses],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
            logger=dict(type='LoggerHook', log_metric_by_epoch=False),
        ),
        default_scope='mmdet',
        randomness=dict(seed=3),
        experiment_name=work_dir.name,
        log_level='ERROR',
        **kwargs,
    )
    runner.train()
    return runner, losses.seen


def read(path):
    return torch.load(path, map_location='cpu', weights_only=False)


@pytest.fixture(scope='module')
def data_set(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    write_data(root)
    return root


@pytest.fixture(scope='module', autouse=True)
def quick_logs():
    """Formatting the config for the logs takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Config, 'pretty_text', '')
        yield


@pytest.fixture(scope='module')
def finished(data_set, tmp_path_factory):
    """A run of four iterations, with its checkpoints."""
    folder = tmp_path_factory.mktemp('runs') / 'whole'
    return folder, *train(data_set, folder)


def test_targets_are_normalised_in_training(finished):
    _, runner, losses = finished
    box = runner.model.roi_head.bbox_head
    assert len(losses) == 4 and np.isfinite(losses).all()
    assert (box.bbox_stds < 1).all() and (box.bbox_means[:, 0] == 0).all()


def test_stopped_run_goes_on_with_the_same_bits(finished, data_set, tmp_path):
    folder, _, losses = finished
    train(data_set, tmp_path / 'resumed', iterations=2)
    _, rest = train(data_set, tmp_path / 'resumed', resume=True)
    assert rest == losses[2:]
    whole, again = (
        read(path / 'iter_4.pth') for path in (folder, tmp_path / 'resumed')
    )
    assert whole['state_dict'].keys() == again['state_dict'].keys()
    for key, value in whole['state_dict'].items():
        assert torch.equal(value, again['state_dict'][key]), key
    kept = [
        c['box_normalization']['roi_head.bbox_head'] for c in (whole, again)
    ]
    assert set(kept[0]) == {'means', 'stds', 'weight', 'bias'}
    for key, value in kept[0].items():
        assert type(value) is torch.Tensor
        assert torch.equal(value, kept[1][key]), key
    momenta = [c['optimizer']['state'] for c in (whole, again)]
    assert momenta[0].keys() == momenta[1].keys()
    for key, state in momenta[0].items():
        assert torch.equal(
            state['momentum_buffer'], momenta[1][key]['momentum_buffer']
        )


def test_resumed_run_does_not_compute_again(
    finished, data_set, tmp_path, monkeypatch
):
    folder, *_ = finished
    monkeypatch.setattr(
        'mmxdistill.engine.hooks.box_normalization.map_boxes',
        lambda *a: pytest.fail('the boxes were read again'),
    )
    runner, losses = train(
        data_set,
        tmp_path / 'more',
        load_from=str(folder / 'iter_2.pth'),
        resume=True,
    )
    assert len(losses) == 2
    kept = read(folder / 'iter_2.pth')['box_normalization']
    assert torch.equal(
        runner.model.roi_head.bbox_head.bbox_stds,
        kept['roi_head.bbox_head']['stds'],
    )


def test_load_from_starts_from_the_plain_weights(finished, data_set, tmp_path):
    folder, *_ = finished
    path = folder / 'iter_4.pth'
    runner, _ = train(
        data_set, tmp_path / 'start', iterations=0, load_from=str(path)
    )
    state, saved = runner.model.state_dict(), read(path)['state_dict']
    for key in (WEIGHT, BIAS):
        assert torch.equal(state[key], saved[key])


def detections(model, root):
    dataset = DATASETS.build(dataset_config(root, RESIZE, test_mode=True))
    collate = FUNCTIONS.get('pseudo_collate')
    model.eval()
    with torch.no_grad():
        found = model.test_step(collate([dataset[i] for i in range(3)]))
    return [sample.pred_instances for sample in found]


def test_saved_model_predicts_the_same(finished, data_set):
    folder, runner, _ = finished
    saved = MODELS.build(detector())
    load_checkpoint(saved, str(folder / 'iter_4.pth'))
    live = runner.model.state_dict()[WEIGHT]
    assert not torch.equal(saved.state_dict()[WEIGHT], live)
    assert (saved.roi_head.bbox_head.bbox_stds == 1).all()
    found = detections(saved, data_set)
    expected = detections(runner.model, data_set)
    for a, b in zip(found, expected, strict=True):
        assert len(a) == len(b) > 0
        assert torch.equal(a.labels, b.labels)
        torch.testing.assert_close(a.scores, b.scores)
        torch.testing.assert_close(a.bboxes, b.bboxes, rtol=0, atol=1e-3)


def test_fused_detector_is_trained_and_saved(data_set, tmp_path):
    _, losses = train(data_set, tmp_path / 'fused', 2, fused=True)
    assert len(losses) == 2
    checkpoint = read(tmp_path / 'fused/iter_2.pth')
    kept = checkpoint['box_normalization']
    names = [f'streams.{name}.roi_head.bbox_head' for name in ('one', 'two')]
    assert list(kept) == names
    for name in names:
        stds = kept[name]['stds'].flatten()[:, None]
        saved = checkpoint['state_dict'][f'{name}.fc_reg.weight']
        torch.testing.assert_close(
            saved, (kept[name]['weight'] * stds).float()
        )
    assert not torch.equal(*(kept[name]['weight'] for name in names))
    assert torch.equal(*(kept[name]['stds'] for name in names))
