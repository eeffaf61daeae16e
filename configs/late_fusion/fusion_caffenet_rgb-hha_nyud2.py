# Table 1, 3C: RGB and the detector of 1D.
_base_ = [
    '../_base_/datasets/nyud2_detection.py',
    '../_base_/models/late_fusion.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/iter_40000.pth',
        ),
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet_hha_st_40k_nyud2.py',
            checkpoint='work_dirs/fast_rcnn_caffenet_hha_st_40k_nyud2/iter_40000.pth',
        ),
    ),
)
