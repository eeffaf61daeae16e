# Table 4: pool1.
_base_ = './st_caffenet_caffenet_hha_pool5_100k_nyud2.py'

model = dict(
    transfer_points=[
        dict(teacher='pool1', student='pool1', adaptation=dict()),
    ]
)
