# Table 1, 1B: starts from the ImageNet CaffeNet, as RGB does.
_base_ = './fast_rcnn_caffenet_hha_st_40k_nyud2.py'

load_from = 'checkpoints/caffenet.pth'
