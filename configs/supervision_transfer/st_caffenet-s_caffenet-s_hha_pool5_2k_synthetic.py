_base_ = [
    '../_base_/datasets/synthetic_rgbd.py',
    '../_base_/models/supervision_transfer.py',
    '../_base_/schedules/transfer_adamw_2k.py',
    '../_base_/transfer_runtime.py',
]
net = dict(
    type='mmxdistill.CaffeNet',
    channels=(32, 64, 96, 96, 64),
    init_cfg=dict(type='Kaiming', layer='Conv2d'),
)

model = dict(
    data_preprocessor=dict(modalities=_base_.statistics),
    teacher=dict(**net, geometry='rgb'),
    teacher_checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/'
    'iter_2000.pth',
    student=dict(**net, geometry='hha'),
    modalities=dict(teacher='rgb', student='hha'),
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(
                type='mmxdistill.AdaptationNeck',
                in_channels=64,
                out_channels=64,
            ),
        )
    ],
)
pair_modalities = ['rgb', 'hha']
train_dataloader = dict(
    dataset=dict(**_base_.pairs.train, use=pair_modalities)
)
val_dataloader = dict(dataset=dict(**_base_.pairs.test, use=pair_modalities))
test_dataloader = val_dataloader
