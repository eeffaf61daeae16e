# Table 4: pool2.
_base_ = './st_caffenet_caffenet_hha_pool5_100k_nyud2.py'

model = dict(
    transfer_points=[
        dict(teacher='pool2', student='pool2', adaptation=dict()),
    ]
)
