/**
 * NCSN's noise levels: a geometric sequence from σ_1 to σ_L, without a final 0 (Song & Ermon 2019,
 * arXiv:1907.05600, section 4.1), and NCSNv2's choice of σ_1 and L (Song & Ermon 2020,
 * arXiv:2006.09011).
 */
import { checkSigmaRange, checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";
import type { SigmaRange } from "./sigmas-karras.ts";

/** `count` levels from σ_max down to σ_min, both included. */
export function geometricSigmas(count: number, { sigmaMin, sigmaMax }: SigmaRange): Float64Array {
  checkSteps("geometricSigmas", count, { name: "count" });
  checkSigmaRange("geometricSigmas", sigmaMin, sigmaMax);
  return linspace(Math.log(sigmaMax), Math.log(sigmaMin), count).map(Math.exp);
}
