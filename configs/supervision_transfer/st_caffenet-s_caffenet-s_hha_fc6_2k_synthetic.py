# As Table 4: fc6 of 64 proposals an image.
_base_ = './st_caffenet-s_caffenet-s_hha_fc7_2k_synthetic.py'

model = dict(
    transfer_points=[
        dict(teacher='fc6', student='fc6', adaptation=dict()),
    ]
)
