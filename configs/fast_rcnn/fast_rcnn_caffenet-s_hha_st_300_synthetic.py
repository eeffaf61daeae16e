# Starts from the student of the supervision transfer; the head is random.
_base_ = './fast_rcnn_caffenet-s_hha_random_300_synthetic.py'

load_from = (
    'work_dirs/st_caffenet-s_caffenet-s_hha_pool5_2k_synthetic/iter_2000.pth'
)
