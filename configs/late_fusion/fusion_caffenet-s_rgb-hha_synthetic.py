# As Table 1, 3C.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_detection.py',
    '../_base_/models/late_fusion.py',
    '../_base_/schedules/adamw_2k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/iter_2000.pth',
        ),
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet-s_hha_st_300_synthetic.py',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_hha_st_300_synthetic/iter_300.pth',
        ),
    ),
)
