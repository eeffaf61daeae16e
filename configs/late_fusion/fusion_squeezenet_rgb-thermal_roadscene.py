_base_ = [
    '../_base_/datasets/roadscene_rgbt.py',
    '../_base_/schedules/finetune_600.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmxdistill.LateFusionDetector',
    data_preprocessor=dict(
        type='mmxdistill.MultiModalDataPreprocessor',
        modalities=_base_.statistics,
    ),
    streams=dict(
        rgb=dict(
            model='fast_rcnn/fast_rcnn_squeezenet_rgb_600_roadscene.py',
            checkpoint='work_dirs/fast_rcnn_squeezenet_rgb_600_roadscene/'
            'iter_600.pth',
        ),
        thermal=dict(
            model='fast_rcnn/fast_rcnn_squeezenet_thermal_st_600_roadscene.py',
            checkpoint='work_dirs/fast_rcnn_squeezenet_thermal_st_600_roadscene/'
            'iter_600.pth',
        ),
    ),
)
train_dataloader = dict(dataset=_base_.detection.train)
val_dataloader = dict(dataset=_base_.detection.test)
test_dataloader = val_dataloader
