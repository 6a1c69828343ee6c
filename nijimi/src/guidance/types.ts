/**
 * What guidance is: a recipe that asks the network about several conditionings of one state
 * ("branches") and makes one prediction out of the answers.
 *
 * Guidance acts on what the network predicts (ε, v, flow …) or on x0. All linear recipes give the
 * same in both; the others say in `domain` where their authors apply them.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { DenoiseContext } from "../diffusion/samplers/types.ts";

type F32 = Tensor<"float32">;

/** The branches that every pipeline can offer; composable prompts add names of their own. */
export const COND = "cond";
/** The empty prompt, or the negative prompt where there is one. */
export const UNCOND = "uncond";
/** The prompt with perturbed attention (PAG), where the network offers it. */
export const PERTURBED = "perturbed";
/** The prompt with skipped layers (SLG), where the network offers it. */
export const SKIPPED = "skipped";

/** Where sampling stands when guidance is asked. */
export interface GuidanceContext {
  /** Noise level in the sampler's space. */
  readonly sigma: number;
  /** Step of the sampler, from 0. */
  readonly step: number;
}

/** A number, or one for every noise level. */
export type Scale = number | ((at: GuidanceContext) => number);

/** The scale at a noise level. @throws NijimiError `option` when it is not a finite number */
export function scaleAt(scale: Scale, at: GuidanceContext): number {
  const value = typeof scale === "number" ? scale : scale(at);
  if (Number.isFinite(value)) return value;
  throw new NijimiError("option", `Guidance: a scale must be a finite number; got ${value}.`);
}

/** A guided prediction whose noise is not that of the prediction itself. */
export interface Guided {
  readonly prediction: F32;
  /** The prediction whose ε samplers shall use for renoising (CFG++). */
  readonly epsFrom: F32;
}

/** A recipe. */
export interface Guidance {
  /** What the tensors in `combine` are. @default "output" */
  readonly domain?: "output" | "x0";
  /** Branches needed at this noise level: the fewer, the cheaper. */
  readonly branches: (at: GuidanceContext) => readonly string[];
  /** One prediction from those of the branches. */
  readonly combine: (
    predictions: Readonly<Record<string, F32>>,
    at: GuidanceContext,
  ) => F32 | Guided;
}

/**
 * The network for several branches, which it may run as one batch.
 *
 * @returns one output per name of `branches`, in order
 */
export type BranchNetwork = (
  x: F32,
  cNoise: number,
  branches: readonly string[],
  context: DenoiseContext,
) => readonly F32[] | Promise<readonly F32[]>;
