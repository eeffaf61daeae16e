# Starts from the RGB detector's backbone; the head is random.
_base_ = './fast_rcnn_caffenet-s_hha_random_300_synthetic.py'

model = dict(
    backbone=dict(
        init_cfg=dict(
            _delete_=True,
            type='Pretrained',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_rgb_2k_synthetic/'
            'iter_2000.pth',
            prefix='backbone.',
        )
    )
)
