/**
 * First linear, then quadratic steps, for models of rectified flow (Mochi 1; Movie Gen,
 * arXiv:2410.13720, section 3.4.2): the first half of the steps removes only `threshold` of the
 * noise.
 */
import { checkNumber, checkSteps } from "./check.ts";

/** `steps` + 1 levels from `sigmaMax` to 0. */
export function linearQuadraticSigmas(
  steps: number,
  {
    threshold = 0.025,
    linearSteps = Math.floor(steps / 2),
    sigmaMax = 1,
  }: {
    readonly threshold?: number;
    readonly linearSteps?: number;
    readonly sigmaMax?: number;
  } = {},
): Float64Array {
  checkSteps("linearQuadraticSigmas", steps);
  checkNumber("linearQuadraticSigmas", "threshold", threshold, { above: 0, below: 1 });
  checkNumber("linearQuadraticSigmas", "sigmaMax", sigmaMax, { above: 0 });
  if (steps === 1) return Float64Array.of(sigmaMax, 0);
  checkSteps("linearQuadraticSigmas", linearSteps, { maximum: steps - 1, name: "linearSteps" });
  const quadraticSteps = steps - linearSteps;
  const gap = linearSteps - threshold * steps;
  const a = gap / (linearSteps * quadraticSteps ** 2);
  const b = threshold / linearSteps - (2 * gap) / quadraticSteps ** 2;
  const c = a * linearSteps ** 2;
  const removed = (i: number) =>
    i < linearSteps ? (i * threshold) / linearSteps : a * i * i + b * i + c;
  return Float64Array.from({ length: steps + 1 }, (_, i) =>
    i === steps ? 0 : sigmaMax * (1 - removed(i)),
  );
}
