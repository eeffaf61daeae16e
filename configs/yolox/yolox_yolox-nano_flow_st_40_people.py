# Starts from the student of the supervision transfer, with the RGB head.
_base_ = './yolox_yolox-nano_flow_copy_40_people.py'

load_from = (
    'work_dirs/st_yolox-nano_yolox-nano_flow_neck_200_people/iter_200.pth'
)
# Best on the last third of the training videos, as is 0.001 for COCO weights.
optim_wrapper = dict(optimizer=dict(lr=0.0003))
