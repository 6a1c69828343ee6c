/** What a run reports and how it is started. */
import type { Device } from "../../runtime/engine.ts";
import type { LoopEvent } from "../loop.ts";
import type { OneBatch } from "../sanity.ts";
import type { Together } from "../split-step.ts";

export type RunEvent =
  | LoopEvent
  /** Before the first update; `update` is above 0 when the run goes on from a checkpoint. */
  | {
      readonly type: "run-start";
      readonly folder: string;
      readonly update: number;
      readonly updates: number;
      /** Trained parameters by player. */
      readonly parameters: Readonly<Record<string, number>>;
    }
  | { readonly type: "step-preview"; readonly update: number; readonly files: readonly string[] }
  /** Figures on held-out data. */
  | {
      readonly type: "evaluation";
      readonly update: number;
      readonly values: Readonly<Record<string, number>>;
    }
  /** Of a check: one batch, seen again and again, is learnt. */
  | ({ readonly type: "batch-learnt" } & OneBatch)
  | { readonly type: "checkpoint-saved"; readonly update: number; readonly folder: string }
  | { readonly type: "run-end"; readonly update: number; readonly model: string };

/** Options of `runRecipe`. */
export interface RunOptions {
  /** Where checkpoints, log and model go. Going on with a run is naming its folder again. */
  readonly folder: string;
  /** Go on from the folder's last checkpoint; without it the folder must be new. @default false */
  readonly resume?: boolean;
  /** Write the model of the last checkpoint and end. @default false */
  readonly saveOnly?: boolean;
  /** Only see whether one batch is learnt; nothing of it is kept. @default false */
  readonly check?: boolean;
  /** Minutes between checkpoints. @default 5 */
  readonly checkpointMinutes?: number;
  /** Checkpoints that stay. @default 2 */
  readonly keep?: number;
  /** Minutes between previews. @default 15 */
  readonly previewMinutes?: number;
  /** End after this many minutes, with a checkpoint. @default none */
  readonly minutes?: number;
  readonly threads?: number;
  readonly device?: Device;
  /** Threads that load data. @default 1 */
  readonly workers?: number;
  /** Several processes that train together; the first writes. @default alone */
  readonly together?: Together;
  readonly signal?: AbortSignal;
  /** Milliseconds of a monotonic clock. @default performance.now */
  readonly now?: () => number;
}
