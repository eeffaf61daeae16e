# As Table 1, 3B.
_base_ = './fusion_caffenet-s_rgb-hha_synthetic.py'

hha = 'fast_rcnn/fast_rcnn_caffenet-s_hha_copy_300_synthetic.py'
model = dict(streams=dict(hha=dict(model=hha)))
