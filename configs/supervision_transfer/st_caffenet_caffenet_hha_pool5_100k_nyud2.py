# Experiment 1C's transfer: the CaffeNet of the RGB detector teaches one of the
# HHA geometry, at pool5.
_base_ = [
    '../_base_/datasets/nyud2.py',
    '../_base_/models/supervision_transfer.py',
    '../_base_/schedules/transfer_100k.py',
    '../_base_/transfer_runtime.py',
]

model = dict(
    data_preprocessor=dict(modalities=_base_.statistics),
    teacher=dict(type='mmxdistill.CaffeNet', geometry='rgb'),
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet_rgb_40k_nyud2/'
    'iter_40000.pth',
    student=dict(type='mmxdistill.CaffeNet', geometry='hha'),
    modalities=dict(teacher='rgb', student='hha'),
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(
                type='mmxdistill.AdaptationNeck',
                in_channels=256,
                out_channels=256,
            ),
        )
    ],
)
train_dataloader = dict(dataset=_base_.pairs.train)
val_dataloader = dict(dataset=_base_.pairs.val)
test_dataloader = val_dataloader
