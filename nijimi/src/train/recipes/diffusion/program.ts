/** The training program of a diffusion model: noise the data, ask the network, compare with what it should say. */
import { mean } from "../../../graph/ops.ts";
import type { Sym } from "../../../graph/primitives.ts";
import { type InputSpec, spec } from "../../../graph/trace.ts";
import {
  type PreconditionedBatch,
  preconditionedBatch,
  preconditionedLoss,
} from "../../../diffusion/losses/preconditioned-loss.ts";
import type { ErrorNorm } from "../../../diffusion/losses/traced.ts";
import type { Scope } from "../../../nn/layer.ts";
import type { TorchGenerator } from "../../../tensor/random/torch.ts";
import { stack } from "../../../tensor/shape.ts";
import { float32, type Tensor } from "../../../tensor/tensor.ts";
import type { HostTensors } from "../../compile-program.ts";
import type { Player, Program } from "../../program.ts";
import type { Process } from "./process.ts";

/** Inputs of a network beside noisy data and noise level, by name. */
export type Context = Readonly<Record<string, Sym>>;

/** The network of a diffusion model in a trace. */
export type DiffusionNetwork = (
  scopes: Readonly<Record<string, Scope>>,
  x: Sym,
  condition: Sym,
  context: Context,
) => Sym;

/** What a program is made of. */
export interface DiffusionProgram {
  readonly player: Player;
  readonly network: DiffusionNetwork;
  /** [C, H, W] */
  readonly shape: readonly number[];
  readonly batchSize: number;
  readonly norm: ErrorNorm;
  /** Further tensors of a batch, by name. */
  readonly context: Readonly<Record<string, InputSpec>>;
  readonly frozen?: Program["frozen"];
}

const NUMBERS = ["alpha", "std", "cSkip", "cOut", "cIn", "cNoise"] as const;

/** The program; its player is called `unet`. */
export function diffusionProgram({
  player,
  network,
  shape,
  batchSize,
  norm,
  context,
  frozen,
}: DiffusionProgram): Program {
  const data = spec("float32", [batchSize, ...shape]);
  const perSample = spec("float32", [batchSize]);
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, perSample]));
  return {
    players: { unet: player },
    batch: { x0: data, noise: data, weight: perSample, ...numbers, ...context },
    ...(frozen && { frozen }),
    losses: ({ scopes, batch }) => {
      const given = Object.fromEntries(Object.keys(context).map((name) => [name, batch[name]]));
      const loss = preconditionedLoss({
        network: (x, condition) => network(scopes, x, condition, given),
        x0: batch["x0"],
        noise: batch["noise"],
        batch: batch as unknown as PreconditionedBatch<Sym>,
        weight: batch["weight"],
        norm,
      });
      return { losses: { unet: mean(loss) } };
    },
  };
}

/** The tensors of a batch for data [B, C, H, W]; each sample's level and noise come from its own stream. */
export function noisedBatch(
  { preconditioning, draw, weight }: Process,
  x0: Tensor<"float32">,
  perSample: readonly TorchGenerator[],
): HostTensors {
  const sigmas = perSample.map((random) => draw(random.rand([1]).data[0]));
  return {
    x0,
    noise: stack(perSample.map((random) => random.randn(x0.shape.slice(1)))),
    weight: float32([sigmas.length], sigmas.map(weight)),
    ...preconditionedBatch(preconditioning, sigmas),
  };
}
