# Starts from the student of the supervision transfer, with the RGB head.
_base_ = './yolox_yolox-nano_flow_copy_40_people.py'

load_from = (
    'work_dirs/st_yolox-nano_yolox-nano_flow_neck_200_people/iter_200.pth'
)
