# Table 4: fc6 of 64 proposals an image.
_base_ = './st_caffenet_caffenet_hha_fc7_100k_nyud2.py'

model = dict(
    transfer_points=[
        dict(teacher='fc6', student='fc6', adaptation=dict()),
    ]
)
