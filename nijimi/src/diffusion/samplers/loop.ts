/**
 * What every sampling loop does around its formula: refuse bad input, stop when told to, ask the
 * denoiser.
 */
import { NijimiError, unknownName } from "../../errors.ts";
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { type Level, levelOf, SPACES } from "./space.ts";
import type { Prediction, SamplerInput, SamplerStep, Space } from "./types.ts";

type F32 = Tensor<"float32">;

/** A checked {@link SamplerInput}. */
export interface Loop {
  readonly x: F32;
  readonly space: Space;
  /** The levels, one more than there are steps. */
  readonly levels: readonly Level[];
  readonly steps: number;
  /** Step to begin at. */
  readonly first: number;
  /** Level in the loop's space. */
  level(sigma: number): Level;
  /** Asks the denoiser, unless the signal has fired. */
  evaluate(x: F32, at: Level, step: number): Promise<Prediction>;
  /** Unit noise for the interval. */
  noise(from: Level, to: Level): F32;
  /** The event of a finished step, which reached `levels[step + 1]`. */
  finished(step: number, x: F32, denoised: F32): SamplerStep;
}

/** What a sampler demands of its input. */
export interface LoopOptions {
  /** The sampler needs `noise`. @default false */
  readonly stochastic?: boolean;
  /** Direction of the levels: an inversion goes up, resampling both ways. @default "falling" */
  readonly direction?: "falling" | "rising" | "any";
  /** Fewest levels accepted. @default 2 */
  readonly minimumLevels?: number;
}

/**
 * Checks the input of a sampler.
 *
 * @throws NijimiError `option` for levels that are not falling numbers ≥ 0, an unknown space or
 * missing noise; `shape` for a start whose data does not fit its shape
 */
export function beginLoop(sampler: string, input: SamplerInput, options: LoopOptions = {}): Loop {
  const { denoise, x, space = "ve", noise, signal, firstStep = 0 } = input;
  if (!SPACES.includes(space)) throw unknownName("space", String(space), SPACES);
  const sigmas = Float64Array.from(input.sigmas);
  checkSigmas(sampler, sigmas, space, options);
  if (x.dtype !== "float32" || x.data.length !== sizeOf(x.shape))
    throw new NijimiError(
      "shape",
      `${sampler}: the start must be a dense float32 tensor; got ${x.dtype} [${x.shape}] with ${x.data.length} elements.`,
    );
  if (options.stochastic && !noise)
    throw new NijimiError(
      "option",
      `${sampler}: this sampler adds noise with these options; pass \`noise\`.`,
    );
  const level = (sigma: number) => levelOf(space, sigma);
  const steps = sigmas.length - 1;
  if (!(Number.isInteger(firstStep) && firstStep >= 0 && firstStep < Math.max(1, steps)))
    throw new NijimiError(
      "option",
      `${sampler}: firstStep must be a whole number from 0 to ${steps - 1}; got ${firstStep}.`,
    );
  return {
    x,
    space,
    levels: Array.from(sigmas, level),
    steps,
    first: firstStep,
    level,
    async evaluate(state, at, step) {
      stopIfAborted(sampler, signal);
      const prediction = await denoise(state, at.sigma, { step, signal });
      if (prediction.denoised.data.length !== state.data.length)
        throw new NijimiError(
          "shape",
          `${sampler}: the denoiser returned [${prediction.denoised.shape}] for a state of [${state.shape}]; both must agree.`,
        );
      return prediction;
    },
    noise(from, to) {
      if (!noise)
        throw new NijimiError("option", `${sampler}: noise is needed here; pass \`noise\`.`);
      const drawn = noise(x.shape, { sigma: from.sigma, sigmaNext: to.sigma });
      if (drawn.data.length !== x.data.length)
        throw new NijimiError(
          "shape",
          `${sampler}: the noise source returned [${drawn.shape}]; expected [${x.shape}].`,
        );
      return drawn;
    },
    finished: (step, state, denoised) => ({
      step,
      steps,
      sigma: sigmas[step + 1],
      x: state,
      denoised,
    }),
  };
}

/** Throws `cancelled` once the signal has fired. */
export function stopIfAborted(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted)
    throw new NijimiError("cancelled", `${what}: cancelled by the caller.`, {
      cause: signal.reason,
    });
}

/** Refuses an option outside [low, high], NaN included. */
export function checkRange(
  sampler: string,
  name: string,
  value: number,
  low: number,
  high = Infinity,
): void {
  if (value >= low && value <= high) return;
  const range = high === Infinity ? `≥ ${low}` : `between ${low} and ${high}`;
  throw new NijimiError("option", `${sampler}: ${name} must be a number ${range}; got ${value}.`);
}

/** Refuses an option that is not one of the accepted names or numbers. */
export function checkChoice<T extends string | number>(
  sampler: string,
  name: string,
  value: T,
  accepted: readonly T[],
): void {
  if (accepted.includes(value)) return;
  throw unknownName(`${name} of ${sampler}`, String(value), accepted.map(String));
}

function checkSigmas(
  sampler: string,
  sigmas: Float64Array,
  space: Space,
  { direction = "falling", minimumLevels = 2 }: LoopOptions,
): void {
  if (sigmas.length < minimumLevels)
    throw new NijimiError(
      "option",
      `${sampler}: got ${sigmas.length} noise levels; n steps need n + 1, so at least ${minimumLevels}.`,
    );
  const highest = space === "flow" ? 1 : space === "ve" ? Number.MAX_VALUE : Infinity;
  for (const [i, sigma] of sigmas.entries()) {
    if (!(sigma >= 0 && sigma <= highest))
      throw new NijimiError(
        "option",
        `${sampler}: noise level ${i} is ${sigma}; in space "${space}" levels lie between 0 and ${highest}.`,
      );
    const before = sigmas[i - 1];
    if (
      i > 0 &&
      ((direction === "falling" && sigma > before) || (direction === "rising" && sigma < before))
    )
      throw new NijimiError(
        "option",
        `${sampler}: noise levels must be ${direction}; level ${i} is ${sigma} after ${before}.`,
      );
  }
  if (direction === "falling" && sigmas[0] === 0)
    throw new NijimiError(
      "option",
      `${sampler}: the first noise level is 0; there is nothing to remove.`,
    );
}
