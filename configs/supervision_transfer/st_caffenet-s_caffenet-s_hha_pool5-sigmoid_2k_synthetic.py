# As section 4.1: the student tells where the teacher's feature is active.
# Neither tau nor alpha is published.
_base_ = './st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic.py'

model = dict(
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(act_cfg=None),
            loss=dict(type='mmxdistill.ThresholdedSigmoidLoss'),
        )
    ]
)
