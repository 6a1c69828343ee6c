/** A run's folder: its settings, checkpoints, log, previews and finished model. */
import { join } from "node:path";

export interface RunFolder {
  readonly root: string;
  /** Recipe, settings and versions the run was started with. */
  readonly settings: string;
  readonly checkpoints: string;
  /** One JSON object a line. */
  readonly log: string;
  /** Figures on held-out data, one JSON object a line. */
  readonly evaluations: string;
  readonly previews: string;
  readonly report: string;
  /** What can be made again: encoded data. */
  readonly cache: string;
  /** The trained model, as a diffusers folder. */
  readonly model: string;
}

/** Paths of a run, none of which is created. */
export function runFolder(root: string): RunFolder {
  return {
    root,
    settings: join(root, "run.json"),
    checkpoints: join(root, "checkpoints"),
    log: join(root, "metrics.jsonl"),
    evaluations: join(root, "evaluations.jsonl"),
    previews: join(root, "previews"),
    cache: join(root, "cache"),
    report: join(root, "report.html"),
    model: join(root, "model"),
  };
}
