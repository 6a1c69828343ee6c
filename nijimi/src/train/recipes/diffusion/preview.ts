/** Samples of a model in training: DDIM with classifier-free guidance, from noise that is the same every time. */
import { levelOf } from "../../../diffusion/samplers/space.ts";
import { ddim } from "../../../diffusion/samplers/ddim.ts";
import { lastStep } from "../../../diffusion/samplers/run.ts";
import { classifierFree } from "../../../guidance/classifier-free.ts";
import { guidedDenoiser } from "../../../guidance/guided-denoiser.ts";
import { torchGenerator } from "../../../tensor/random/torch.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { Process } from "./process.ts";

/** The network for a batch: state, what it is told of the noise level, and whether the condition is given. */
export type PreviewNetwork = (
  x: Tensor<"float32">,
  cNoise: number,
  conditional: boolean,
) => Promise<Tensor<"float32">>;

/** Options of {@link samplePreview}. */
export interface PreviewOptions {
  /** [N, C, H, W] */
  readonly shape: readonly number[];
  /** uncond + scale·(cond − uncond); 1: conditional alone. */
  readonly guidanceScale: number;
  /** @default 25 */
  readonly steps?: number;
  /** @default 0 */
  readonly seed?: number;
}

/** Samples [N, C, H, W]. */
export async function samplePreview(
  process: Process,
  network: PreviewNetwork,
  { shape, guidanceScale, steps = 25, seed = 0 }: PreviewOptions,
): Promise<Tensor<"float32">> {
  const { preconditioning } = process;
  const denoise = guidedDenoiser(
    (x, cNoise, branches) => inTurn(branches, (branch) => network(x, cNoise, branch === "cond")),
    preconditioning,
    classifierFree({ guidanceScale }),
  );
  const sigmas = process.sigmas(steps);
  const { std } = levelOf(preconditioning.space, sigmas[0]);
  const noise = torchGenerator(seed).randn(shape);
  const x = { ...noise, data: noise.data.map((value) => value * std) };
  return (await lastStep(ddim({ denoise, x, sigmas, space: preconditioning.space }))).x;
}

async function inTurn<T, R>(items: readonly T[], fn: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const item of items) results.push(await fn(item));
  return results;
}
