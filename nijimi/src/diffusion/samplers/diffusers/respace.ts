/**
 * Karras, exponential and beta levels as diffusers computes them, to the last bit: a level that
 * lies on a timestep must not fall a hair below it, where timesteps are then cut off to whole
 * numbers. Elsewhere `schedules/` has the same rules with names and checks.
 */
import { betaQuantile } from "../../schedules/beta-distribution.ts";
import { linspace } from "../../schedules/numbers.ts";
import type { DiffusersOptions } from "./options.ts";

const KARRAS_RHO = 7;
const BETA_SHAPE = 0.6;

/**
 * Levels over the range of the given ones, from the first of them to the last; undefined when the
 * config asks for none.
 */
export function respace(
  options: DiffusersOptions,
  levels: ArrayLike<number>,
  steps: number,
): Float64Array | undefined {
  const first = options.sigma_max ?? levels[0];
  const last = options.sigma_min ?? levels[levels.length - 1];
  if (options.use_karras_sigmas) {
    const [high, low] = [first ** (1 / KARRAS_RHO), last ** (1 / KARRAS_RHO)];
    return linspace(0, 1, steps).map((u) => (high + u * (low - high)) ** KARRAS_RHO);
  }
  if (options.use_exponential_sigmas)
    return linspace(Math.log(first), Math.log(last), steps).map(Math.exp);
  if (options.use_beta_sigmas)
    return linspace(0, 1, steps).map(
      (u) => last + betaQuantile(1 - u, BETA_SHAPE, BETA_SHAPE) * (first - last),
    );
  return undefined;
}
