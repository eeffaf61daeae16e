import mmcv.ops
import pytest
import torch
from torch import Tensor, nn

from mmxdistill.models.layers import CaffeRoIPool, roi_pool
from mmxdistill.registry import MODELS


def build(layer: object, strides: tuple[int, ...] = (16,)) -> nn.Module:
    return MODELS.build(
        dict(
            type='mmxdistill.SingleRoIExtractor',
            roi_layer=layer,
            out_channels=4,
            featmap_strides=list(strides),
        )
    )


@pytest.fixture(name='rois')
def fixture_rois() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    corners = torch.rand(40, 2, 2, generator=generator) * 900
    corners = corners.sort(dim=1).values.flatten(1)
    return torch.cat((torch.arange(40)[:, None] % 2, corners), 1)


def test_registered_layer(rois: Tensor) -> None:
    extractor = build(dict(type='mmxdistill.CaffeRoIPool', output_size=(3, 4)))
    features = torch.randn(2, 4, 57, 60)
    (layer,) = extractor.roi_layers
    assert isinstance(layer, CaffeRoIPool)
    assert layer.spatial_scale == 1 / 16
    assert torch.equal(
        extractor((features,), rois), roi_pool(features, rois, (3, 4), 1 / 16)
    )
    assert extractor((features,), rois[:0]).shape == (0, 4, 3, 4)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_features_do_not_move_rois(
    rois: Tensor, dtype: torch.dtype
) -> None:
    extractor = build(dict(type='mmxdistill.CaffeRoIPool', output_size=6))
    features = torch.randn(2, 4, 57, 60).to(dtype)
    pooled = extractor((features,), rois)
    assert pooled.dtype == dtype
    assert torch.equal(
        pooled.float(), roi_pool(features.float(), rois, 6, 1 / 16)
    )
    moved = roi_pool(features, rois.to(dtype), 6, 1 / 16)
    assert not torch.equal(pooled, moved)


def test_several_levels(rois: Tensor) -> None:
    extractor = build(
        dict(type='mmxdistill.CaffeRoIPool', output_size=2), (16, 32)
    )
    features = torch.randn(2, 4, 57, 60), torch.randn(2, 4, 29, 30)
    level = extractor.map_roi_levels(rois, 2)
    pooled = extractor(features, rois)
    assert set(level.tolist()) == {0, 1}
    for i, maps in enumerate(features):
        expected = roi_pool(maps, rois, 2, 1 / (16 << i))
        assert torch.equal(pooled[level == i], expected[level == i])


@pytest.mark.parametrize('kind', ['RoIAlign', mmcv.ops.RoIAlign])
def test_mmcv_layer_as_in_mmdet(kind: object, rois: Tensor) -> None:
    layer = dict(type=kind, output_size=7, sampling_ratio=2)
    features = (torch.randn(2, 4, 57, 60),)
    stock = MODELS.build(
        dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=layer,
            out_channels=4,
            featmap_strides=[16],
        )
    )
    assert torch.equal(build(layer)(features, rois), stock(features, rois))


@pytest.mark.parametrize(
    'layer',
    [
        dict(type='RoIAlin', output_size=7),
        dict(type='mmxdistill.RoIPool', output_size=7),
        dict(type='nms', output_size=7),
        dict(output_size=7),
    ],
)
def test_unknown_layer(layer: dict[str, object]) -> None:
    name = repr(layer.get('type'))
    with pytest.raises(ValueError, match=rf'type {name} .*CaffeRoIPool'):
        build(layer)
