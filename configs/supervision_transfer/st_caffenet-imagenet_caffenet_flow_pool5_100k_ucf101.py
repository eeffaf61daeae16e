# Table 7's transfer. Which RGB network taught, and how long, is not published:
# here AlexNet as trained on ImageNet, with 1C's schedule.
_base_ = [
    '../_base_/datasets/ucf101_flow_pairs.py',
    '../_base_/models/st_caffenet_pool5.py',
    '../_base_/schedules/transfer_100k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=_base_.data_preprocessor,
    teacher_checkpoint='checkpoints/caffenet.pth',
    modalities=dict(student='flow'),
)
