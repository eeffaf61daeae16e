# Table 1, 1C: AlexNet as trained on ImageNet teaches AlexNet.
_base_ = './st_caffenet_caffenet_hha_pool5_100k_nyud2.py'

model = dict(teacher_checkpoint='checkpoints/caffenet.pth')
