/** Where a training stands: everything that the next update depends on. */
import type { DataPosition } from "../data/batches.ts";
import type { Vectors } from "./program.ts";

export interface TrainingState {
  /** Updates done. */
  readonly update: number;
  /** Samples seen, of all processes. */
  readonly samples: number;
  /** The batch that comes next. */
  readonly position: DataPosition;
  readonly vectors: Vectors;
}

/** The place of a set's first batch. */
export const DATA_START: DataPosition = { epoch: 0, batch: 0 };
