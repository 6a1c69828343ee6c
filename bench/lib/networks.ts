/** The networks whose training step is timed. */
import { add, type InputSpec, mean, silu, spec, square, sub, type Sym } from "nijimi/graph";
import { unet2d, UNET_2D_VARIANTS } from "nijimi/models";
import { conv2d as convLayer, groupNorm, type Layer, module, type Scope } from "nijimi/nn";

/** A network to train: its inputs and its loss. */
export interface BenchNetwork {
  readonly batch: Readonly<Record<string, InputSpec<"float32">>>;
  readonly layer: Layer<never, unknown>;
  readonly loss: (scope: Scope, batch: Readonly<Record<string, Sym>>) => Sym;
}

/** Six residual blocks of GroupNorm–SiLU–convolution, twice each. */
function residualStack(batch: number, channels: number, size: number): BenchNetwork {
  const block = () =>
    module(
      {
        norm1: groupNorm(32, channels),
        conv1: convLayer(channels, channels, 3, { padding: 1 }),
        norm2: groupNorm(32, channels),
        conv2: convLayer(channels, channels, 3, { padding: 1 }),
      },
      (m, x: Sym) => add(x, m.conv2(silu(m.norm2(m.conv1(silu(m.norm1(x))))))),
    );
  const layer = module({ blocks: Array.from({ length: 6 }, block) }, (m, x: Sym) =>
    m.blocks.reduce((h, next) => next(h), x),
  );
  return {
    batch: {
      x: spec("float32", [batch, channels, size, size]),
      target: spec("float32", [batch, channels, size, size]),
    },
    layer: layer as never,
    loss: (scope, { x, target }) => mean(square(sub(layer.apply(scope, "", x), target))),
  };
}

/** DDPM's CIFAR-10 network, 35.7 M parameters, epsilon loss. */
function ddpmCifar(batch: number): BenchNetwork {
  const layer = unet2d(UNET_2D_VARIANTS["ddpm-cifar10"]);
  const image = [batch, 3, 32, 32];
  return {
    batch: {
      x: spec("float32", image),
      target: spec("float32", image),
      t: spec("float32", [batch]),
    },
    layer: layer as never,
    loss: (scope, { x, target, t }) =>
      mean(square(sub(layer.apply(scope, "", { sample: x, timestep: t }), target))),
  };
}

export const NETWORKS: Readonly<Record<string, () => BenchNetwork>> = {
  "residual-16x64@32": () => residualStack(16, 64, 32),
  "residual-32x128@16": () => residualStack(32, 128, 16),
  "residual-8x192@32": () => residualStack(8, 192, 32),
  "ddpm-cifar10-batch8": () => ddpmCifar(8),
};
