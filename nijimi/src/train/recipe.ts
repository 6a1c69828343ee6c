/**
 * Recipes: what to train on which data, as a typed config with defaults, and the function that makes a program of it.
 * `nijimi train NAME` runs them; `--set key=value` changes a setting.
 */
import type { Feed, Rank } from "./feed.ts";
import type { Program, Vectors } from "./program.ts";

/** JSON that settings may hold. */
export type SettingValue =
  | string
  | number
  | boolean
  | null
  | readonly SettingValue[]
  | { readonly [key: string]: SettingValue };
export type Settings = { readonly [key: string]: SettingValue };

/** Settings that the trainer itself reads; every recipe has them. */
export interface CommonSettings {
  readonly [key: string]: SettingValue;
  /** Decides initial values, order, augmentation and noise. */
  readonly seed: number;
  /** Updates in all stages together. */
  readonly updates: number;
  /** Samples of one batch of one process. */
  readonly batchSize: number;
  /** Batches averaged for one update. */
  readonly accumulate: number;
}

/** What a recipe gets to build with. */
export interface BuildContext {
  readonly rank: Rank;
  /** Threads that load data. */
  readonly workers: number;
  /** Folder of a trained model: of a run by name, or a path as it is. */
  trained(nameOrPath: string): string;
  /** Where the recipe may keep what can be made again. */
  readonly cacheFolder: string;
  /** Threads of networks that prepare data. @default the engine's choice */
  readonly threads?: number;
}

/** A recipe's work, ready for the loop. */
export interface Training {
  readonly program: Program;
  readonly feed: Feed;
  /** Pictures of how it is doing, made from the current vectors; [−1, 1], [N, C, H, W]. */
  readonly preview?: (vectors: Vectors) => Promise<readonly Preview[]>;
  /** Figures on held-out data, by name, from the current vectors. */
  readonly evaluate?: (vectors: Vectors) => Promise<Readonly<Record<string, number>>>;
  /** Writes the trained model into a folder that does not exist yet. */
  readonly save: (vectors: Vectors, folder: string) => Promise<void>;
  /** Releases what previews and feeds hold. */
  readonly dispose?: () => Promise<void>;
}

/** Pictures side by side under one title. */
export interface Preview {
  readonly name: string;
  readonly images: { readonly shape: readonly number[]; readonly data: Float32Array };
  /** Pictures of a row. @default as many as fit a square */
  readonly columns?: number;
}

/** What a recipe needs and what to expect of it, for people. */
export interface RecipeFacts {
  /** Which data, and where it comes from. */
  readonly data: string;
  /** On two cores of a server CPU. */
  readonly hours: number;
  readonly memoryGb: number;
  /** What comes out, with figures. */
  readonly expected: string;
}

/** A recipe. */
export interface Recipe<S extends CommonSettings = CommonSettings> {
  readonly name: string;
  /** One line. */
  readonly description: string;
  readonly facts: RecipeFacts;
  readonly settings: S;
  build(settings: S, context: BuildContext): Promise<Training>;
}

/** Types a recipe by its settings. */
export function defineRecipe<S extends CommonSettings>(recipe: Recipe<S>): Recipe<S> {
  return recipe;
}
