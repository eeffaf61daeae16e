# The VGG16 of the RGB detector teaches CaffeNet, whose padding is changed so
# that the pool5 grids agree. The scaling layer brings the teacher's feature
# norm to that of CaffeNet's, measured before training.
_base_ = './st_caffenet_pool5.py'

model = dict(
    teacher=dict(_delete_=True, type='mmxdistill.VGG16'),
    teacher_checkpoint='work_dirs/fast_rcnn_vgg16_rgb_40k_nyud2/'
    'iter_40000.pth',
    student=dict(geometry='hha'),
    transfer_points=[
        dict(
            teacher='pool5',
            student='pool5',
            adaptation=dict(),
            scale='auto',
        )
    ],
)
