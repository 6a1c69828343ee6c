/** Refusals shared by the schedules: what was got, what is accepted. */
import { NijimiError } from "../../errors.ts";

/** Refuses anything but a whole number of steps in [minimum, maximum]. */
export function checkSteps(
  where: string,
  steps: number,
  { minimum = 1, maximum = Infinity, name = "steps" } = {},
): void {
  if (Number.isInteger(steps) && steps >= minimum && steps <= maximum) return;
  const range = maximum === Infinity ? `≥ ${minimum}` : `between ${minimum} and ${maximum}`;
  throw new NijimiError(
    "option",
    `${where}: ${name} must be a whole number ${range}; got ${steps}.`,
  );
}

/** Refuses NaN, infinities and numbers outside (above, below). */
export function checkNumber(
  where: string,
  name: string,
  value: number,
  { above = -Infinity, below = Infinity } = {},
): void {
  if (Number.isFinite(value) && value > above && value < below) return;
  const parts = [
    above > -Infinity ? `> ${above}` : "",
    below < Infinity ? `< ${below}` : "",
  ].filter((part) => part);
  const range = parts.length > 0 ? ` ${parts.join(" and ")}` : "";
  throw new NijimiError(
    "option",
    `${where}: ${name} must be a finite number${range}; got ${value}.`,
  );
}

/** Refuses a pair of noise levels that is not 0 < sigmaMin ≤ sigmaMax < ∞. */
export function checkSigmaRange(where: string, sigmaMin: number, sigmaMax: number): void {
  if (sigmaMin > 0 && sigmaMin <= sigmaMax && Number.isFinite(sigmaMax)) return;
  throw new NijimiError(
    "option",
    `${where}: noise levels must satisfy 0 < sigmaMin ≤ sigmaMax < ∞; got sigmaMin ${sigmaMin}, sigmaMax ${sigmaMax}.`,
  );
}

/**
 * Refuses betas outside [0, 1] (1 only for a schedule of zero terminal SNR), NaN included, and
 * empty tables.
 */
export function checkBetas(where: string, betas: ArrayLike<number>): void {
  if (betas.length === 0)
    throw new NijimiError("option", `${where}: a schedule needs at least one beta; got none.`);
  for (let t = 0; t < betas.length; t++) {
    if (betas[t] >= 0 && betas[t] <= 1) continue;
    throw new NijimiError(
      "option",
      `${where}: every beta must lie in [0, 1]; got ${betas[t]} at timestep ${t}.`,
    );
  }
}
