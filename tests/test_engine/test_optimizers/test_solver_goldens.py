"""Whole training runs of real Caffe, iteration by iteration.

Supervision transfer and Fast R-CNN are built from configs and trained on
Caffe's batches with its solver settings. Layers, widths, paddings,
multipliers, policies, batches and checkpoints are read from the files.
"""

import numpy as np
import pytest
import torch
from golden import backbone_config, setting
from mmdet.structures import DetDataSample
from nets import fast_rcnn
from solver import TOLERANCE, Solver, relative_error

from mmxdistill.caffe import caffe_to_mm
from mmxdistill.registry import MODELS

pytestmark = pytest.mark.golden

# Names of the streams whose layers have no prefix, and the prefix da_.
PLAIN, SECOND = 'rgb', 'hha'
ADAPTATION = 'transfer_points.0.adaptation.conv'
# Sums of gradients that cancel: the same run in float64 is 8e-6 from Caffe's
# float32 history, and 1e-6 from its weights.
HISTORY_TOLERANCE = 1e-4


def convert(blobs, stream):
    """Arrays ``LAYER/0`` and ``LAYER/1`` by key of the parameter."""
    names = dict.fromkeys(key[:-2] for key in blobs)
    layers = {name: (blobs[f'{name}/0'], blobs[f'{name}/1']) for name in names}
    return caffe_to_mm(layers, stream=stream).state_dict


class Transfer:
    """A run of supervision transfer."""

    def __init__(self, meta, start, prototxt, tmp_path):
        shapes = {k[:-2]: v.shape for k, v in start.items() if k[-1] == '0'}
        teacher = {
            key.removeprefix('teacher.'): torch.tensor(array)
            for key, array in self.convert(start).items()
            if key.startswith('teacher.')
        }
        torch.save(teacher, tmp_path / 'teacher.pth')
        statistics = dict(mean=[0.0] * 3)  # Caffe's batches have none
        out_channels, in_channels = shapes['da_adapt'][:2]
        self.model = MODELS.build(
            dict(
                type='mmxdistill.SupervisionTransfer',
                data_preprocessor=dict(
                    type='mmxdistill.MultiModalDataPreprocessor',
                    modalities=dict(rgb=statistics, hha=statistics),
                ),
                teacher=backbone_config(prototxt, shapes, ''),
                teacher_checkpoint=str(tmp_path / 'teacher.pth'),
                student=backbone_config(prototxt, shapes, 'da_'),
                modalities=dict(teacher='rgb', student='hha'),
                transfer_points=[
                    dict(
                        teacher='pool5',
                        student='pool5',
                        adaptation=dict(
                            type='mmxdistill.AdaptationNeck',
                            in_channels=in_channels,
                            out_channels=out_channels,
                        ),
                        scale=meta['teacher_scale'] or None,
                        loss=dict(
                            type='mmxdistill.FeatureL2Loss',
                            normalization='batch',
                            loss_weight=meta['loss_weights']['transfer_loss'],
                        ),
                    )
                ],
            )
        )

    @staticmethod
    def convert(blobs):
        """Arrays by key of ``parameters()``."""
        blobs = dict(blobs)
        state = {
            f'{ADAPTATION}.weight': blobs.pop('da_adapt/0'),
            f'{ADAPTATION}.bias': blobs.pop('da_adapt/1'),
        }
        state |= convert(blobs, SECOND)
        teacher = convert(blobs, PLAIN)
        return state | {
            key.replace('backbone', 'teacher'): array
            for key, array in teacher.items()
        }

    def parameters(self):
        """All parameters by name, those of the teacher as well."""
        teacher = self.model.teacher.named_parameters(prefix='teacher')
        return dict([*self.model.named_parameters(), *teacher])

    def losses(self, batch):
        """The losses of a batch, by the name of Caffe's layer."""
        images = [torch.tensor(batch[name]) for name in ('data', 'data_1')]
        images = torch.cat(images, 1)
        samples = [DetDataSample() for _ in images]
        data = dict(inputs=list(images), data_samples=samples)
        data = self.model.data_preprocessor(data, True)
        losses = self.model(**data, mode='loss')
        return dict(transfer_loss=losses['loss_pool5'])


class FastRCNN:
    """A run of Fast R-CNN, from its RoIs on."""

    def __init__(self, meta, start, prototxt, tmp_path):
        shapes = {k[:-2]: v.shape for k, v in start.items() if k[-1] == '0'}
        self.classes = shapes['da_cls_score'][0] - 1
        weights = meta['loss_weights']
        backbone = backbone_config(prototxt, shapes, 'da_')
        size = int(setting(prototxt, 'da_roi_pool5', 'pooled_w'))
        scale = setting(prototxt, 'da_roi_pool5', 'spatial_scale')
        cfg = fast_rcnn(
            'hha',
            num_classes=self.classes,
            in_channels=backbone['channels'][-1],
            roi_feat_size=size,
            fc_channels=shapes['da_fc6'][0],
            dropout=0.0,
            loss_cls=dict(
                type='mmxdistill.CaffeCrossEntropyLoss',
                loss_weight=weights['da_loss_cls'],
            ),
            loss_bbox=dict(
                type='mmxdistill.CaffeSmoothL1Loss',
                loss_weight=weights['da_loss_bbox'],
            ),
        )
        cfg.backbone = backbone
        cfg.roi_head.bbox_roi_extractor.update(
            roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=size),
            out_channels=backbone['channels'][-1],
            featmap_strides=[1 / scale],
        )
        self.model = MODELS.build(cfg)

    @staticmethod
    def convert(blobs):
        """Arrays by key of ``parameters()``."""
        return convert(blobs, SECOND)

    def parameters(self):
        """All parameters by name."""
        return dict(self.model.named_parameters())

    def losses(self, batch):
        """The losses of a batch, by the name of Caffe's layer."""
        batch = {name: torch.tensor(array) for name, array in batch.items()}
        rois, labels = batch['rois'], batch['labels'].long()
        targets, weights = (
            batch[name].view(len(rois), -1, 4)[range(len(rois)), labels]
            for name in ('bbox_targets', 'bbox_loss_weights')
        )
        assert weights.sum() == batch['bbox_loss_weights'].sum()
        roi_head = self.model.roi_head
        features = self.model.extract_feat(batch['data'])
        result = roi_head._bbox_forward(features, rois)
        losses = roi_head.bbox_head.loss(
            result['cls_score'],
            result['bbox_pred'],
            rois,
            # Caffe's background is class 0, mmdet's the last.
            (labels - 1) % (self.classes + 1),
            torch.ones(len(rois)),
            targets,
            weights,
        )
        names = 'loss_cls', 'loss_bbox'
        return {f'da_{name}': losses[name] for name in names}


RUNS = {
    'solver_transfer_alexnet': Transfer,
    'solver_transfer_vgg': Transfer,
    'solver_frcnn': FastRCNN,
}


@pytest.fixture(params=RUNS)
def golden(request, caffe_golden, data_root, tmp_path):
    """The run as built, its settings and arrays."""
    meta, groups = caffe_golden(request.param)
    file = data_root / 'caffe_golden' / meta['prototxt']
    kind = RUNS[request.param]
    built = kind(meta, groups['init'], file.read_text(), tmp_path)
    state = {
        key: torch.tensor(array)
        for key, array in kind.convert(groups['init']).items()
    }
    missing, unexpected = built.model.load_state_dict(state, strict=False)
    assert all(key.startswith('teacher.') for key in unexpected)
    assert not set(missing) & dict(built.model.named_parameters()).keys()
    built.model.train()
    return built, meta, groups


def multipliers(run, meta, groups):
    """Caffe's (lr_mult, decay_mult) by name of the parameter."""
    arrays = [
        run.convert(
            {
                key: np.full(blob.shape, meta['multipliers'][key][i])
                for key, blob in groups['init'].items()
            }
        )
        for i in range(2)
    ]
    return {
        key: tuple(float(array[key].flat[0]) for array in arrays)
        for key in arrays[0]
    }


def train(run, meta, groups, optimizer=None):
    """Train as Caffe did.

    Returns:
        The worst error of each loss, of the weights after each number of
        updates, and the solver at the end.
    """
    factors = multipliers(run, meta, groups)
    own = dict(run.model.named_parameters())
    trained = {key: factors[key] for key in own}
    solver = Solver(run.model, meta['solver'], trained, optimizer)
    errors = dict.fromkeys(groups['loss'], 0.0)
    for i in range(meta['iterations']):
        losses = run.losses(groups[f'batch{i % meta["batches"]}'])
        for name, loss in losses.items():
            found = loss.detach() / meta['loss_weights'][name]
            error = relative_error(found, groups['loss'][name][i])
            errors[name] = max(errors[name], error)
        solver.step(sum(losses.values()))
        after = f'after{i + 1:03d}'
        if after in groups:
            parameters = run.parameters()
            expected = run.convert(groups[after])
            assert parameters.keys() == expected.keys()
            for key, parameter in parameters.items():
                if factors[key][0] == 0:
                    assert np.array_equal(parameter.detach(), expected[key])
            errors[after] = max(
                relative_error(parameter, expected[key])
                for key, parameter in parameters.items()
            )
    return errors, solver


def test_trains_as_caffe(golden):
    run, meta, groups = golden
    errors, solver = train(run, meta, groups)
    # Nothing in the file is left out.
    checked = {*groups['loss'], *(k for k in groups if k.startswith('after'))}
    assert errors.keys() == checked
    assert max(errors.values()) <= TOLERANCE, errors
    history = run.convert(groups['history_final'])
    for key, parameter in run.model.named_parameters():
        found = solver.wrapper.optimizer.state[parameter]['history']
        error = relative_error(found, history[key])
        assert error <= HISTORY_TOLERANCE, (key, error)


def test_pytorch_trains_otherwise(golden):
    """The tolerance is tight: it tells torch's rule from Caffe's."""
    errors, _ = train(*golden, optimizer='SGD')
    last = max(name for name in errors if name.startswith('after'))
    assert errors[last] > 100 * TOLERANCE, errors
