/**
 * NCSN's noise levels: a geometric sequence from σ_1 to σ_L, without a final 0 (Song & Ermon 2019,
 * arXiv:1907.05600, section 4.1), and how many of them NCSNv2 takes (Song & Ermon 2020,
 * arXiv:2006.09011, technique 2).
 */
import { normalCdf } from "../likelihood/normal-distribution.ts";
import { checkSigmaRange, checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";
import type { SigmaRange } from "./sigmas-karras.ts";

/** `count` levels from σ_max down to σ_min, both included. */
export function geometricSigmas(count: number, { sigmaMin, sigmaMax }: SigmaRange): Float64Array {
  checkSteps("geometricSigmas", count, { name: "count" });
  checkSigmaRange("geometricSigmas", sigmaMin, sigmaMax);
  return linspace(Math.log(sigmaMax), Math.log(sigmaMin), count).map(Math.exp);
}

/**
 * The number of levels at which neighbouring noises overlap by half: the ratio γ of neighbours
 * solves Φ(√(2D)(γ − 1) + 3γ) − Φ(√(2D)(γ − 1) − 3γ) = ½.
 *
 * @param dimensions D, the number of values of an image
 * @example
 * geometricLevelCount(3 * 32 * 32, { sigmaMin: 0.01, sigmaMax: 50 }); // 219; the authors took 232
 */
export function geometricLevelCount(
  dimensions: number,
  { sigmaMin, sigmaMax }: SigmaRange,
): number {
  checkSteps("geometricLevelCount", dimensions, { name: "dimensions" });
  checkSigmaRange("geometricLevelCount", sigmaMin, sigmaMax);
  const overlap = (gamma: number) => {
    const shift = Math.sqrt(2 * dimensions) * (gamma - 1);
    return normalCdf(shift + 3 * gamma) - normalCdf(shift - 3 * gamma);
  };
  let [low, high] = [1, 100]; // the overlap falls from 0.997 with growing γ
  while (high - low > 1e-12) {
    const middle = (low + high) / 2;
    if (overlap(middle) > 0.5) low = middle;
    else high = middle;
  }
  return Math.round(Math.log(sigmaMax / sigmaMin) / Math.log(low)) + 1;
}
