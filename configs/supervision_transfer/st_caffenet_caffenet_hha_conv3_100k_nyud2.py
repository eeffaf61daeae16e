# Table 4: conv3.
_base_ = './st_caffenet_caffenet_hha_pool5_100k_nyud2.py'

model = dict(
    transfer_points=[
        dict(teacher='conv3', student='conv3', adaptation=dict()),
    ]
)
