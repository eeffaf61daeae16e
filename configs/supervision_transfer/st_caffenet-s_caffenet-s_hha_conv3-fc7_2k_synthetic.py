# As Table 4: conv3 and fc7.
_base_ = './st_caffenet-s_caffenet-s_hha_fc7_2k_synthetic.py'

model = dict(
    transfer_points=[
        dict(teacher='conv3', student='conv3', adaptation=dict()),
        dict(teacher='fc7', student='fc7', adaptation=dict()),
    ]
)
