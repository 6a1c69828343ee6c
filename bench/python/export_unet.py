"""Exports a diffusers U-Net as ONNX with weights beside it: export_unet.py FOLDER FILE.onnx"""
import sys
import torch
from diffusers import UNet2DConditionModel

folder, target = sys.argv[1:3]
net = UNet2DConditionModel.from_pretrained(folder).eval()
with torch.no_grad():  # the random weights repeat, and the exporter would write equal ones once
    for i, weight in enumerate(net.parameters()):
        weight.mul_(1 + i * 1e-5)


class Forward(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = net

    def forward(self, sample, timestep, context):
        return self.net(sample, timestep, encoder_hidden_states=context, return_dict=False)[0]


batch, size = {0: "batch"}, {0: "batch", 2: "height", 3: "width"}
with torch.no_grad():
    torch.onnx.export(
        Forward(),
        (torch.randn(2, 4, 64, 64), torch.full((2,), 500.0), torch.randn(2, 77, 768)),
        target,
        input_names=["sample", "timestep", "context"],
        output_names=["out"],
        dynamic_axes={"sample": size, "timestep": batch, "context": batch, "out": size},
        opset_version=17,
        dynamo=False,
    )
