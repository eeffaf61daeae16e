_base_ = [
    '../_base_/datasets/roadscene_rgbt_detection.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/late_fusion_runtime.py',
]

rgb = 'fast_rcnn/fast_rcnn_squeezenet_rgb_600_roadscene.py'
thermal = 'fast_rcnn/fast_rcnn_squeezenet_thermal_st_600_roadscene.py'
model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(rgb=dict(model=rgb), thermal=dict(model=thermal)),
)
