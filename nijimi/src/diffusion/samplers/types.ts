/**
 * What samplers see and give: a denoiser, a list of noise levels, a source of noise, and steps.
 *
 * A noisy state is x = α·x0 + σ_t·noise. A sampler is told its levels as one number each, `sigma`,
 * and a {@link Space} that says what that number means and how the state is scaled:
 *
 * | space  | sigma               | α           | σ_t         | used by                                   |
 * |--------|---------------------|-------------|-------------|-------------------------------------------|
 * | `ve`   | noise : signal      | 1           | σ           | NCSN, EDM, k-diffusion, Euler … in diffusers |
 * | `vp`   | noise : signal      | 1/√(1+σ²)   | σ/√(1+σ²)   | DDPM, DDIM, DPM-Solver, UniPC in diffusers |
 * | `flow` | share of noise, 0…1 | 1 − σ       | σ           | rectified flow                            |
 *
 * `ve` and `vp` describe the same levels by the same sigma; only the scale of x differs. Every
 * sampler is written once, in (α, σ_t), and runs in each space (see `space.ts`).
 */
import type { Tensor } from "../../tensor/tensor.ts";

/** How a state is scaled and what `sigma` means; see the table in `types.ts`. */
export type Space = "ve" | "vp" | "flow";

/** What a network says about a noisy state, after clipping, guidance and preconditioning. */
export interface Prediction {
  /** Estimate of x0. Same shape as x. */
  readonly denoised: Tensor<"float32">;
  /**
   * Estimate of the noise. Leave it out where it is (x − α·denoised)/σ_t, which samplers then
   * compute; give it where it is not, as when x0 was clipped and the noise deliberately kept
   * (diffusers' DDIM).
   */
  readonly eps?: Tensor<"float32">;
  /**
   * Improved DDPM's v (eq. 15), −1…1: the log-variance lies at (v+1)/2 between log β̃ and log β of
   * the step taken, which only the sampler knows. Same shape as x.
   */
  readonly varianceRange?: Tensor<"float32">;
  /** Log-variance of the step, learned directly. Same shape as x. */
  readonly logVariance?: Tensor<"float32">;
  /**
   * Added to the mean of an ancestral DDPM step after multiplication with the step's variance:
   * scale·∇ₓ log p(y|x) of classifier guidance. Same shape as x. Other samplers ignore it.
   */
  readonly meanGradient?: Tensor<"float32">;
}

/** Why the denoiser is being asked. */
export interface DenoiseContext {
  /** Step of the sampler, from 0. A step may ask more than once. */
  readonly step: number;
  /** The caller's signal, for networks that can stop in the middle. */
  readonly signal?: AbortSignal;
}

/**
 * x0 (and more) from a noisy state: parameterisation ∘ guidance ∘ network.
 * @param x state in the space the sampler runs in; must not be written to
 * @param sigma its noise level in that space
 */
export type Denoiser = (
  x: Tensor<"float32">,
  sigma: number,
  context: DenoiseContext,
) => Prediction | Promise<Prediction>;

/**
 * Unit Gaussian noise of the given shape. Sequential streams ignore `interval`; Brownian paths
 * return the increment between the two levels divided by its standard deviation.
 */
export type NoiseSource = (
  shape: readonly number[],
  interval: { readonly sigma: number; readonly sigmaNext: number },
) => Tensor<"float32">;

/** What every sampler takes; each adds its own options. */
export interface SamplerInput {
  readonly denoise: Denoiser;
  /** Start: noise at level `sigmas[0]` (already multiplied by its σ_t). Not written to. */
  readonly x: Tensor<"float32">;
  /** Noise levels, falling; the last may be 0. n steps need n + 1 levels. */
  readonly sigmas: ArrayLike<number>;
  /**
   * Step to begin at, for runs from the middle of a schedule (image to image): x then has level
   * `sigmas[firstStep]`. Choices that depend on the length of the schedule still see all of it.
   * @default 0
   */
  readonly firstStep?: number;
  /** @default "ve" */
  readonly space?: Space;
  /** Needed by stochastic samplers only. */
  readonly noise?: NoiseSource;
  /** Stops between steps (and before every evaluation) with a NijimiError `cancelled`. */
  readonly signal?: AbortSignal;
}

/** A finished step. `x` and `denoised` are never overwritten later. */
export interface SamplerStep {
  /** Index of the step in the schedule, from 0 (or `firstStep`). */
  readonly step: number;
  /** Steps of the whole schedule; undefined where the sampler chooses its own step sizes. */
  readonly steps: number | undefined;
  /** Noise level that `x` has now. */
  readonly sigma: number;
  /** The state after this step. */
  readonly x: Tensor<"float32">;
  /** The latest estimate of x0, for previews. */
  readonly denoised: Tensor<"float32">;
}

/** A sampling loop: yields every step; the last one holds the sample. */
export type SamplerRun = AsyncGenerator<SamplerStep, void, undefined>;
