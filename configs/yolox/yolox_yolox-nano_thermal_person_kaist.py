# Tests a detector of road scenes in another city, where only persons have
# boxes; model.checkpoint names which.
_base_ = [
    '../_base_/datasets/kaist_416_detection_thermal.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmxdistill.ClassSubsetDetector',
    detector='yolox/yolox_yolox-nano_thermal_copy_40_roadscene.py',
    checkpoint='checkpoints/yolox_nano_road.pth',
    classes=('person',),
    source_classes=_base_.classes,
)
