import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from mmxdistill.registry import MODELS


def build(**kwargs):
    return MODELS.build(
        dict(type='mmxdistill.MultiModalDataPreprocessor', **kwargs)
    )


def batch(*shapes, modalities=None):
    samples = []
    for shape in shapes:
        meta = dict(img_shape=shape[1:])
        if modalities:
            meta['modalities'] = modalities
        samples.append(DetDataSample(metainfo=meta))
    images = [torch.randint(0, 255, s, dtype=torch.uint8) for s in shapes]
    return dict(inputs=images, data_samples=samples)


MODALITIES = dict(
    rgb=dict(mean=[1.0, 2.0, 3.0], std=[2.0, 4.0, 8.0], bgr_to_rgb=True),
    thermal=dict(mean=[10.0]),
    hha=dict(mean=[5.0, 6.0, 7.0]),
)


def test_each_modality_has_its_own_statistics_and_order():
    model = build(modalities=MODALITIES, pad_size_divisor=8)
    data = batch((7, 6, 9), (7, 8, 5))
    images = [image.float() for image in data['inputs']]
    out = model(data)['inputs']
    assert out.shape == (2, 7, 8, 16)
    for i, image in enumerate(images):
        h, w = image.shape[1:]
        for c, (source, mean, std) in enumerate(
            [
                (2, 1, 2),
                (1, 2, 4),
                (0, 3, 8),
                (3, 10, 1),
                (4, 5, 1),
                (5, 6, 1),
                (6, 7, 1),
            ]
        ):
            torch.testing.assert_close(
                out[i, c, :h, :w], (image[source] - mean) / std
            )
        assert (out[i, :, h:] == 0).all() and (out[i, :, :, w:] == 0).all()
    assert model.slices == dict(
        rgb=slice(0, 3), thermal=slice(3, 4), hha=slice(4, 7)
    )


@pytest.mark.parametrize('scale', [None, (1.5, 1.6)])
def test_proposals_learn_the_scale(scale):
    data = batch((3, 4, 5))
    sample = data['data_samples'][0]
    sample.proposals = InstanceData(bboxes=torch.ones(2, 4))
    if scale is not None:
        sample.set_metainfo(dict(scale_factor=scale))
    model = build(modalities=dict(rgb=dict(mean=[0.0] * 3)))
    (found,) = model(data)['data_samples']
    assert found.proposals.get('scale_factor') == scale
    assert found.proposals.bboxes.shape == (2, 4)


def test_nothing_is_saved():
    assert not build(modalities=MODALITIES).state_dict()


@pytest.mark.parametrize(
    ('modalities', 'message'),
    [
        (dict(x=dict(mean=[1, 2], std=[1])), "'x'.*one value per channel"),
        (dict(x=dict(mean=[1], std=[0])), 'positive'),
        (dict(x=dict(average=[1])), r"'x' must be dict\(mean"),
    ],
)
def test_bad_statistics(modalities, message):
    with pytest.raises(ValueError, match=message):
        build(modalities=modalities)


def test_images_of_other_modalities():
    model = build(modalities=MODALITIES)
    with pytest.raises(ValueError, match=r'\[3\] channels.*describes\s+7'):
        model(batch((3, 4, 4)))
    with pytest.raises(ValueError, match=r"\('hha', 'rgb'\)"):
        model(batch((7, 4, 4), modalities=('hha', 'rgb')))
