_base_ = [
    '../_base_/datasets/kitchen_rgbd_detection.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'fast_rcnn/fast_rcnn_squeezenet_rgb_600_kitchen.py'
hha = 'fast_rcnn/fast_rcnn_squeezenet_hha_st_600_kitchen.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), hha=dict(model=hha)),
)
