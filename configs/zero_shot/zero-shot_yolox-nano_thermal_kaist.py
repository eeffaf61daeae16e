# Tests a detector of road scenes in another city, where only persons have
# boxes; model.checkpoint names which.
_base_ = [
    '../_base_/datasets/kaist_416_detection_thermal.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/default_runtime.py',
]

student = 'st_yolox-nano_yolox-nano_thermal_neck-both_60_roadscene'
model = dict(
    type='mmxdistill.ClassSubsetDetector',
    detector='yolox/yolox_yolox-nano_thermal_st_40_roadscene.py',
    checkpoint=f'work_dirs/{student}/iter_60.pth',
    classes=_base_.classes,
    source_classes=('person', 'bike', 'car'),
)
