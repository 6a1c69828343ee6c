/** What an evaluation takes, says on its way, and gives. */
import type { Raster } from "../../data/sample.ts";
import type { Interval } from "../bootstrap.ts";
import type { ProductOption } from "../linear-algebra/using-product.ts";
import type { NamedValue } from "../scalar-summary.ts";
import type { SavedStatistics } from "../statistics-file.ts";
import type { AestheticScorer } from "../networks/aesthetic.ts";
import type { ClipNetwork } from "../networks/clip.ts";
import type { FeatureNetwork } from "../networks/feature-network.ts";
import type { PerceptualNetwork } from "../networks/lpips.ts";

/** One picture of a set. */
export interface SetItem {
  /** Unique in the set, the same in every run. */
  readonly key: string;
  readonly image: Raster;
  readonly caption?: string;
}

/** Pictures that can be gone through again and again, always in one order. */
export interface ImageSet {
  readonly name: string;
  /** Number of pictures, where known. */
  readonly size?: number;
  /** The pictures from a position on. Rejects with the picture's key when one cannot be decoded. */
  items(from: number): AsyncIterable<SetItem>;
}

/** Statistics in place of pictures. */
export interface StatisticsInput extends SavedStatistics {
  readonly name: string;
}

/** Names of what can be measured. */
export const FIGURES = [
  "fid", // Fréchet distance of features
  "sfid", // Fréchet distance of spatial features
  "kid", // kernel distance
  "is", // Inception Score of the generated set
  "prdc", // precision, recall, density, coverage
  "memorisation", // share of generated pictures that copy a reference picture
  "clip-score", // agreement of generated pictures with their captions
  "r-precision", // retrieval among captions and pictures
  "aesthetic", // LAION's aesthetic score of the generated set
  "psnr", // paired: generated and reference pictures by position
  "ssim",
  "ms-ssim",
  "lpips",
] as const;
export type FigureName = (typeof FIGURES)[number];

/** The networks that figures are measured with. They stay the caller's: nothing here disposes of them. */
export interface EvaluationNetworks {
  /** For fid, sfid, kid, is, prdc and memorisation. */
  readonly features?: FeatureNetwork;
  /** For clip-score, r-precision and aesthetic. */
  readonly clip?: ClipNetwork;
  readonly aesthetic?: AestheticScorer;
  readonly perceptual?: PerceptualNetwork;
}

export interface EvaluationOptions extends ProductOption {
  readonly figures: readonly FigureName[];
  readonly networks: EvaluationNetworks;
  /** Pictures through a network at a time. @default 16 */
  readonly batchSize?: number;
  /** Pictures of a set that figures of pairs of samples (kid, prdc, memorisation, r-precision) look at. @default 10000 */
  readonly sampleLimit?: number;
  /** Resamples for the confidence interval of fid: one takes as long as fid itself. @default 0 */
  readonly fidResamples?: number;
  /** Subsets of kid. @default 100 */
  readonly kidSubsets?: number;
  /** Samples of a subset of kid. @default 1000, or the smaller set's size where that is less */
  readonly kidSubsetSize?: number;
  /** Neighbours that make the balls of prdc. @default 3 */
  readonly neighbours?: number;
  /** Wrong candidates of r-precision. @default 99 */
  readonly distractors?: number;
  /** Decides samples, subsets, distractors and resamples. @default 0 */
  readonly seed?: number;
  /** Pictures between two snapshots. @default 1024 */
  readonly snapshotEvery?: number;
  /** Where to go on; made by an evaluation of the same sets and options. */
  readonly resume?: Snapshot;
  readonly signal?: AbortSignal;
}

/** Which sets are gone through, in this order; `pairs` is both at once. */
export const STAGES = ["generated", "reference", "pairs"] as const;
export type StageName = (typeof STAGES)[number];

/** Everything that is needed to go on: plain data. */
export interface Snapshot {
  /** What it belongs to: sets, figures, networks and options in words. */
  readonly settings: string;
  readonly stages: Partial<Record<StageName, StageSnapshot>>;
}

export interface StageSnapshot {
  readonly position: number;
  readonly isDone: boolean;
  /** By collector. */
  readonly states: Readonly<Record<string, unknown>>;
}

/** What an evaluation says. The last event is the report. */
export type EvaluationEvent =
  | {
      readonly kind: "stage-start";
      readonly stage: StageName;
      readonly done: number;
      readonly total?: number;
    }
  | {
      readonly kind: "stage-progress";
      readonly stage: StageName;
      readonly done: number;
      readonly total?: number;
    }
  | { readonly kind: "stage-end"; readonly stage: StageName; readonly done: number }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "figure-start"; readonly figure: FigureName }
  | { readonly kind: "warning"; readonly message: string }
  | { readonly kind: "report"; readonly report: EvaluationReport };

/** One number of the report. */
export interface ReportedFigure {
  /** What was asked for. */
  readonly figure: FigureName;
  /** The figure's name, which says network and resizing: `"FID (clean)"`, `"FD (emoji-judge)"`. */
  readonly name: string;
  readonly value: number;
  /** Spread of what the value is the mean of: subsets, splits or pictures. */
  readonly std?: number;
  readonly interval?: Interval;
  readonly better: "lower" | "higher";
  /** Conditions that belong to the figure: `"99 distractors"`, `"100 subsets of 1000"`. */
  readonly conditions?: string;
}

/** Values to draw a histogram of. */
export interface Distribution {
  readonly name: string;
  /** Ascending. */
  readonly values: readonly number[];
  /** A second set of values to compare with. */
  readonly comparison?: { readonly name: string; readonly values: readonly number[] };
}

/** A list of single pictures. */
export interface Ranking {
  /** `"Highest CLIP score"`. */
  readonly name: string;
  readonly pictures: readonly NamedValue[];
}

/** A generated picture with what is nearest to it in the reference. */
export interface NeighbourRow {
  readonly key: string;
  readonly copied: boolean;
  /** Distance to the nearest over distance to the second nearest. */
  readonly ratio: number;
  readonly neighbours: readonly { readonly key: string; readonly distance: number }[];
}

export interface SetDescription {
  readonly name: string;
  /** Unknown for statistics of other tools. */
  readonly count?: number;
  /** Pictures by size, `"512×512": 100`, most frequent first, at most ten. */
  readonly sizes: Readonly<Record<string, number>>;
  readonly grey: number;
  readonly transparent: number;
}

export interface EvaluationReport {
  readonly generated: SetDescription;
  readonly reference?: SetDescription;
  /** What the figures were measured with. */
  readonly networks: readonly string[];
  readonly figures: readonly ReportedFigure[];
  readonly warnings: readonly string[];
  readonly distributions: readonly Distribution[];
  readonly rankings: readonly Ranking[];
  /** The most suspicious first; empty without memorisation. */
  readonly neighbours: readonly NeighbourRow[];
}
