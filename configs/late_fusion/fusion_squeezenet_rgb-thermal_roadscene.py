_base_ = [
    '../_base_/datasets/roadscene_rgbt_detection.py',
    '../_base_/models/late_fusion.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_squeezenet_rgb_600_roadscene.py',
            checkpoint='work_dirs/fast_rcnn_squeezenet_rgb_600_roadscene/iter_600.pth',
        ),
        thermal=dict(
            model='fast_rcnn/fast_rcnn_squeezenet_thermal_st_600_roadscene.py',
            checkpoint='work_dirs/fast_rcnn_squeezenet_thermal_st_600_roadscene/iter_600.pth',
        ),
    ),
)
