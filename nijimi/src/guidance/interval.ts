/**
 * Guidance in a limited interval of noise levels (Kynkäänniemi et al. 2024, arXiv:2404.07724): at
 * high noise it harms, at low noise it does nothing, and outside only the conditional branch is
 * evaluated.
 */
import { NijimiError } from "../errors.ts";
import { COND, type Guidance, type GuidanceContext } from "./types.ts";

/** `guidance` where sigmaLow < σ ≤ sigmaHigh, the conditional prediction elsewhere. */
export function withinInterval(
  guidance: Guidance,
  {
    sigmaLow = 0,
    sigmaHigh = Infinity,
  }: { readonly sigmaLow?: number; readonly sigmaHigh?: number },
): Guidance {
  if (!(sigmaLow <= sigmaHigh))
    throw new NijimiError(
      "option",
      `withinInterval: sigmaLow must not exceed sigmaHigh; got ${sigmaLow}, ${sigmaHigh}.`,
    );
  return during(guidance, ({ sigma }) => sigma > sigmaLow && sigma <= sigmaHigh);
}

/** `guidance` in the steps start ≤ step < end, the conditional prediction elsewhere. */
export function withinSteps(guidance: Guidance, { start = 0, end = Infinity }): Guidance {
  return during(guidance, ({ step }) => step >= start && step < end);
}

function during(guidance: Guidance, active: (at: GuidanceContext) => boolean): Guidance {
  return {
    ...guidance,
    branches: (at) => (active(at) ? guidance.branches(at) : [COND]),
    combine: (predictions, at) =>
      active(at) ? guidance.combine(predictions, at) : predictions[COND],
  };
}
