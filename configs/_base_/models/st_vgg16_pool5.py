# The VGG16 of the RGB detector teaches another, at pool5.
_base_ = './st_vgg16_caffenet_pool5.py'

model = dict(
    student=dict(_delete_=True, type='mmxdistill.VGG16'),
    transfer_points=[
        dict(teacher='pool5', student='pool5', adaptation=dict())
    ],
)
