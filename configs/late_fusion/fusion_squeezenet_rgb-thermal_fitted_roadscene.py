# Weights of the streams fitted to the images that the detectors learned from.
_base_ = './fusion_squeezenet_rgb-thermal_roadscene.py'

custom_hooks = [dict(type='mmxdistill.FusionWeightsHook')]
val_dataloader = dict(dataset=dict(ann_file='annotations_train.json'))
