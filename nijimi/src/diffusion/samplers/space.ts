/**
 * The three ways a noisy state is scaled (see the table in `types.ts`) as functions of `sigma`. λ =
 * log(α/σ_t) is half the log-SNR of Kingma et al. 2021 (arXiv:2107.00630) and the time of
 * DPM-Solver (Lu et al. 2022, arXiv:2206.00927); it means the same in every space.
 */
import { unknownName } from "../../errors.ts";
import type { Space } from "./types.ts";

/** Names of the spaces. */
export const SPACES = ["ve", "vp", "flow"] as const satisfies readonly Space[];

/** One noise level: x = alpha·x0 + std·noise. */
export interface Level {
  /** The level as given, in the space's own unit. */
  readonly sigma: number;
  readonly alpha: number;
  /** σ_t of the papers. Equal to `sigma` except in `vp`. */
  readonly std: number;
  /** log(alpha/std): ∞ without noise, −∞ without signal. */
  readonly lambda: number;
}

/**
 * The level that `sigma` names in `space`. Infinity is the level without signal of `vp` (zero
 * terminal SNR).
 *
 * @example
 * levelOf("flow", 0.25); // { sigma: 0.25, alpha: 0.75, std: 0.25, lambda: 1.0986… }
 */
export function levelOf(space: Space, sigma: number): Level {
  switch (space) {
    case "ve":
      return { sigma, alpha: 1, std: sigma, lambda: -Math.log(sigma) };
    case "vp": {
      const alpha = 1 / Math.sqrt(1 + sigma * sigma);
      return {
        sigma,
        alpha,
        std: sigma === Infinity ? 1 : sigma * alpha,
        lambda: -Math.log(sigma),
      };
    }
    case "flow":
      return { sigma, alpha: 1 - sigma, std: sigma, lambda: Math.log1p(-sigma) - Math.log(sigma) };
    default:
      throw unknownName("space", String(space), SPACES);
  }
}

/** The sigma at which `lambda` is reached: inverse of `levelOf(…).lambda`. */
export function sigmaAtLambda(space: Space, lambda: number): number {
  return space === "flow" ? 1 / (1 + Math.exp(lambda)) : Math.exp(-lambda);
}

/** Noise : signal ratio of a level, the sigma of `ve` and `vp`. */
export function ratioOf(level: Level): number {
  return level.std / level.alpha;
}

/** The level of `space` with the given noise : signal ratio. */
export function levelAtRatio(space: Space, ratio: number): Level {
  return levelOf(space, space === "flow" ? ratio / (1 + ratio) : ratio);
}
