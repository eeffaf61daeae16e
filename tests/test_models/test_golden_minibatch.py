"""A training minibatch, from images and boxes to blobs and targets."""

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmdet.structures.bbox import HorizontalBoxes, bbox2roi
from mmengine.registry import FUNCTIONS
from nets import fast_rcnn, preprocessor

from mmxdistill.registry import MODELS, TRANSFORMS


def detector(settings, modalities, images):
    """Fast R-CNN with the sampling of the released recipe."""
    cfg = fast_rcnn(
        num_classes=settings['num_classes'] - 1,
        bbox_coder=dict(type='mmxdistill.CaffeBBoxCoder'),
    )
    cfg.data_preprocessor = preprocessor(*modalities)
    cfg.data_preprocessor.pad_size_divisor = 1
    for spec in cfg.data_preprocessor.modalities.values():
        # Those of all released nets.
        spec.mean = [102.9801, 115.9465, 122.7717]
    cfg.backbone.in_channels = 3 * len(modalities)
    cfg.train_cfg.rcnn.assigner = dict(
        type='mmxdistill.CaffeMaxIoUAssigner',
        pos_iou_thr=settings['fg_thresh'],
        neg_iou_thr=settings['bg_thresh_hi'],
        match_low_quality=False,
        iou_calculator=dict(type='mmxdistill.CaffeBboxOverlaps2D'),
    )
    cfg.train_cfg.rcnn.sampler = dict(
        type='mmxdistill.CaffeRoISampler',
        num=settings['batch_size'] // images,
        pos_fraction=settings['fg_fraction'],
    )
    return MODELS.build(cfg)


def sample(entry, flipped, scale, longest):
    """An entry of the RoI database through the pipeline of a config."""
    names = sorted(key for key in entry if key.startswith('image'))
    image = np.concatenate([entry[name] for name in names], 2)
    boxes = entry['boxes'].astype(np.float32)
    if flipped:  # the file has them as they are after the flip
        boxes[:, [2, 0]] = image.shape[1] - 1 - boxes[:, [0, 2]]
    # Ground truth comes first, and overlaps itself by 1.
    truth = np.cumprod(entry['max_overlaps'] == 1).sum()
    steps = [
        dict(type='LoadProposals'),
        dict(
            type='mmxdistill.FastProposalBroadcaster',
            transforms=[
                dict(type='mmxdistill.CaffeRandomFlip', prob=float(flipped)),
                dict(
                    type='mmxdistill.CaffeResize',
                    scale=scale,
                    max_size=longest,
                ),
            ],
        ),
        dict(type='PackDetInputs'),
    ]
    return Compose([TRANSFORMS.build(step) for step in steps])(
        dict(
            img=image,
            img_shape=image.shape[:2],
            gt_bboxes=HorizontalBoxes(boxes[:truth]),
            gt_bboxes_labels=entry['max_classes'][:truth] - 1,
            gt_ignore_flags=np.zeros(truth, bool),
            proposals=dict(bboxes=boxes[truth:]),
        )
    )


@pytest.mark.golden
def test_caffes_minibatch(caffe_golden, monkeypatch):
    meta, groups = caffe_golden('py_minibatch')
    settings, blobs = meta['blobs'], groups['blobs']
    assert settings['bg_thresh_lo'] == 0  # what the assigner does
    names = sorted(name for name in groups if name.startswith('entry'))
    scales = settings['scales']

    def draw_scales():
        np.random.seed(settings['seed'])
        return np.random.randint(0, high=len(scales), size=len(names))

    samples = [
        sample(
            groups[name],
            meta[name]['flipped'],
            scales[index],
            settings['max_size'],
        )
        for name, index in zip(names, draw_scales(), strict=True)
    ]
    modalities = ['data'] + [
        f'data_{i}'
        for i in range(1, sum(k.startswith('image') for k in groups[names[0]]))
    ]
    torch.manual_seed(0)
    model = detector(settings, modalities, len(names))
    data = model.data_preprocessor(
        FUNCTIONS.get('pseudo_collate')(samples), training=True
    )
    for i, name in enumerate(modalities):
        found = data['inputs'][:, 3 * i : 3 * i + 3].numpy()
        np.testing.assert_allclose(found, blobs[name], rtol=0, atol=1e-4)

    drawn = []
    bbox_loss = model.roi_head.bbox_loss
    monkeypatch.setattr(
        model.roi_head,
        'bbox_loss',
        lambda x, results: drawn.extend(results) or bbox_loss(x, results),
    )
    draw_scales()  # Caffe has one generator for all
    losses = model.loss(data['inputs'], data['data_samples'])
    assert losses['loss_cls'].isfinite()
    rois = bbox2roi([result.priors for result in drawn])
    np.testing.assert_array_equal(
        rois.numpy(), blobs['rois'].astype(np.float32)
    )
    labels, _, targets, weights = model.roi_head.bbox_head.get_targets(
        drawn, model.train_cfg.rcnn
    )
    # Caffe's background comes first.
    classes = (labels + 1) % settings['num_classes']
    np.testing.assert_array_equal(classes.numpy(), blobs['labels'])
    rows = np.arange(len(classes))
    shape = blobs['bbox_targets'].reshape(len(classes), -1, 4).shape
    for key, values in (
        ('bbox_targets', targets),
        ('bbox_loss_weights', weights),
    ):
        found = np.zeros(shape, np.float32)
        found[rows, classes] = values
        found = found.reshape(blobs[key].shape)
        largest = np.abs(blobs[key]).max()
        assert largest > 0
        np.testing.assert_allclose(
            found, blobs[key], rtol=0, atol=1e-5 * largest
        )
