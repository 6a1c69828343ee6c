"""PyTorch's side of the latent-step bench: diffusers' U-Net of the given config, MSE, AdamW, eager.

Usage: latent_step.py CONFIG BATCH,CHANNELS,SIDE,TOKENS,WIDTH [THREADS]
"""
import json, sys
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from serve import serve

torch.set_num_threads(int(sys.argv[3]) if len(sys.argv) > 3 else 2)
torch.manual_seed(0)
with open(sys.argv[1]) as file:
    net = UNet2DConditionModel.from_config(json.load(file))
batch, channels, side, tokens, width = map(int, sys.argv[2].split(","))
optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4)
x, target = torch.randn(2, batch, channels, side, side)
states = torch.randn(batch, tokens, width)
t = torch.randint(0, 1000, (batch,)).float()


def step():
    optimiser.zero_grad(set_to_none=True)
    F.mse_loss(net(x, t, states).sample, target).backward()
    optimiser.step()


serve(step)
