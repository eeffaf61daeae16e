# As Table 4: pool1.
_base_ = './st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    student=dict(geometry='rgb'),
    transfer_points=[
        dict(teacher='pool1', student='pool1', adaptation=dict()),
    ],
)
