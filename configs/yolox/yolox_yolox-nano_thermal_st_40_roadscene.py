# Starts from the student of the supervision transfer, with the RGB head.
_base_ = './yolox_yolox-nano_thermal_copy_40_roadscene.py'

load_from = (
    'work_dirs/st_yolox-nano_yolox-nano_thermal_neck-both_60_roadscene/'
    'iter_60.pth'
)
