# Table 1, 3C: RGB and the detector of 1D.
_base_ = [
    '../_base_/datasets/nyud2_detection.py',
    '../_base_/schedules/sgd_40k.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'fast_rcnn/fast_rcnn_caffenet_rgb_40k_nyud2.py'
hha = 'fast_rcnn/fast_rcnn_caffenet_hha_st_40k_nyud2.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
