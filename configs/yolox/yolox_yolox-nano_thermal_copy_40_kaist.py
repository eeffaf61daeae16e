# A detector of road scenes, whose first class is the person.
_base_ = [
    '../_base_/datasets/kaist_416_detection_thermal.py',
    '../_base_/models/yolox_nano.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/default_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    bbox_head=dict(num_classes=3),
)
load_from = 'checkpoints/yolox_nano_road.pth'
