# As Table 4: conv4.
_base_ = './st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    student=dict(geometry='rgb'),
    transfer_points=[
        dict(teacher='conv4', student='conv4', adaptation=dict()),
    ],
)
