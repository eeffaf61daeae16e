# As Table 4: pool2.
_base_ = './st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    student=dict(geometry='rgb'),
    transfer_points=[
        dict(teacher='pool2', student='pool2', adaptation=dict()),
    ],
)
