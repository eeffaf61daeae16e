# YOLOX-nano of mmdet (0.9 M weights). BatchNorm follows the data faster than
# there, for runs of some hundred iterations.
norm = dict(type='BN', momentum=0.1, eps=0.001)
act = dict(type='Swish')
common = dict(use_depthwise=True, norm_cfg=norm, act_cfg=act)
model = dict(
    type='YOLOX',
    backbone=dict(
        type='CSPDarknet',
        deepen_factor=0.33,
        widen_factor=0.25,
        out_indices=(2, 3, 4),
        **common,
    ),
    neck=dict(
        type='YOLOXPAFPN',
        in_channels=[64, 128, 256],
        out_channels=64,
        num_csp_blocks=1,
        **common,
    ),
    bbox_head=dict(
        type='YOLOXHead',
        num_classes=1,
        in_channels=64,
        feat_channels=64,
        **common,
    ),
    train_cfg=dict(assigner=dict(type='SimOTAAssigner', center_radius=2.5)),
    test_cfg=dict(score_thr=0.01, nms=dict(type='nms', iou_threshold=0.65)),
)
