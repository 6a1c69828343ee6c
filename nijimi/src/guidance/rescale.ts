/**
 * Guidance rescale (Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are
 * Flawed", arXiv:2305.08891, eq. 15–16): guided predictions are brought back to the standard
 * deviation of the conditional one, which prevents over-exposure.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { checkNumber } from "../diffusion/schedules/check.ts";
import { combinePerSample, stdPerSample } from "./statistics.ts";
import { COND, type Guidance } from "./types.ts";

/** φ·guided·std(cond)/std(guided) + (1 − φ)·guided, per sample. */
export function rescaleGuided(
  guided: Tensor<"float32">,
  cond: Tensor<"float32">,
  phi: number,
): Tensor<"float32"> {
  const stds = stdPerSample(guided);
  const factors = stdPerSample(cond).map((std, b) => phi * (std / stds[b]) + 1 - phi);
  return combinePerSample(
    guided,
    factors,
    guided,
    factors.map(() => 0),
  );
}

/** `guidance`, rescaled. @param phi 0 changes nothing, 1 rescales fully; the paper uses 0.7 */
export function withRescale(guidance: Guidance, phi: number): Guidance {
  checkNumber("withRescale", "phi", phi, { above: -1e-9, below: 1 + 1e-9 });
  return {
    ...guidance,
    combine: (predictions, at) => {
      const guided = guidance.combine(predictions, at);
      if (phi === 0) return guided;
      return "prediction" in guided
        ? { ...guided, prediction: rescaleGuided(guided.prediction, predictions[COND], phi) }
        : rescaleGuided(guided, predictions[COND], phi);
    },
  };
}
