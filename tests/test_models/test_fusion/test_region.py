import torch
from nets import region_detector, region_sample
from stock import fused

from mmxdistill.models.roi_heads.mask_pasting import paste_masks


def test_regions_are_those_of_the_averaged_probabilities():
    torch.manual_seed(0)
    model = fused({name: region_detector(name) for name in ('rgb', 'hha')})
    x, batch = torch.randn(1, 6, 96, 128), [region_sample()]
    with torch.no_grad():
        (sample,) = model.predict(x, batch)
        found = sample.pred_instances
        features = model.extract_feat(x)
        both = [
            stream.roi_head.mask_probabilities(
                features[name], [sample.metainfo], [found]
            )[0]
            for name, stream in model.streams.items()
        ]
    assert len(found) > 1
    assert not torch.allclose(*both)
    regions = paste_masks(sum(both) / 2 >= 0.4, found.bboxes, (48, 64))
    assert found.masks.equal(regions)
    assert 0 < regions.float().mean() < 1
    # One stream twice is that stream.
    alone = fused({'rgb': region_detector('rgb')})
    alone.streams['rgb'] = model.streams['rgb']
    model.streams['hha'] = model.streams['rgb']
    x[:, 3:] = x[:, :3]
    with torch.no_grad():
        (twice,) = model.predict(x, [region_sample()])
        (once,) = alone.predict(x[:, :3], [region_sample()])
    for key in ('bboxes', 'scores', 'masks'):
        assert twice.pred_instances[key].equal(once.pred_instances[key]), key


def test_boxes_are_moved_as_the_fused_setting_says():
    torch.manual_seed(0)
    configs = {name: region_detector(name) for name in ('rgb', 'hha')}
    test_cfg = region_detector(released_boxes=True).test_cfg
    model = fused(configs, test_cfg=test_cfg)
    x = torch.randn(1, 6, 96, 128)
    with torch.no_grad():
        (sample,) = model.predict(x, [region_sample()])
        found, metas = sample.pred_instances, [sample.metainfo]
        features = model.extract_feat(x)
        moved, still = (
            sum(
                stream.roi_head.mask_probabilities(
                    features[name], metas, [found], rcnn
                )[0]
                for name, stream in model.streams.items()
            )
            for rcnn in (test_cfg.rcnn, configs['rgb'].test_cfg.rcnn)
        )
    assert not torch.allclose(moved, still)
    regions = paste_masks(moved / 2 >= 0.4, found.bboxes, (48, 64))
    assert found.masks.equal(regions)
