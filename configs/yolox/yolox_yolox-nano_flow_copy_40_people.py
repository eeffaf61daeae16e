_base_ = [
    '../_base_/datasets/people_flow_detection_flow.py',
    '../_base_/models/yolox_nano.py',
    '../_base_/schedules/adamw_40.py',
    '../_base_/default_runtime.py',
]

model = dict(data_preprocessor=_base_.data_preprocessor)
load_from = 'checkpoints/yolox_nano_person.pth'
