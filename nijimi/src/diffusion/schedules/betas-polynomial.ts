/**
 * Betas that are powers of a straight line: β_t = (β_start^{1/p} + t·…)^p.
 *
 * - p = 1, "linear": Ho et al. 2020 (DDPM, arXiv:2006.11239), section 4.
 * - p = 2, "scaled-linear": Rombach et al. 2022 (LDM, arXiv:2112.10752), who call it "linear";
 *   DDPM's code calls it "quad".
 *
 * LDM's "sqrt" is another thing: the square root of a straight line between the two betas.
 */
import { checkNumber, checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";

/** First and last beta of a schedule. */
export interface BetaRange {
  /** β of the first timestep. @default 0.0001 */
  readonly betaStart?: number;
  /** β of the last timestep. @default 0.02 */
  readonly betaEnd?: number;
}

/** β_t = line(β_start^{1/power}, β_end^{1/power})^power over `steps` timesteps. */
export function polynomialBetas(
  steps: number,
  { betaStart = 1e-4, betaEnd = 0.02, power = 1 }: BetaRange & { readonly power?: number } = {},
): Float64Array {
  checkSteps("polynomialBetas", steps);
  for (const [name, value] of [
    ["betaStart", betaStart],
    ["betaEnd", betaEnd],
  ] as const)
    checkNumber("polynomialBetas", name, value);
  return linspace(betaStart ** (1 / power), betaEnd ** (1 / power), steps).map((x) => x ** power);
}

/** DDPM's linear betas. */
export function linearBetas(steps: number, range: BetaRange = {}): Float64Array {
  return polynomialBetas(steps, { ...range, power: 1 });
}

/**
 * Stable Diffusion's betas, linear in √β; with `{ betaStart: 0.00085, betaEnd: 0.012 }` they are
 * Stable Diffusion's own.
 */
export function scaledLinearBetas(steps: number, range: BetaRange = {}): Float64Array {
  return polynomialBetas(steps, { ...range, power: 2 });
}

/** LDM's "sqrt": β_t = √line(β_start, β_end), far larger than the betas it is given. */
export function sqrtBetas(steps: number, range: BetaRange = {}): Float64Array {
  return linearBetas(steps, range).map(Math.sqrt);
}

/**
 * OpenAI's linear betas: DDPM's range multiplied by 1000 / steps, so that a shorter chain reaches
 * the same noise (Improved DDPM, GLIDE, DALL·E 2). Below about 20 steps the last betas pass 1 and
 * are refused by what uses them.
 *
 * @param power 1 for "linear", 2 for DALLE2-pytorch's "quadratic"
 */
export function linearBetasPerThousand(
  steps: number,
  { power = 1 }: { readonly power?: number } = {},
): Float64Array {
  return polynomialBetas(steps, { betaStart: 0.1 / steps, betaEnd: 20 / steps, power });
}
