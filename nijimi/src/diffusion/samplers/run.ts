/** Running a sampler to its end. */
import { invariant } from "../../errors.ts";
import type { SamplerRun, SamplerStep } from "./types.ts";

/**
 * The last step of a run, for callers who want no previews.
 *
 * @example
 * const { x } = await lastStep(euler({ denoise, x: start, sigmas }));
 */
export async function lastStep(run: SamplerRun): Promise<SamplerStep> {
  let last: SamplerStep | undefined;
  for await (const step of run) last = step;
  invariant(last, "a sampler ended without a step");
  return last;
}
