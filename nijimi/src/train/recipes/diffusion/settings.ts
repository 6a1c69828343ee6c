/** What every diffusion recipe can be told. */
import type { CommonSettings } from "../../recipe.ts";
import { PROCESS_DEFAULTS, type ProcessSettings } from "./process.ts";

/** The U-Net's size. */
export interface UnetSettings {
  readonly channels: readonly number[];
  readonly layersPerBlock: number;
  /** Levels with attention, as places in `channels`; the middle always has it. */
  readonly attentionLevels: readonly number[];
  readonly heads: number;
  readonly normGroups: number;
}

/** Settings of a diffusion model, whatever it is a model of. */
export interface DiffusionSettings extends CommonSettings, UnetSettings {
  /** Share of conditions replaced by none, so that there is an unconditional prediction for guidance. */
  readonly dropCondition: number;
  readonly process: ProcessSettings;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  /** Last updates, over which the rate falls to 0. */
  readonly decayUpdates: number;
  readonly weightDecay: number;
  readonly clipNorm: number;
  readonly emaDecay: number;
  /** Conditions of the previews: texts or names of classes; a list of "" where there is no condition. */
  readonly previews: readonly string[];
  readonly previewGuidance: number;
}

export const DIFFUSION_DEFAULTS = {
  seed: 1,
  batchSize: 32,
  accumulate: 1,
  layersPerBlock: 2,
  heads: 4,
  normGroups: 32,
  dropCondition: 0.1,
  process: PROCESS_DEFAULTS,
  learningRate: 2e-4,
  warmupUpdates: 200,
  decayUpdates: 1000,
  weightDecay: 0.01,
  clipNorm: 1,
  emaDecay: 0.999,
  previewGuidance: 3,
} as const;
