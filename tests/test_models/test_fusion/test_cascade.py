import torch
from mmdet.structures.bbox import bbox2roi
from stock import image, pair, samples
from torch.testing import assert_close


def test_stages_see_what_the_average_refined():
    model = pair('cascade_mask_rcnn')
    x, batch = torch.cat([image(1), image(1, seed=1)], 1), samples(1, True)
    rois = bbox2roi([batch[0].proposals.bboxes])
    feats = model.extract_feat(x)
    heads = {n: s.roi_head for n, s in model.streams.items()}
    total = 0
    for stage in range(3):
        a, b = (
            head._bbox_forward(stage, feats[name], rois)
            for name, head in heads.items()
        )
        scores = (a['cls_score'] + b['cls_score']) / 2
        deltas = (a['bbox_pred'] + b['bbox_pred']) / 2
        total = total + scores / 3
        last = rois
        refined = (
            heads['a']
            .bbox_head[stage]
            .regress_by_class(
                rois[:, 1:],
                scores[:, :-1].argmax(1),
                deltas,
                batch[0].metainfo,
            )
        )
        rois = torch.cat([rois[:, :1], refined], 1)
    found = model(x, batch, mode='tensor')
    for f, expected in zip(found, (last, total, deltas), strict=True):
        assert_close(f[0], expected, rtol=1e-4, atol=1e-4)
