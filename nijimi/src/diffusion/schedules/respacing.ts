/**
 * Shortened processes of OpenAI's code (Improved DDPM, arXiv:2102.09672, section 4): which of the T
 * training timesteps are kept, and the betas of the process over those alone.
 *
 * A respacing is
 * - `"ddim50"`: the whole-number stride that gives exactly 50 timesteps from 0;
 * - `"250"`, `"10,10,10"` or `[10, 10, 10]`: T split into as many equal sections as numbers, each
 *   keeping that many evenly spaced timesteps including its first and last;
 * - `"fast27"` (GLIDE): `"10,10,3,2,2"` with the last timestep moved two earlier;
 * - `""`: all timesteps.
 */
import { roundHalfEven } from "../../internal/round-half-even.ts";
import { NijimiError } from "../../errors.ts";
import { checkSteps } from "./check.ts";
import { alphasCumprodOf } from "./diffusion-tables.ts";

/** `"ddim50"`, `"10,10,10"`, `"fast27"`, `""` or the section counts. */
export type Respacing = string | readonly number[];

/** Options of {@link respacedTimesteps}. */
export interface RespacingOptions {
  /**
   * Round k·(size − 1)/(count − 1) instead of a sum of strides. OpenAI's code adds the strides up,
   * and its rounding errors move a timestep by one where the exact value ends in ½. @default false
   */
  readonly exact?: boolean;
}

/**
 * The kept timesteps, increasing.
 *
 * @throws NijimiError `option` when a section is shorter than its count, or no stride gives the
 *   wanted number of DDIM steps
 * @example
 * respacedTimesteps(1000, "10"); // 0, 111, 222, …, 999
 */
export function respacedTimesteps(
  trainSteps: number,
  respacing: Respacing,
  { exact = false }: RespacingOptions = {},
): number[] {
  checkSteps("respacedTimesteps", trainSteps, { name: "trainSteps" });
  if (respacing === "") return Array.from({ length: trainSteps }, (_, t) => t);
  if (respacing === "fast27") {
    const moved = respacedTimesteps(trainSteps, "10,10,3,2,2").map((t) =>
      t === trainSteps - 1 ? trainSteps - 3 : t,
    );
    return [...new Set(moved)].sort((a, b) => a - b);
  }
  if (typeof respacing === "string" && respacing.startsWith("ddim"))
    return ddimStride(trainSteps, parseCount(respacing.slice("ddim".length), respacing));
  const counts =
    typeof respacing === "string"
      ? respacing.split(",").map((part) => parseCount(part, respacing))
      : respacing;
  return sections(trainSteps, counts, exact);
}

/** The betas of the process over the kept timesteps: 1 − ᾱ_kept / ᾱ_previous kept. */
export function respacedBetas(betas: ArrayLike<number>, kept: readonly number[]): Float64Array {
  const alphaBar = alphasCumprodOf(betas);
  for (const t of kept)
    checkSteps("respacedBetas", t, {
      minimum: 0,
      maximum: betas.length - 1,
      name: "every kept timestep",
    });
  let previous = 1;
  return Float64Array.from(kept, (t) => {
    const beta = 1 - alphaBar[t] / previous;
    previous = alphaBar[t];
    return beta;
  });
}

function parseCount(text: string, respacing: string): number {
  if (/^\s*\d+\s*$/.test(text)) return Number(text);
  throw new NijimiError(
    "option",
    `Unknown respacing ${JSON.stringify(respacing)}; accepted: "ddimN", "fast27", "" or counts per section like "10,10,10".`,
  );
}

function ddimStride(trainSteps: number, wanted: number): number[] {
  for (let stride = 1; stride < trainSteps; stride++) {
    const count = Math.ceil(trainSteps / stride);
    if (count === wanted) return Array.from({ length: count }, (_, i) => i * stride);
    if (count < wanted) break;
  }
  throw new NijimiError(
    "option",
    `Respacing "ddim${wanted}": no whole-number stride keeps exactly ${wanted} of ${trainSteps} timesteps; choose another number.`,
  );
}

function sections(trainSteps: number, counts: readonly number[], exact: boolean): number[] {
  const base = Math.floor(trainSteps / counts.length);
  const longer = trainSteps % counts.length; // the first sections take the remainder
  const kept = new Set<number>();
  let start = 0;
  for (const [index, count] of counts.entries()) {
    const size = base + (index < longer ? 1 : 0);
    if (!Number.isInteger(count) || count < 0 || size < count)
      throw new NijimiError(
        "option",
        `Respacing: section ${index} has ${size} timesteps and cannot keep ${count} of them.`,
      );
    const stride = count <= 1 ? 1 : (size - 1) / (count - 1);
    for (let k = 0, sum = 0; k < count; k++, sum += stride) {
      const position = exact && count > 1 ? (k * (size - 1)) / (count - 1) : sum;
      kept.add(start + roundHalfEven(position));
    }
    start += size;
  }
  return [...kept].sort((a, b) => a - b);
}
