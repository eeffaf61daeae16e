# As Table 1, 3B.
_base_ = './fusion_caffenet-s_rgb-hha_synthetic.py'

model = dict(
    streams=dict(
        hha=dict(
            model='fast_rcnn/fast_rcnn_caffenet-s_hha_copy_300_synthetic.py',
            checkpoint='work_dirs/fast_rcnn_caffenet-s_hha_copy_300_synthetic/'
            'iter_300.pth',
        ),
    )
)
