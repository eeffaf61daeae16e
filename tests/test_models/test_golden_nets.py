"""Whole networks against Caffe's numbers, from the files as released.

Every .caffemodel of the golden folder goes through the converter; a detector
built from a config loads the checkpoint and must reproduce every blob that
Caffe computed. Widths, paddings, RoI grid and classes are read from the files.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from golden import assert_close, backbone_config, setting
from mmdet.structures import DetDataSample
from mmengine.runner import load_checkpoint
from mmengine.structures import InstanceData
from nets import fast_rcnn, preprocessor

from mmxdistill.caffe import collect_blobs, read_caffemodel
from mmxdistill.models.features import FeatureExtractor
from mmxdistill.registry import MODELS

TOOLS = Path(__file__).parents[2] / 'tools' / 'model_converters'
HEAD = 'roi_head.bbox_head.'
STREAMS = {'': 'rgb', 'da_': 'hha'}


@pytest.fixture
def convert(monkeypatch, tmp_path):
    """Convert .caffemodel files; the path of the checkpoint."""
    monkeypatch.syspath_prepend(str(TOOLS))

    def run(*files):
        out = str(tmp_path / f'{"+".join(f.stem for f in files)}.pth')
        import_module('caffe_to_mm').main([*map(str, files), out])
        return out

    return run


@pytest.fixture
def nets(data_root, caffe_golden):
    """Converted file, prototxt, arrays, and streams of all golden nets."""
    files = sorted((data_root / 'caffe_golden').glob('net_*.caffemodel'))
    found = []
    for file in files:
        name = file.stem.removesuffix('_v1')
        blobs = collect_blobs(read_caffemodel(file).layers)
        shapes = {key: blob[0].shape for key, blob in blobs.items()}
        prefixes = [
            prefix
            for prefix in STREAMS
            if {f'{prefix}conv1', f'{prefix}conv1_1'} & shapes.keys()
        ]
        prototxt = file.with_name(f'{name}.prototxt').read_text()
        found.append((file, prototxt, shapes, prefixes, *caffe_golden(name)))
    assert found
    return found


def detector_config(prototxt, shapes, prefix):
    backbone = backbone_config(prototxt, shapes, prefix)
    roi_pool = f'{prefix}roi_pool5'
    size = int(setting(prototxt, roi_pool, 'pooled_w'))
    classes = shapes[f'{prefix}cls_score'][0]
    cfg = fast_rcnn(
        STREAMS[prefix],
        num_classes=classes - 1,  # Caffe counts the background
        in_channels=backbone['channels'][-1],
        roi_feat_size=size,
        fc_channels=shapes[f'{prefix}fc6'][0],
    )
    cfg.backbone = backbone
    cfg.roi_head.bbox_roi_extractor.update(
        roi_layer=dict(type='mmxdistill.CaffeRoIPool', output_size=size),
        out_channels=backbone['channels'][-1],
        featmap_strides=[1 / setting(prototxt, roi_pool, 'spatial_scale')],
    )
    cfg.test_cfg = dict(rcnn=None)  # all scores, as Caffe's cls_prob
    return cfg


def samples(arrays, rois):
    """One sample for each image, with its RoIs as proposals."""
    result = []
    for i in range(len(arrays)):
        sample = DetDataSample(
            metainfo=dict(
                img_shape=arrays.shape[2:],
                ori_shape=arrays.shape[2:],
                scale_factor=(1.0, 1.0),
            )
        )
        boxes = torch.tensor(rois[rois[:, 0] == i, 1:])
        sample.proposals = InstanceData(bboxes=boxes)
        result.append(sample)
    return result


def in_mm_order(name, blob):
    """Caffe's class order, background first, in mmdet's."""
    if name.startswith(('cls_score', 'cls_prob')):
        return np.roll(blob, -1, axis=1)
    return blob[:, 4:] if name.startswith('bbox_pred') else blob


def check_stream(model, images, rois, prefix, blobs, label):
    """Compare all blobs of a stream.

    Returns:
        Their names in Caffe.
    """
    names = {
        prefix + name: name
        for name in model.backbone.feature_names
        if prefix + name in blobs and name != 'pool5'
    }
    stream = list(STREAMS).index(prefix)
    names |= {
        f'{prefix}pool5': 'roi_head.bbox_roi_extractor',
        f'{prefix}fc6': 'fc6',
        f'{prefix}fc7': 'fc7',
        f'cls_score_{stream}': f'{HEAD}fc_cls',
        f'bbox_pred_{stream}': f'{HEAD}fc_reg',
    }
    extract = FeatureExtractor(model, list(names.values()), label)
    with torch.no_grad():
        found = extract(torch.tensor(images), torch.tensor(rois))
    for blob, name in names.items():
        assert_close(
            found[name], in_mm_order(blob, blobs[blob]), (label, blob)
        )
    return set(names)


def check_outputs(model, images, rois, blobs, label):
    """Compare what the whole detector answers; the names in Caffe."""
    order = np.argsort(rois[:, 0], kind='stable')
    batch = samples(images, rois)
    x = torch.tensor(images)
    with torch.no_grad():
        outputs = model(x, batch, mode='tensor')
        found = model(x, batch, mode='predict')
    if len(outputs) == 1:  # a single detector
        (outputs,) = outputs
    probability = torch.cat([s.pred_instances.scores for s in found])
    names = 'cls_score', 'bbox_pred', 'cls_prob'
    for name, output in zip(names, (*outputs, probability), strict=True):
        expected = in_mm_order(name, blobs[name])[order]
        assert_close(output, expected, (label, name))
    return set(names)


@pytest.mark.golden
def test_single_detectors(nets, convert):
    compared = set()
    for file, prototxt, shapes, prefixes, _, groups in nets:
        if len(prefixes) > 1 or f'{prefixes[0]}cls_score' not in shapes:
            continue
        (prefix,) = prefixes
        model = MODELS.build(detector_config(prototxt, shapes, prefix))
        load_checkpoint(model, convert(file), strict=True)
        model.eval()
        inputs, blobs = groups['input'], groups['blob']
        args = inputs['data'], inputs['rois']
        names = check_outputs(model, *args, blobs, file.name)
        names |= check_stream(model, *args, prefix, blobs, file.name)
        assert names == blobs.keys(), file.name
        compared.add((model.backbone.__class__.__name__, prefix))
    assert compared == {('CaffeNet', ''), ('CaffeNet', 'da_'), ('VGG16', '')}


@pytest.mark.golden
def test_transfer_products(nets, convert):
    """conv1 to conv5 only, loaded by the config of a student."""
    compared = 0
    for file, prototxt, shapes, prefixes, _, groups in nets:
        (prefix, *others) = prefixes
        if others or f'{prefix}fc6' in shapes:
            continue
        cfg = backbone_config(prototxt, shapes, prefix)
        cfg['init_cfg'] = dict(
            type='Pretrained', checkpoint=convert(file), prefix='backbone.'
        )
        net = MODELS.build(cfg)
        net.init_weights()
        net.out_features = net.feature_names
        (images,) = groups['input'].values()
        with torch.no_grad():
            found = net(torch.tensor(images))
        names = [prefix + name for name in net.feature_names]
        for name, feature in zip(names, found, strict=True):
            assert_close(feature, groups['blob'][name], (file.name, name))
        assert groups['blob'].keys() == set(names)
        compared += 1
    assert compared


def fused_detector(prototxt, shapes, checkpoints):
    return MODELS.build(
        dict(
            type='mmxdistill.LateFusionDetector',
            data_preprocessor=preprocessor(*STREAMS.values()),
            streams={
                name: dict(
                    model=detector_config(prototxt, shapes, prefix),
                    checkpoint=checkpoints.get(prefix),
                )
                for prefix, name in STREAMS.items()
            },
        )
    )


@pytest.mark.golden
def test_two_stream_detectors(nets, convert):
    """Built from two single files and from the fused one: the same."""
    compared = 0
    for file, prototxt, shapes, prefixes, meta, groups in nets:
        if len(prefixes) == 1:
            continue
        singles = dict(zip(STREAMS, meta['weights_from'], strict=True))
        checkpoints = {
            prefix: convert((file.parent / name).with_suffix('.caffemodel'))
            for prefix, name in singles.items()
        }
        assembled = fused_detector(prototxt, shapes, checkpoints)
        converted = fused_detector(prototxt, shapes, {})
        load_checkpoint(converted, convert(file), strict=True)
        inputs, blobs = groups['input'], groups['blob']
        parts = dict(zip(STREAMS, ('data', 'data_1'), strict=True))
        images = np.concatenate([inputs[k] for k in parts.values()], axis=1)
        for how, model in (('two', assembled), ('one', converted)):
            label = f'{file.name} from {how}'
            model.eval()
            names = check_outputs(model, images, inputs['rois'], blobs, label)
            for prefix, name in STREAMS.items():
                names |= check_stream(
                    model.streams[name],
                    inputs[parts[prefix]],
                    inputs['rois'],
                    prefix,
                    blobs,
                    label,
                )
            assert names == blobs.keys(), label
            compared += 1
    assert compared
