/** A network of several branches and a guidance as the denoiser that samplers call. */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type DenoiserOptions,
  learnedVariance,
  noiseOf,
  splitVariance,
} from "../diffusion/parameterisations/denoiser.ts";
import type { Preconditioning } from "../diffusion/parameterisations/preconditioning.ts";
import { isLearned } from "../diffusion/parameterisations/variance.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { levelOf } from "../diffusion/samplers/space.ts";
import type { Denoiser, Prediction } from "../diffusion/samplers/types.ts";
import { type BranchNetwork, COND, type Guidance } from "./types.ts";

type F32 = Tensor<"float32">;

/**
 * D(x, σ) with guidance. Networks with a learned variance are guided in their mean; the variance is
 * that of `cond`. `transform` (clipping) comes after guidance.
 *
 * @throws NijimiError `shape` for outputs that do not fit the state; `option` when the network
 *   gives too few branches
 * @example
 * const guidance = classifierFree({ guidanceScale: 7.5 });
 * const denoise = guidedDenoiser(network, discretePreconditioning(table), guidance);
 */
export function guidedDenoiser(
  network: BranchNetwork,
  preconditioning: Preconditioning,
  guidance: Guidance,
  { transform, keepEps = false, variance = "fixed-small" }: DenoiserOptions = {},
): Denoiser {
  const learned = isLearned(variance);
  return async (x, sigma, context): Promise<Prediction> => {
    const at = { sigma, step: context.step };
    const scalings = preconditioning.at(sigma);
    const names = guidance.branches(at);
    const input = scalings.cIn === 1 ? x : combine([scalings.cIn, x]);
    const outputs = await network(input, scalings.cNoise, names, context);
    if (outputs.length !== names.length)
      throw new NijimiError(
        "option",
        `Guidance asked the network for ${names.join(", ")} and got ${outputs.length} predictions.`,
      );
    const halves = outputs.map((output) => splitVariance(output, x.shape, learned));
    const toX0 = (prediction: F32) => combine([scalings.cSkip, x], [scalings.cOut, prediction]);
    const before = guidance.domain === "x0" ? toX0 : unchanged;
    const after = guidance.domain === "x0" ? unchanged : toX0;
    const predictions = Object.fromEntries(names.map((name, i) => [name, before(halves[i][0])]));
    const combined = guidance.combine(predictions, at);
    const guided = "prediction" in combined ? combined : { prediction: combined };
    const raw = after(guided.prediction);
    const epsFrom = "epsFrom" in guided ? after(guided.epsFrom) : keepEps && transform && raw;
    const second = halves[Math.max(0, names.indexOf(COND))][1];
    return {
      denoised: transform ? transform(raw) : raw,
      ...(epsFrom && { eps: noiseOf(x, epsFrom, levelOf(preconditioning.space, sigma)) }),
      ...(second && learnedVariance(variance, second)),
    };
  };
}

function unchanged(prediction: F32): F32 {
  return prediction;
}
