"""One guided step or one decode of Stable Diffusion 1.5 at 512 x 512, in PyTorch or OpenVINO, float32 (openvino-bf16: bf16)."""
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

from serve import serve

folder, what, threads, engine = sys.argv[1:5]
torch.set_num_threads(int(threads))
torch.set_grad_enabled(False)


class Unet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")

    def forward(self, sample, timestep, context):
        return self.net(sample, timestep, context, return_dict=False)[0]


class Decode(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.net = AutoencoderKL.from_pretrained(folder, subfolder="vae")

    def forward(self, latents):
        return self.net.decode(latents / 0.18215, return_dict=False)[0]


model = (Unet() if what == "unet" else Decode()).eval()
if what == "unet":
    inputs = (torch.randn(2, 4, 64, 64), torch.tensor([500.0, 500.0]), torch.randn(2, 77, 768))
else:
    inputs = (torch.randn(1, 4, 64, 64),)

if engine == "torch":
    model = model.to(memory_format=torch.channels_last)
    run = lambda: model(*inputs)
else:
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": int(threads), "INFERENCE_PRECISION_HINT": "bf16" if engine.endswith("bf16") else "f32"}
    compiled = core.compile_model(openvino.convert_model(model, example_input=inputs), "CPU", settings)
    arrays = [tensor.numpy() for tensor in inputs]
    run = lambda: compiled(arrays)

serve(run, warmups=1)
