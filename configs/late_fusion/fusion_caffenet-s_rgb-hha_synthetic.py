# As Table 1, 3C.
_base_ = [
    '../_base_/datasets/synthetic_rgbd_detection.py',
    '../_base_/schedules/adamw_2k.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'fast_rcnn/fast_rcnn_caffenet-s_rgb_2k_synthetic.py'
hha = 'fast_rcnn/fast_rcnn_caffenet-s_hha_st_300_synthetic.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
